//! Counts what an organization, or something of it, has before it gets one more. Who creates holds the lock on the
//! organization's row, so the count is exact, whoever else creates at the same time.

use super::{Quota, Quotas, StoreError, WriteTx, value::params};

impl WriteTx {
    /// Refuses one more where the organization has as many as it may.
    pub(super) async fn check_quota(&mut self, quota: Quota) -> Result<(), StoreError> {
        let organization = self.organization.clone();
        self.check_quota_of(quota, organization.as_str()).await
    }

    /// The same for what belongs to something of the organization.
    pub(super) async fn check_quota_of(
        &mut self,
        quota: Quota,
        owner: &str,
    ) -> Result<(), StoreError> {
        let most = most(quota, self.store.quotas);
        let values = params![owner];
        if self.connection.number(count(quota), values).await? < u64::from(most) {
            return Ok(());
        }
        Err(StoreError::QuotaReached { quota, most })
    }
}

const fn most(quota: Quota, quotas: Quotas) -> u32 {
    match quota {
        Quota::ApiKeys => quotas.api_keys,
        Quota::Projects => quotas.projects,
        Quota::ServiceAccounts => quotas.service_accounts,
        Quota::Webhooks => quotas.webhooks,
        Quota::Assertions => quotas.assertions,
        Quota::Denials => quotas.denials,
        Quota::WorkloadIdentityProviders => quotas.workload_identity_providers,
        Quota::FederationRules => quotas.federation_rules,
    }
}

const fn count(quota: Quota) -> &'static str {
    match quota {
        Quota::ApiKeys => "SELECT count(*) FROM api_keys WHERE organization_id = $1",
        Quota::Projects => "SELECT count(*) FROM projects WHERE organization_id = $1",
        Quota::ServiceAccounts => {
            "SELECT count(*) FROM service_accounts WHERE organization_id = $1"
        }
        Quota::Webhooks => "SELECT webhooks FROM organizations WHERE id = $1",
        Quota::Assertions => "SELECT assertions FROM organizations WHERE id = $1",
        Quota::Denials => "SELECT denials FROM organizations WHERE id = $1",
        Quota::WorkloadIdentityProviders => {
            "SELECT count(*) FROM workload_identity_providers WHERE organization_id = $1"
        }
        Quota::FederationRules => "SELECT count(*) FROM federation_rules WHERE provider_id = $1",
    }
}
