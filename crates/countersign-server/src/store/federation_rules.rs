//! Federation rules of workload identity providers. They end with their provider and with their
//! service account. Those of an archived project stay, as its keys do, and admit nobody.

use countersign_types::{
    audit::RuleChange,
    federation_rule::{
        DeletedFederationRule, DeletedFederationRuleObject, FederationRule,
        FederationRuleCreateRequest, FederationRuleObject, FederationRuleUpdateRequest,
    },
    id::{FederationRuleId, OrganizationId, ServiceAccountId, WorkloadIdentityProviderId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    ended_rules::event,
    json_column::{from_column, to_column},
    listing::Listing,
    projects::Archived,
    row::{FromRow, Row},
    value::{Value, params},
    workload_identity_providers::{self as providers, to_json},
};

impl Store {
    /// The rules of a provider, or those of them for one service account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the provider, [`StoreError::UnknownCursor`].
    pub async fn list_federation_rules(
        &self,
        organization: &OrganizationId,
        provider: &WorkloadIdentityProviderId,
        service_account: Option<&ServiceAccountId>,
        request: &PageRequest,
    ) -> Result<Page<FederationRule>, StoreError> {
        let mut connection = self.list_reader().await?;
        providers::find(&mut connection, organization, provider).await?;
        match service_account {
            None => {
                listing(params![organization, provider], "")
                    .page(&mut connection, request)
                    .await
            }
            Some(account) => {
                let only = " AND t.service_account_id = $3";
                listing(params![organization, provider, account], only)
                    .page(&mut connection, request)
                    .await
            }
        }
    }

    /// A rule.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_federation_rule(
        &self,
        organization: &OrganizationId,
        provider: &WorkloadIdentityProviderId,
        id: &FederationRuleId,
    ) -> Result<FederationRule, StoreError> {
        find(&mut self.reader().await?, organization, provider, id).await
    }
}

impl WriteTx {
    /// Creates a rule.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the provider, the project and the service account,
    /// [`StoreError::ProjectArchived`], [`StoreError::QuotaReached`].
    pub async fn create_federation_rule(
        &mut self,
        provider: &WorkloadIdentityProviderId,
        request: FederationRuleCreateRequest,
    ) -> Result<Change<FederationRule>, StoreError> {
        providers::find(&mut self.connection, &self.organization, provider).await?;
        let project = self
            .open_project(&request.project_id, Archived::Refused)
            .await?;
        self.find_service_account(&request.project_id, &request.service_account_id)
            .await?;
        self.check_quota_of(Quota::FederationRules, provider.as_str())
            .await?;
        let id = FederationRuleId::from_random(self.sources().id()?);
        let data = to_json(&request)?;
        let rule = FederationRule {
            object: FederationRuleObject::Rule.into(),
            id: id.clone(),
            workload_identity_provider_id: provider.clone(),
            project_id: request.project_id,
            service_account_id: request.service_account_id,
            name: request.name,
            description: request.description,
            enabled: request.enabled.unwrap_or(true),
            attribute_matchers: request.attribute_matchers,
            permissions: request.permissions.unwrap_or_default(),
            created_at: self.now,
            updated_at: self.now,
        };
        self.insert_federation_rule(&rule).await?;
        let mut events = self.ensure_token_key().await?;
        events.push(event(id, provider, project, RuleChange::Created(data)));
        Ok(Change {
            answer: rule,
            events,
        })
    }

    /// Changes a rule; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_federation_rule(
        &mut self,
        provider: &WorkloadIdentityProviderId,
        id: &FederationRuleId,
        request: FederationRuleUpdateRequest,
    ) -> Result<Change<FederationRule>, StoreError> {
        let before = find(&mut self.connection, &self.organization, provider, id).await?;
        let data = to_json(&request)?;
        let mut rule = before.clone();
        rule.name = request.name.unwrap_or(rule.name);
        rule.description = request.description.unwrap_or(rule.description);
        rule.enabled = request.enabled.unwrap_or(rule.enabled);
        rule.attribute_matchers = request
            .attribute_matchers
            .unwrap_or(rule.attribute_matchers);
        rule.permissions = request.permissions.unwrap_or(rule.permissions);
        if rule == before {
            return Ok(Change::none(rule));
        }
        rule.updated_at = self.now;
        self.connection
            .execute(
                "UPDATE federation_rules SET name = $2, description = $3, enabled = $4, \
                 matchers = $5, permissions = $6, updated_at = $7 WHERE id = $1",
                params![
                    id,
                    rule.name.as_deref(),
                    rule.description.as_deref(),
                    i64::from(rule.enabled),
                    to_column(&rule.attribute_matchers)?,
                    to_column(&rule.permissions)?,
                    self.now,
                ],
            )
            .await?;
        let project = self
            .open_project(&rule.project_id, Archived::Allowed)
            .await?;
        let event = event(id.clone(), provider, project, RuleChange::Updated(data));
        Ok(Change {
            answer: rule,
            events: vec![event],
        })
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_federation_rule(
        &mut self,
        provider: &WorkloadIdentityProviderId,
        id: &FederationRuleId,
    ) -> Result<Change<DeletedFederationRule>, StoreError> {
        let rule = find(&mut self.connection, &self.organization, provider, id).await?;
        let project = self
            .open_project(&rule.project_id, Archived::Allowed)
            .await?;
        self.connection
            .execute("DELETE FROM federation_rules WHERE id = $1", params![id])
            .await?;
        let change = RuleChange::Deleted {
            service_account: rule.service_account_id,
        };
        Ok(Change {
            answer: DeletedFederationRule {
                object: DeletedFederationRuleObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![event(id.clone(), provider, project, change)],
        })
    }

    async fn insert_federation_rule(&mut self, rule: &FederationRule) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO federation_rules (id, organization_id, provider_id, project_id, \
                 service_account_id, name, description, enabled, matchers, permissions, \
                 created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
                params![
                    rule.id,
                    self.organization,
                    rule.workload_identity_provider_id,
                    rule.project_id,
                    rule.service_account_id,
                    rule.name.as_deref(),
                    rule.description.as_deref(),
                    i64::from(rule.enabled),
                    to_column(&rule.attribute_matchers)?,
                    to_column(&rule.permissions)?,
                    self.now,
                ],
            )
            .await
    }
}

const COLUMNS: &str = "t.id, t.provider_id, t.project_id, t.service_account_id, t.name, \
    t.description, t.enabled, t.matchers, t.permissions, t.created_at, t.updated_at";

/// Every rule of an organization, oldest first.
pub(super) async fn all(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<FederationRule>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM federation_rules t WHERE t.organization_id = $1 \
         ORDER BY t.created_at, t.seq"
    );
    connection.query(&sql, params![organization]).await
}

const fn listing<'a>(values: &'a [Value<'a>], only: &'a str) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM federation_rules t WHERE t.organization_id = $1 AND t.provider_id = $2",
        only,
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    provider: &WorkloadIdentityProviderId,
    id: &FederationRuleId,
) -> Result<FederationRule, StoreError> {
    listing(params![organization, provider], "")
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::FederationRule, id.as_str()))
}

impl FromRow for FederationRule {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: FederationRuleObject::Rule.into(),
            id: row.next()?,
            workload_identity_provider_id: row.next()?,
            project_id: row.next()?,
            service_account_id: row.next()?,
            name: row.next()?,
            description: row.next()?,
            enabled: row.next::<i64>()? != 0,
            attribute_matchers: from_column(row)?,
            permissions: from_column(row)?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }
}
