//! Federation rules that end with their provider or their service account, each with its event.

use countersign_types::{
    audit::{AuditEvent, AuditProject, FederationEvent, RuleChange},
    id::{FederationRuleId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
};

use super::{
    StoreError, WriteTx,
    row::{FromRow, Row},
    value::params,
};

/// What rules end with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    /// A provider.
    Provider(&'a WorkloadIdentityProviderId),
    /// A service account.
    ServiceAccount(&'a ServiceAccountId),
}

impl WriteTx {
    /// Deletes the rules that end with something else, and gives an event for each.
    pub(super) async fn delete_federation_rules_of(
        &mut self,
        of: Of<'_>,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let (column, id) = match of {
            Of::Provider(id) => ("provider_id", id.as_str()),
            Of::ServiceAccount(id) => ("service_account_id", id.as_str()),
        };
        let sql = format!(
            "SELECT r.id, r.provider_id, r.project_id, p.name, r.service_account_id \
             FROM federation_rules r JOIN projects p ON p.id = r.project_id \
             WHERE r.{column} = $1 ORDER BY r.created_at, r.seq"
        );
        let ended: Vec<Ended> = self.connection.query(&sql, params![id]).await?;
        let sql = format!("DELETE FROM federation_rules WHERE {column} = $1");
        self.connection.execute(&sql, params![id]).await?;
        Ok(ended.into_iter().map(Ended::into_event).collect())
    }
}

/// A rule that ended with something else.
struct Ended {
    id: FederationRuleId,
    provider: WorkloadIdentityProviderId,
    project: ProjectId,
    project_name: String,
    service_account: ServiceAccountId,
}

impl Ended {
    fn into_event(self) -> AuditEvent {
        let project = AuditProject {
            id: self.project,
            name: Some(self.project_name),
        };
        let change = RuleChange::Deleted {
            service_account: self.service_account,
        };
        event(self.id, &self.provider, project, change)
    }
}

impl FromRow for Ended {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            provider: row.next()?,
            project: row.next()?,
            project_name: row.next()?,
            service_account: row.next()?,
        })
    }
}

/// An event of a rule.
pub(super) fn event(
    id: FederationRuleId,
    provider: &WorkloadIdentityProviderId,
    project: AuditProject,
    change: RuleChange,
) -> AuditEvent {
    AuditEvent::Federation(FederationEvent::Rule {
        id,
        provider: provider.clone(),
        project,
        change,
    })
}
