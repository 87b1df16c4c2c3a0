//! What changes of trust would do together. Each is made as the real one is, in a transaction that is
//! rolled back: so it is refused for the same reasons.

use countersign_types::{
    UnixSeconds,
    certificate::{ActiveCertificate, Scope},
    id::CertificateId,
    preview::{
        AfterwardsActive, ChangesPreview, ChangesPreviewObject, MAX_PREVIEWED_CHANGES,
        PreviewChangesRequest, TrustChange,
    },
};

use super::{
    answer::{self, Answer},
    app::App,
    body::{Body, RequestBody},
    caller::Admin,
    error::ApiError,
    upload,
};
use crate::{
    preview::{ChangesTrial, judge_changes},
    store::WriteTx,
};

const CHANGES: &str = "changes";

pub(super) async fn preview(
    admin: Admin,
    app: App,
    Body(request): Body<PreviewChangesRequest>,
) -> Answer<ChangesPreview> {
    let reach = reach(&request.changes);
    let mut trial = ChangesTrial::begin(admin.write(&app).await?).await?;
    let mut uploaded = Vec::new();
    for (place, change) in request.changes.into_iter().enumerate() {
        let made = make(&mut trial.tx, change, &mut uploaded, app.now()).await;
        made.map_err(|error| error.within(&format!("{CHANGES}[{place}]")))?;
    }
    let trial = trial.end().await?;
    let effect = judge_changes(trial, reach, app.trials(), &admin.organization);
    answer::read(&ChangesPreview {
        object: ChangesPreviewObject::ChangesPreview,
        effect: effect.await?,
    })
}

/// Makes one change; a certificate that it uploads is added to those uploaded. Its audit events are
/// dropped, as the transaction is.
async fn make(
    tx: &mut WriteTx,
    change: TrustChange,
    uploaded: &mut Vec<CertificateId>,
    now: UnixSeconds,
) -> Result<(), ApiError> {
    match change {
        TrustChange::UploadCertificate(mut request) => {
            request.check()?;
            let upload = tx.upload_certificate(upload::read(request, now)?).await?;
            uploaded.push(upload.answer.id);
        }
        TrustChange::SetActiveCertificates(afterwards) => {
            let scope = Scope::from(afterwards.project_id);
            let active = afterwards.active.into_iter().enumerate();
            let active: Result<Vec<_>, _> = active
                .map(|(place, each)| known(each, place, uploaded))
                .collect();
            drop(
                tx.set_active_certificates(&scope, &active?, None)
                    .await?
                    .answer,
            );
        }
        TrustChange::SetCertificatePolicy {
            certificate_id,
            cel_policy,
        } => {
            upload::check_policy(cel_policy.as_deref())?;
            drop(tx.update_policy(&certificate_id, cel_policy).await?.answer);
        }
        TrustChange::ArchiveProject { project_id } => {
            drop(tx.archive_project(&project_id).await?.answer);
        }
        TrustChange::DeleteProjectApiKey { project_id, key_id } => {
            drop(
                tx.delete_project_api_key(&project_id, &key_id)
                    .await?
                    .answer,
            );
        }
        TrustChange::DeleteServiceAccount {
            project_id,
            service_account_id,
        } => {
            let deleted = tx.delete_service_account(&project_id, &service_account_id);
            drop(deleted.await?.answer);
        }
        TrustChange::DeleteAdminApiKey { key_id } => {
            drop(tx.delete_admin_api_key(&key_id).await?.answer);
        }
    }
    Ok(())
}

/// The certificate that is meant.
fn known(
    each: AfterwardsActive,
    place: usize,
    uploaded: &[CertificateId],
) -> Result<ActiveCertificate, ApiError> {
    let param = format!("active[{place}]");
    let certificate_id = match (each.certificate_id, each.upload) {
        (Some(id), None) => id,
        (None, Some(number)) => uploaded.get(number).cloned().ok_or_else(|| {
            let message = format!(
                "`upload` is {number}, and {} uploads come before it.",
                uploaded.len()
            );
            ApiError::value(format!("{param}.upload"), message)
        })?,
        _ => {
            let message = "Give either `certificate_id` or `upload`.";
            return Err(ApiError::value(param, message));
        }
    };
    Ok(ActiveCertificate {
        certificate_id,
        enforcement: each.enforcement,
    })
}

/// Whose traffic the changes reach: one project's, where all of them are of that project.
fn reach(changes: &[TrustChange]) -> Scope {
    let mut projects = changes.iter().map(|change| match change {
        TrustChange::SetActiveCertificates(afterwards) => afterwards.project_id.as_ref(),
        TrustChange::ArchiveProject { project_id }
        | TrustChange::DeleteProjectApiKey { project_id, .. }
        | TrustChange::DeleteServiceAccount { project_id, .. } => Some(project_id),
        TrustChange::UploadCertificate(_)
        | TrustChange::SetCertificatePolicy { .. }
        | TrustChange::DeleteAdminApiKey { .. } => None,
    });
    let first = projects.next().flatten();
    Scope::from(
        first
            .filter(|first| projects.all(|each| each == Some(first)))
            .cloned(),
    )
}

impl RequestBody for PreviewChangesRequest {
    /// A plan may upload several certificates.
    const MAX_BYTES: usize = 1024 * 1024;

    fn check(&mut self) -> Result<(), ApiError> {
        let count = self.changes.len();
        if (1..=MAX_PREVIEWED_CHANGES).contains(&count) {
            return Ok(());
        }
        let message =
            format!("`{CHANGES}` has {count} changes. Give 1 to {MAX_PREVIEWED_CHANGES}.");
        Err(ApiError::value(CHANGES, message))
    }
}
