//! Changes of trust together: made in one step, or previewed. A preview makes each as the real one is, in
//! a transaction that is rolled back: so it is refused for the same reasons.

use countersign_types::{
    UnixSeconds,
    audit::AuditEvent,
    certificate::{ActiveCertificate, Enforcement, Scope},
    id::CertificateId,
    preview::{
        ActiveAfterwards, AfterwardsActive, ChangesMade, ChangesMadeObject, ChangesPreview,
        ChangesPreviewObject, MAX_TRUST_CHANGES, TrustChange, TrustChangesRequest,
    },
};

use countersign_verify::crl::RevocationList;

use super::{
    answer::{self, Answer},
    app::App,
    body::{Body, RequestBody},
    caller::Admin,
    certificates, crls, denials,
    error::ApiError,
    federation_changes,
    query::Query,
    trust_write::{self, Override},
    upload,
};
use crate::{
    preview::{ChangesTrial, judge_changes},
    store::{Change, WriteTx},
};

const CHANGES: &str = "changes";

pub(super) async fn preview(
    admin: Admin,
    app: App,
    Body(mut request): Body<TrustChangesRequest>,
) -> Answer<ChangesPreview> {
    let lists = crls::read_among(&admin, &app, &mut request.changes);
    let lists = lists.await.map_err(|(place, error)| within(error, place))?;
    let mut trial = ChangesTrial::begin(admin.write(&app).await?).await?;
    let reach = reach(&request.changes, &trial);
    let mut uploaded = Vec::new();
    for (place, change) in request.changes.into_iter().enumerate() {
        let beside = Beside {
            uploaded: &mut uploaded,
            list: lists.get(&place),
        };
        let made = make(&mut trial.tx, change, beside, app.now()).await;
        drop(made.map_err(|error| within(error, place))?);
    }
    let trial = trial.end().await?;
    let effect = judge_changes(trial, reach, app.trials(), &admin.organization);
    answer::read(&ChangesPreview {
        object: ChangesPreviewObject::ChangesPreview,
        effect: effect.await?,
    })
}

/// Makes all changes or none. What they do together is judged, not what each does on the way.
pub(super) async fn make_all(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<TrustChangesRequest>,
) -> Answer<ChangesMade> {
    for (place, change) in request.changes.iter().enumerate() {
        check_kind(change).map_err(|error| within(error, place))?;
    }
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let mut events = Vec::new();
        for (place, change) in request.changes.iter().cloned().enumerate() {
            let beside = Beside {
                uploaded: &mut Vec::new(),
                list: None,
            };
            let made = make(&mut tx, change, beside, app.now()).await;
            events.extend(made.map_err(|error| within(error, place))?);
        }
        let answer = ChangesMade {
            object: ChangesMadeObject::ChangesMade,
            count: request.changes.len(),
        };
        Ok((tx, Change { answer, events }))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

fn within(error: ApiError, place: usize) -> ApiError {
    error.within(&format!("{CHANGES}[{place}]"))
}

/// Refuses to make what has an operation, and perhaps a permission, of its own.
fn check_kind(change: &TrustChange) -> Result<(), ApiError> {
    match change {
        TrustChange::SetActiveCertificates(_)
        | TrustChange::SetCertificatePolicy { .. }
        | TrustChange::CreateDenial(_)
        | TrustChange::DeleteDenial { .. }
        | TrustChange::SetCertificateFloor { .. }
        | TrustChange::DeleteCertificateCrl { .. }
        | TrustChange::SetCertificateCrlMissing { .. } => Ok(()),
        TrustChange::UploadCertificate(_)
        | TrustChange::AddCertificateCrl(_)
        | TrustChange::UpdateWorkloadIdentityProvider { .. }
        | TrustChange::DeleteWorkloadIdentityProvider { .. }
        | TrustChange::CreateFederationRule { .. }
        | TrustChange::UpdateFederationRule { .. }
        | TrustChange::DeleteFederationRule { .. }
        | TrustChange::ArchiveProject { .. }
        | TrustChange::DeleteProjectApiKey { .. }
        | TrustChange::DeleteServiceAccount { .. }
        | TrustChange::DeleteAdminApiKey { .. } => Err(ApiError::value(
            "type",
            "Only active certificates, policies, floors and denials are changed together, and revocation lists \
             are deleted. Upload, archive or delete keys, change providers and federation rules, and add revocation \
             lists, with the operation for that.",
        )),
    }
}

/// What a change refers to.
struct Beside<'a> {
    /// The certificates that changes before it uploaded; one that it uploads is added to them.
    uploaded: &'a mut Vec<CertificateId>,
    /// The revocation list that it adds.
    list: Option<&'a RevocationList>,
}

/// Makes one change, and answers with its audit events.
async fn make(
    tx: &mut WriteTx,
    change: TrustChange,
    beside: Beside<'_>,
    now: UnixSeconds,
) -> Result<Vec<AuditEvent>, ApiError> {
    let Beside { uploaded, list } = beside;
    Ok(match change {
        TrustChange::UploadCertificate(mut request) => {
            request.check()?;
            let upload = tx.upload_certificate(upload::read(request, now)?).await?;
            uploaded.push(upload.answer.id);
            upload.events
        }
        TrustChange::SetActiveCertificates(afterwards) => {
            set_active(tx, afterwards, uploaded).await?
        }
        TrustChange::SetCertificatePolicy {
            certificate_id,
            cel_policy,
            enforcement,
        } => {
            upload::check_policy(cel_policy.as_deref())?;
            match enforcement {
                Enforcement::Enforce => tx.update_policy(&certificate_id, cel_policy).await?.events,
                Enforcement::Report => tx.report_policy(&certificate_id, cel_policy).await?.events,
            }
        }
        TrustChange::CreateDenial(request) => denials::create_in(tx, request, now).await?,
        TrustChange::DeleteDenial { denial_id } => tx.delete_denial(&denial_id).await?.events,
        TrustChange::SetCertificateFloor {
            certificate_id: id,
            refuse_issued_before: floor,
            enforcement,
        } => {
            certificates::check_floor(floor, now)?;
            tx.set_floor(&id, floor, enforcement).await?.events
        }
        change @ (TrustChange::AddCertificateCrl(_)
        | TrustChange::DeleteCertificateCrl { .. }
        | TrustChange::SetCertificateCrlMissing { .. }) => crls::make_in(tx, change, list).await?,
        change @ (TrustChange::UpdateWorkloadIdentityProvider { .. }
        | TrustChange::DeleteWorkloadIdentityProvider { .. }
        | TrustChange::CreateFederationRule { .. }
        | TrustChange::UpdateFederationRule { .. }
        | TrustChange::DeleteFederationRule { .. }) => {
            federation_changes::make_in(tx, change).await?
        }
        TrustChange::ArchiveProject { project_id } => tx.archive_project(&project_id).await?.events,
        TrustChange::DeleteProjectApiKey { project_id, key_id } => {
            tx.delete_project_api_key(&project_id, &key_id)
                .await?
                .events
        }
        TrustChange::DeleteServiceAccount {
            project_id,
            service_account_id,
        } => {
            let deleted = tx.delete_service_account(&project_id, &service_account_id);
            deleted.await?.events
        }
        TrustChange::DeleteAdminApiKey { key_id } => tx.delete_admin_api_key(&key_id).await?.events,
    })
}

/// Makes what is active in a scope what a change says.
async fn set_active(
    tx: &mut WriteTx,
    afterwards: ActiveAfterwards,
    uploaded: &[CertificateId],
) -> Result<Vec<AuditEvent>, ApiError> {
    let scope = Scope::from(afterwards.project_id);
    let active = afterwards.active.into_iter().enumerate();
    let active: Result<Vec<_>, _> = active
        .map(|(place, each)| known(each, place, uploaded))
        .collect();
    let (active, expected) = (active?, afterwards.expected.as_deref());
    let set = tx.set_active_certificates(&scope, &active, expected);
    Ok(set.await?.events)
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
fn reach(changes: &[TrustChange], trial: &ChangesTrial) -> Scope {
    let mut projects = changes.iter().map(|change| match change {
        TrustChange::SetActiveCertificates(afterwards) => afterwards.project_id.as_ref(),
        TrustChange::ArchiveProject { project_id }
        | TrustChange::DeleteProjectApiKey { project_id, .. }
        | TrustChange::DeleteServiceAccount { project_id, .. } => Some(project_id),
        TrustChange::CreateDenial(request) => request.project_id.as_ref(),
        TrustChange::CreateFederationRule { rule, .. } => Some(&rule.project_id),
        TrustChange::UpdateFederationRule {
            federation_rule_id, ..
        }
        | TrustChange::DeleteFederationRule {
            federation_rule_id, ..
        } => trial.project_of(federation_rule_id),
        TrustChange::UpdateWorkloadIdentityProvider { .. }
        | TrustChange::DeleteWorkloadIdentityProvider { .. }
        | TrustChange::UploadCertificate(_)
        | TrustChange::SetCertificatePolicy { .. }
        | TrustChange::SetCertificateFloor { .. }
        | TrustChange::AddCertificateCrl(_)
        | TrustChange::DeleteCertificateCrl { .. }
        | TrustChange::SetCertificateCrlMissing { .. }
        | TrustChange::DeleteDenial { .. }
        | TrustChange::DeleteAdminApiKey { .. } => None,
    });
    let first = projects.next().flatten();
    Scope::from(
        first
            .filter(|first| projects.all(|each| each == Some(first)))
            .cloned(),
    )
}

impl RequestBody for TrustChangesRequest {
    /// A plan may upload several certificates, and a preview may be of a large revocation list.
    const MAX_BYTES: usize = crls::MAX_BODY_BYTES;

    fn check(&mut self) -> Result<(), ApiError> {
        let count = self.changes.len();
        if (1..=MAX_TRUST_CHANGES).contains(&count) {
            return Ok(());
        }
        let message = format!("`{CHANGES}` has {count} changes. Give 1 to {MAX_TRUST_CHANGES}.");
        Err(ApiError::value(CHANGES, message))
    }
}
