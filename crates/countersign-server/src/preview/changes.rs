//! The preview of any changes of trust, made one after another in one transaction.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    id::{FederationRuleId, OrganizationId, ProjectId},
    preview::Effect,
};

use super::{
    comparison::Comparing,
    observed::Observed,
    tokens::TokenSides,
    trial::{Judgement, Trial, TrialError, TrialJudge},
};
use crate::store::{ProvidersAndRules, StoreError, WriteTx};

/// Changes that are being tried. Whatever is done in the transaction is rolled back.
pub(crate) struct ChangesTrial {
    pub(crate) tx: WriteTx,
    before: Arc<OrganizationBundle>,
    tokens_before: ProvidersAndRules,
}

impl ChangesTrial {
    /// Begins with the organization as it is.
    pub(crate) async fn begin(mut tx: WriteTx) -> Result<Self, StoreError> {
        let before = Arc::new(tx.bundle().await?);
        let tokens_before = tx.providers_and_rules().await?;
        Ok(Self {
            tx,
            before,
            tokens_before,
        })
    }

    /// The project of a federation rule that was there before.
    pub(crate) fn project_of(&self, rule: &FederationRuleId) -> Option<&ProjectId> {
        let mut rules = self.tokens_before.rules.iter();
        let found = rules.find(|each| each.id == *rule);
        found.map(|rule| &rule.project_id)
    }

    /// What has been done in the transaction; it is rolled back.
    pub(crate) async fn end(mut self) -> Result<Trial, StoreError> {
        let after = self.tx.providers_and_rules().await?;
        Ok(Trial {
            before: self.before,
            after: Arc::new(self.tx.bundle().await?),
            tokens: Some(TokenSides::new(self.tokens_before, after)?),
        })
    }
}

/// Judges changes on everything that is kept of the organization's traffic, and by its assertions.
pub(crate) async fn judge(
    trial: Trial,
    reach: Scope,
    judge: &TrialJudge,
    organization: &OrganizationId,
) -> Result<Effect, TrialError> {
    let again = trial.clone();
    let live = judge.live_streams(organization).await?;
    let effect = judge.judge(organization, 0, move |now| Judging {
        found: trial.comparing(&reach, now).with_live(live),
        now,
    });
    let mut effect = effect.await?;
    effect.not_enforced_by = judge.lacking(organization, &again.after).await?;
    effect.breaks_assertions = judge.broken(organization, again).await?;
    Ok(effect)
}

/// Changes that are being judged.
struct Judging {
    found: Comparing,
    now: UnixSeconds,
}

impl Judgement for Judging {
    type Answer = Effect;

    fn add(&mut self, part: Observed) {
        self.found.add(&part);
    }

    fn finish(self) -> Effect {
        self.found.finish().into_effect(self.now)
    }
}
