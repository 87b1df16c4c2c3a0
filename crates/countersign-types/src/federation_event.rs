//! Events of workload identity, with the types and the details of the reference, which calls a
//! federation rule a mapping.

use serde_json::{Value, json};

use crate::{
    audit_project::AuditProject,
    id::{FederationRuleId, ServiceAccountId, WorkloadIdentityProviderId},
};

/// What happened to a workload identity provider or to one of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FederationEvent {
    /// A provider.
    Provider {
        /// Its id.
        id: WorkloadIdentityProviderId,
        /// What happened to it.
        change: ProviderChange,
    },
    /// A rule.
    Rule {
        /// Its id.
        id: FederationRuleId,
        /// Its provider.
        provider: WorkloadIdentityProviderId,
        /// The project of its service account.
        project: AuditProject,
        /// What happened to it.
        change: RuleChange,
    },
}

/// What happened to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderChange {
    /// Created, by this request.
    Created(Value),
    /// Changed, by this request.
    Updated(Value),
    /// Deleted.
    Deleted {
        /// Its name.
        name: String,
    },
}

/// What happened to a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleChange {
    /// Created, by this request.
    Created(Value),
    /// Changed, by this request.
    Updated(Value),
    /// Deleted, by itself or together with its provider or its service account.
    Deleted {
        /// The service account that it gave tokens of.
        service_account: ServiceAccountId,
    },
}

impl FederationEvent {
    pub(crate) const fn event_type(&self) -> &'static str {
        match self {
            Self::Provider { change, .. } => match change {
                ProviderChange::Created(_) => "workload_identity_provider.created",
                ProviderChange::Updated(_) => "workload_identity_provider.updated",
                ProviderChange::Deleted { .. } => "workload_identity_provider.deleted",
            },
            Self::Rule { change, .. } => match change {
                RuleChange::Created(_) => "workload_identity_provider_mapping.created",
                RuleChange::Updated(_) => "workload_identity_provider_mapping.updated",
                RuleChange::Deleted { .. } => "workload_identity_provider_mapping.deleted",
            },
        }
    }

    pub(crate) const fn project(&self) -> Option<&AuditProject> {
        match self {
            Self::Provider { .. } => None,
            Self::Rule { project, .. } => Some(project),
        }
    }

    pub(crate) fn resource_ids(&self) -> Vec<&str> {
        match self {
            Self::Provider { id, .. } => vec![id.as_str()],
            Self::Rule { id, provider, .. } => vec![id.as_str(), provider.as_str()],
        }
    }

    pub(crate) fn details(&self) -> Value {
        match self {
            Self::Provider { id, change } => match change {
                ProviderChange::Created(data) => json!({ "id": id, "data": data }),
                ProviderChange::Updated(changes) => {
                    json!({ "id": id, "changes_requested": changes })
                }
                ProviderChange::Deleted { name } => json!({ "id": id, "name": name }),
            },
            Self::Rule {
                id,
                provider,
                project,
                change,
            } => match change {
                RuleChange::Created(data) => {
                    json!({ "id": id, "identity_provider_id": provider, "data": data })
                }
                RuleChange::Updated(changes) => json!({
                    "id": id, "identity_provider_id": provider, "changes_requested": changes,
                }),
                RuleChange::Deleted { service_account } => json!({
                    "id": id,
                    "identity_provider_id": provider,
                    "project_id": project.id,
                    "service_account_id": service_account,
                }),
            },
        }
    }
}
