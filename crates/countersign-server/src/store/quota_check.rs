//! Counts what an organization has before it gets one more. Who creates holds the lock on the
//! organization's row, so the count is exact, whoever else creates at the same time.

use super::{Quota, Quotas, StoreError, WriteTx, value::params};

impl WriteTx {
    /// Refuses one more where the organization has as many as it may.
    pub(super) async fn check_quota(&mut self, quota: Quota) -> Result<(), StoreError> {
        let most = most(quota, self.store.quotas);
        let values = params![self.organization];
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
    }
}
