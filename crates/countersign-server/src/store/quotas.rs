//! How much an organization may have.

use std::fmt;

/// The most that one organization may have of each thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Admin keys and keys of service accounts, expired ones included.
    pub api_keys: u32,
    /// Projects, archived ones included: gateways get these too.
    pub projects: u32,
    /// Service accounts of all projects.
    pub service_accounts: u32,
    /// Webhooks.
    pub webhooks: u32,
    /// Assertions. Each costs a verdict or two when trust changes at its scope.
    pub assertions: u32,
    /// Denials, expired ones included: gateways get these too.
    pub denials: u32,
    /// Workload identity providers.
    pub workload_identity_providers: u32,
    /// Federation rules of one workload identity provider: each is looked at in an exchange.
    pub federation_rules: u32,
}

impl Quotas {
    /// What holds unless the operator sets something else.
    pub const DEFAULT: Self = Self {
        api_keys: 20_000,
        projects: 5_000,
        service_accounts: 20_000,
        webhooks: 10,
        assertions: 200,
        denials: 10_000,
        workload_identity_providers: 50,
        federation_rules: 50,
    };
}

impl Default for Quotas {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Keys.
    ApiKeys,
    /// Projects.
    Projects,
    /// Service accounts.
    ServiceAccounts,
    /// Webhooks.
    Webhooks,
    /// Assertions.
    Assertions,
    /// Denials.
    Denials,
    /// Workload identity providers.
    WorkloadIdentityProviders,
    /// Federation rules of a provider.
    FederationRules,
}

impl Quota {
    /// The operator's setting.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::ApiKeys => "limits.api_keys",
            Self::Projects => "limits.projects",
            Self::ServiceAccounts => "limits.service_accounts",
            Self::Webhooks => "limits.webhooks",
            Self::Assertions => "limits.assertions",
            Self::Denials => "limits.denials",
            Self::WorkloadIdentityProviders => "limits.workload_identity_providers",
            Self::FederationRules => "limits.federation_rules",
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKeys => "API keys",
            Self::Projects => "projects",
            Self::ServiceAccounts => "service accounts",
            Self::Webhooks => "webhooks",
            Self::Assertions => "assertions",
            Self::Denials => "denials",
            Self::WorkloadIdentityProviders => "workload identity providers",
            Self::FederationRules => "federation rules",
        })
    }
}
