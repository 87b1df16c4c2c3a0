//! What a toggle would do: it is tried in a transaction that is dropped, so that it is checked and
//! ordered exactly as the real one, and what that would have left is compared with what is.

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::{CertificateToggleObject, Enforcement, Scope, ScopedCertificate},
    id::{CertificateId, OrganizationId},
    preview::TogglePreview,
};
use tokio::task::spawn_blocking;

use super::{App, answer::Answer, error::ApiError, operation::Answered};
use crate::{
    preview::{Observed, compare},
    store::{StoreError, WriteTx},
};

/// A toggle that was tried and undone.
pub(super) struct Tried {
    scope: Scope,
    data: Vec<ScopedCertificate>,
    before: OrganizationBundle,
    after: OrganizationBundle,
    /// What would be once that is enforced which is only reported now.
    once_enforced: Option<OrganizationBundle>,
}

pub(super) async fn activate(
    mut tx: WriteTx,
    scope: &Scope,
    ids: &[CertificateId],
    enforcement: Enforcement,
) -> Result<Tried, StoreError> {
    let before = tx.bundle().await?;
    let change = tx.activate_certificates(scope, ids, enforcement).await?;
    let after = tx.bundle().await?;
    let once_enforced = match enforcement {
        Enforcement::Enforce => None,
        Enforcement::Report => {
            let enforced = tx.activate_certificates(scope, ids, Enforcement::Enforce);
            let _: Vec<_> = enforced.await?.answer;
            Some(tx.bundle().await?)
        }
    };
    Ok(Tried {
        scope: scope.clone(),
        data: change.answer,
        before,
        after,
        once_enforced,
    })
}

pub(super) async fn deactivate(
    mut tx: WriteTx,
    scope: &Scope,
    ids: &[CertificateId],
) -> Result<Tried, StoreError> {
    let before = tx.bundle().await?;
    let change = tx.deactivate_certificates(scope, ids).await?;
    Ok(Tried {
        scope: scope.clone(),
        data: change.answer,
        before,
        after: tx.bundle().await?,
        once_enforced: None,
    })
}

impl Tried {
    /// Compares, and answers what would be. Previews take turns: each may take seconds.
    pub(super) async fn answer(
        self,
        app: &App,
        organization: &OrganizationId,
        object: CertificateToggleObject,
    ) -> Answered {
        let broken = |_| ApiError::broken("a preview was broken off");
        let turn = app.previews().acquire_owned().await.map_err(broken)?;
        let observed = Observed {
            workloads: app.store().list_workloads(organization, 0).await?,
            chains: app.store().observed_chains(organization, 0).await?,
        };
        let now = app.now();
        let compared = spawn_blocking(move || {
            let _turn = turn;
            self.compare(object, &observed, now)
        });
        let compared = compared
            .await
            .map_err(|error| ApiError::broken(error.to_string()))?;
        Answer::read(&compared)
    }

    fn compare(
        self,
        object: CertificateToggleObject,
        observed: &Observed,
        now: UnixSeconds,
    ) -> TogglePreview {
        let found = compare(&self.before, &self.after, &self.scope, observed, now);
        let once_enforced = self
            .once_enforced
            .map(|once| compare(&self.after, &once, &self.scope, observed, now));
        TogglePreview {
            object: object.into(),
            data: self.data,
            knows_nothing: found.workloads == 0,
            unobserved_projects: found.unobserved_projects,
            since: found.since,
            judged_at: now,
            workloads: found.workloads,
            identities: found.identities,
            requests: found.requests,
            starts_to_fail: found.starts_to_fail,
            starts_to_pass: found.starts_to_pass,
            would_fail_once_enforced: once_enforced
                .map(|found| found.starts_to_fail)
                .unwrap_or_default(),
            still_passing: found.still_passing,
            still_failing: found.still_failing,
            unjudged: found.unjudged,
            last_used: found.last_used,
        }
    }
}
