//! The changes of providers and rules, as programs and people are told of them.

use countersign_types::id::{FederationRuleId, WorkloadIdentityProviderId};
use serde::Serialize;

use super::{
    difference::{Difference, in_line},
    federation_plan::{FederationPlan, FederationStep},
};
use crate::{cli::names::Names, output::printable};

/// One change. A `rule` is called by its provider and its name, or by what it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum FederationChange {
    DeleteRule {
        rule: String,
        id: FederationRuleId,
    },
    /// Its rules go with it.
    DeleteProvider {
        provider: String,
        id: WorkloadIdentityProviderId,
    },
    UpdateProvider {
        provider: String,
        id: WorkloadIdentityProviderId,
        differences: Vec<Difference>,
    },
    UpdateRule {
        rule: String,
        id: FederationRuleId,
        differences: Vec<Difference>,
    },
    CreateProvider {
        provider: String,
        enabled: bool,
    },
    CreateRule {
        rule: String,
        project: String,
        service_account: String,
        enabled: bool,
    },
}

/// The change of a step.
pub(super) fn change(step: FederationStep, plan: &FederationPlan) -> Option<FederationChange> {
    Some(match step {
        FederationStep::DeleteRule(index) => {
            let gone = plan.delete_rules.get(index)?;
            FederationChange::DeleteRule {
                rule: gone.shown.clone(),
                id: gone.id.clone(),
            }
        }
        FederationStep::DeleteProvider(index) => {
            let (id, name) = plan.delete_providers.get(index)?;
            FederationChange::DeleteProvider {
                provider: name.clone(),
                id: id.clone(),
            }
        }
        FederationStep::UpdateProvider(index) => {
            let update = plan.update_providers.get(index)?;
            FederationChange::UpdateProvider {
                provider: update.name.clone(),
                id: update.id.clone(),
                differences: update.differences.clone(),
            }
        }
        FederationStep::UpdateRule(index) => {
            let update = plan.update_rules.get(index)?;
            FederationChange::UpdateRule {
                rule: update.shown.clone(),
                id: update.id.clone(),
                differences: update.differences.clone(),
            }
        }
        FederationStep::CreateProvider(index) => {
            let request = plan.create_providers.get(index)?;
            FederationChange::CreateProvider {
                provider: request.name.clone(),
                enabled: request.enabled.unwrap_or(true),
            }
        }
        FederationStep::CreateRule(index) => {
            let new = plan.create_rules.get(index)?;
            FederationChange::CreateRule {
                rule: new.shown.clone(),
                project: new.request.project_id.to_string(),
                service_account: new.account.clone(),
                enabled: new.request.enabled.unwrap_or(true),
            }
        }
    })
}

impl FederationChange {
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::DeleteRule { .. } => "unrule",
            Self::DeleteProvider { .. } => "unprovide",
            Self::UpdateProvider { .. } => "provider",
            Self::UpdateRule { .. } => "rule",
            Self::CreateProvider { .. } => "provide",
            Self::CreateRule { .. } => "federate",
        }
    }

    /// Its sign, and what changes.
    pub(super) fn line(&self, names: &Names) -> (char, String) {
        let disabled = |enabled: bool| if enabled { "" } else { ", disabled" };
        match self {
            Self::DeleteRule { rule, .. } => ('-', format!("{}; its tokens end", printable(rule))),
            Self::DeleteProvider { provider, .. } => {
                let provider = printable(provider);
                ('-', format!("{provider} and its rules; their tokens end"))
            }
            Self::UpdateProvider {
                provider: what,
                differences,
                ..
            }
            | Self::UpdateRule {
                rule: what,
                differences,
                ..
            } => (
                '~',
                format!("{}: {}", printable(what), in_line(differences)),
            ),
            Self::CreateProvider { provider, enabled } => (
                '+',
                format!("{}{}", printable(provider), disabled(*enabled)),
            ),
            Self::CreateRule {
                rule,
                project,
                service_account,
                enabled,
            } => {
                let project = printable(names.of_any(project).unwrap_or(project));
                let (rule, account) = (printable(rule), printable(service_account));
                let disabled = disabled(*enabled);
                ('+', format!("{rule} -> {account} of {project}{disabled}"))
            }
        }
    }
}
