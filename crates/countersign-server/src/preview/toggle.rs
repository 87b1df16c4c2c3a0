//! The preview of an activation or a deactivation.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds,
    certificate::{CertificateToggleObject, Enforcement, Scope, ScopedCertificate},
    id::{CertificateId, OrganizationId},
    preview::{TogglePreview, TogglePreviewObject},
};

use super::{
    comparison::Comparing,
    observed::Observed,
    tokens::TokenSides,
    trial::{Judgement, Trial, TrialError, TrialJudge},
};
use crate::store::{StoreError, WriteTx};

/// A toggle that was tried and rolled back.
pub(crate) struct ToggleTrial {
    scope: Scope,
    data: Vec<ScopedCertificate>,
    trial: Trial,
    /// From what the toggle leaves to the same with its certificates enforced; only for an
    /// activation that reports.
    once_enforced: Option<Trial>,
}

impl ToggleTrial {
    /// Tries an activation.
    pub(crate) async fn activate(
        mut tx: WriteTx,
        scope: &Scope,
        ids: &[CertificateId],
        enforcement: Enforcement,
    ) -> Result<Self, StoreError> {
        let before = Arc::new(tx.bundle().await?);
        let change = tx.activate_certificates(scope, ids, enforcement).await?;
        let after = Arc::new(tx.bundle().await?);
        let once_enforced = match enforcement {
            Enforcement::Enforce => None,
            Enforcement::Report => {
                let enforced = tx.activate_certificates(scope, ids, Enforcement::Enforce);
                let _: Vec<_> = enforced.await?.answer;
                Some(Trial {
                    before: Arc::clone(&after),
                    after: Arc::new(tx.bundle().await?),
                    // What is activated takes no tokens away, but for those whom it refuses.
                    tokens: None,
                })
            }
        };
        Ok(Self {
            scope: scope.clone(),
            data: change.answer,
            trial: Trial {
                before,
                after,
                tokens: None,
            },
            once_enforced,
        })
    }

    /// Tries a deactivation.
    pub(crate) async fn deactivate(
        mut tx: WriteTx,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Self, StoreError> {
        let before = Arc::new(tx.bundle().await?);
        let change = tx.deactivate_certificates(scope, ids).await?;
        let after = Arc::new(tx.bundle().await?);
        // Where the last anchor goes, keys pass without a certificate, and no certificate gets a token.
        let tokens = tx.providers_and_rules().await?;
        let tokens = TokenSides::new(tokens.clone(), tokens)?;
        Ok(Self {
            scope: scope.clone(),
            data: change.answer,
            trial: Trial {
                before,
                after,
                tokens: Some(tokens),
            },
            once_enforced: None,
        })
    }

    /// Judges it on everything that is kept of the organization's traffic, and by its assertions.
    pub(crate) async fn judge(
        self,
        judge: &TrialJudge,
        organization: &OrganizationId,
        object: CertificateToggleObject,
    ) -> Result<TogglePreview, TrialError> {
        let trial = self.trial.clone();
        let live = judge.live_streams(organization).await?;
        let mut preview = judge
            .judge(organization, 0, move |now| {
                let comparing = |trial: &Trial| trial.comparing(&self.scope, now);
                Judging {
                    object,
                    now,
                    found: comparing(&self.trial).with_live(live),
                    once_enforced: self.once_enforced.as_ref().map(comparing),
                    data: self.data,
                }
            })
            .await?;
        preview.effect.not_enforced_by = judge.lacking(organization, &trial.after).await?;
        preview.effect.breaks_assertions = judge.broken(organization, trial).await?;
        Ok(preview)
    }
}

/// A toggle that is being judged.
struct Judging {
    object: CertificateToggleObject,
    now: UnixSeconds,
    data: Vec<ScopedCertificate>,
    found: Comparing,
    once_enforced: Option<Comparing>,
}

impl Judgement for Judging {
    type Answer = TogglePreview;

    fn add(&mut self, part: Observed) {
        self.found.add(&part);
        if let Some(once_enforced) = &mut self.once_enforced {
            once_enforced.add(&part);
        }
    }

    fn finish(self) -> TogglePreview {
        let once_enforced = self.once_enforced.map(Comparing::finish);
        TogglePreview {
            object: TogglePreviewObject::from(self.object).into(),
            data: self.data,
            effect: self.found.finish().into_effect(self.now),
            would_fail_once_enforced: once_enforced
                .map(|found| found.starts_to_fail)
                .unwrap_or_default(),
        }
    }
}
