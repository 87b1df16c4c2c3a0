//! Workload identity providers of an organization.

use countersign_types::{
    audit::{AuditEvent, FederationEvent, ProviderChange},
    id::{OrganizationId, WorkloadIdentityProviderId},
    page::Page,
    workload_identity_provider::{
        DeletedWorkloadIdentityProvider, DeletedWorkloadIdentityProviderObject,
        WorkloadIdentityProvider, WorkloadIdentityProviderCreateRequest,
        WorkloadIdentityProviderObject, WorkloadIdentityProviderType,
        WorkloadIdentityProviderUpdateRequest,
    },
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    ended_rules::Of,
    json_column::{from_column, to_column},
    listing::Listing,
    row::{FromRow, Row},
    value::{Value, params},
};

impl Store {
    /// An organization's workload identity providers.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_workload_identity_providers(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<WorkloadIdentityProvider>, StoreError> {
        let mut connection = self.list_reader().await?;
        listing(params![organization])
            .page(&mut connection, request)
            .await
    }

    /// A workload identity provider.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_workload_identity_provider(
        &self,
        organization: &OrganizationId,
        id: &WorkloadIdentityProviderId,
    ) -> Result<WorkloadIdentityProvider, StoreError> {
        find(&mut self.reader().await?, organization, id).await
    }
}

impl WriteTx {
    /// Creates a workload identity provider, whose expressions the HTTP layer has compiled.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`].
    pub async fn create_workload_identity_provider(
        &mut self,
        request: WorkloadIdentityProviderCreateRequest,
    ) -> Result<Change<WorkloadIdentityProvider>, StoreError> {
        self.check_quota(Quota::WorkloadIdentityProviders).await?;
        let id = WorkloadIdentityProviderId::from_random(self.sources().id()?);
        let data = to_json(&request)?;
        let provider = WorkloadIdentityProvider {
            object: WorkloadIdentityProviderObject::Provider.into(),
            id: id.clone(),
            kind: request.kind.into(),
            name: request.name,
            description: request.description,
            enabled: request.enabled.unwrap_or(true),
            attribute_transformations: request.attribute_transformations,
            attribute_conditions: request.attribute_conditions,
            created_at: self.now,
            updated_at: self.now,
        };
        self.connection
            .execute(
                "INSERT INTO workload_identity_providers (id, organization_id, name, description, \
                 enabled, transformations, conditions, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
                params![
                    provider.id,
                    self.organization,
                    provider.name,
                    provider.description.as_deref(),
                    i64::from(provider.enabled),
                    to_column(&provider.attribute_transformations)?,
                    provider.attribute_conditions.as_deref(),
                    self.now,
                ],
            )
            .await?;
        let event = event(id, ProviderChange::Created(data));
        Ok(Change {
            answer: provider,
            events: vec![event],
        })
    }

    /// Changes a workload identity provider; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_workload_identity_provider(
        &mut self,
        id: &WorkloadIdentityProviderId,
        request: WorkloadIdentityProviderUpdateRequest,
    ) -> Result<Change<WorkloadIdentityProvider>, StoreError> {
        let before = find(&mut self.connection, &self.organization, id).await?;
        let data = to_json(&request)?;
        let mut provider = before.clone();
        provider.name = request.name.unwrap_or(provider.name);
        provider.description = request.description.unwrap_or(provider.description);
        provider.enabled = request.enabled.unwrap_or(provider.enabled);
        provider.attribute_transformations = request
            .attribute_transformations
            .unwrap_or(provider.attribute_transformations);
        provider.attribute_conditions = request
            .attribute_conditions
            .unwrap_or(provider.attribute_conditions);
        if provider == before {
            return Ok(Change::none(provider));
        }
        provider.updated_at = self.now;
        self.connection
            .execute(
                "UPDATE workload_identity_providers SET name = $2, description = $3, enabled = $4, \
                 transformations = $5, conditions = $6, updated_at = $7 WHERE id = $1",
                params![
                    id,
                    provider.name,
                    provider.description.as_deref(),
                    i64::from(provider.enabled),
                    to_column(&provider.attribute_transformations)?,
                    provider.attribute_conditions.as_deref(),
                    self.now,
                ],
            )
            .await?;
        let event = event(id.clone(), ProviderChange::Updated(data));
        Ok(Change {
            answer: provider,
            events: vec![event],
        })
    }

    /// Deletes a workload identity provider and its rules, each with its event.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_workload_identity_provider(
        &mut self,
        id: &WorkloadIdentityProviderId,
    ) -> Result<Change<DeletedWorkloadIdentityProvider>, StoreError> {
        let provider = find(&mut self.connection, &self.organization, id).await?;
        let mut events = self.delete_federation_rules_of(Of::Provider(id)).await?;
        self.connection
            .execute(
                "DELETE FROM workload_identity_providers WHERE id = $1",
                params![id],
            )
            .await?;
        let name = provider.name;
        events.push(event(id.clone(), ProviderChange::Deleted { name }));
        Ok(Change {
            answer: DeletedWorkloadIdentityProvider {
                object: DeletedWorkloadIdentityProviderObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events,
        })
    }
}

fn event(id: WorkloadIdentityProviderId, change: ProviderChange) -> AuditEvent {
    AuditEvent::Federation(FederationEvent::Provider { id, change })
}

/// A request as its event shows it.
pub(super) fn to_json(request: &impl serde::Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(request).map_err(|error| StoreError::Internal(error.to_string()))
}

const COLUMNS: &str = "t.id, t.name, t.description, t.enabled, t.transformations, t.conditions, \
    t.created_at, t.updated_at";

/// Every provider of an organization, oldest first.
pub(super) async fn all(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<WorkloadIdentityProvider>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM workload_identity_providers t WHERE t.organization_id = $1 \
         ORDER BY t.created_at, t.seq"
    );
    connection.query(&sql, params![organization]).await
}

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM workload_identity_providers t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &WorkloadIdentityProviderId,
) -> Result<WorkloadIdentityProvider, StoreError> {
    listing(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::WorkloadIdentityProvider, id.as_str()))
}

impl FromRow for WorkloadIdentityProvider {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: WorkloadIdentityProviderObject::Provider.into(),
            id: row.next()?,
            kind: WorkloadIdentityProviderType::X509.into(),
            name: row.next()?,
            description: row.next()?,
            enabled: row.next::<i64>()? != 0,
            attribute_transformations: from_column(row)?,
            attribute_conditions: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }
}
