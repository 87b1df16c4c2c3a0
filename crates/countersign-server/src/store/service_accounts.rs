//! Service accounts of projects, and the keys made for them.

use countersign_types::{
    api_key::KeyKind,
    audit::{AuditEvent, AuditProject},
    id::{OrganizationId, ProjectId, ServiceAccountId},
    or_unknown::OrUnknown,
    page::Page,
    project::{
        DeletedServiceAccount, DeletedServiceAccountObject, ServiceAccount, ServiceAccountApiKey,
        ServiceAccountApiKeyObject, ServiceAccountCreated, ServiceAccountObject,
        ServiceAccountRole, ServiceAccountUpdateRequest,
    },
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    ended_rules::Of,
    key_rows::DeletedKeys,
    listing::Listing,
    new_key::NewKey,
    projects::{self, Archived},
    row::{FromRow, Row},
    value::{Value, params},
};

/// A service account to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceAccount {
    /// Its name.
    pub name: String,
    /// Whether to create its first key with it.
    pub with_key: bool,
}

impl Store {
    /// The service accounts of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::UnknownCursor`].
    pub async fn list_service_accounts(
        &self,
        organization: &OrganizationId,
        project: &ProjectId,
        request: &PageRequest,
    ) -> Result<Page<ServiceAccount>, StoreError> {
        let mut connection = self.list_reader().await?;
        projects::find(&mut connection, organization, project).await?;
        listing(params![organization, project])
            .page(&mut connection, request)
            .await
    }

    /// A service account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_service_account(
        &self,
        organization: &OrganizationId,
        project: &ProjectId,
        id: &ServiceAccountId,
    ) -> Result<ServiceAccount, StoreError> {
        let mut connection = self.reader().await?;
        find(&mut connection, organization, project, id).await
    }
}

impl WriteTx {
    /// Creates a service account and, if asked, its first key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::ProjectArchived`].
    pub async fn create_service_account(
        &mut self,
        project: &ProjectId,
        new: NewServiceAccount,
    ) -> Result<Change<ServiceAccountCreated>, StoreError> {
        let audited = self.open_project(project, Archived::Refused).await?;
        self.check_quota(Quota::ServiceAccounts).await?;
        let account = ServiceAccount {
            object: ServiceAccountObject::ServiceAccount.into(),
            id: ServiceAccountId::from_random(self.sources().id()?),
            name: new.name,
            role: OrUnknown::from(if new.with_key {
                ServiceAccountRole::Member
            } else {
                ServiceAccountRole::None
            }),
            created_at: self.now,
        };
        self.insert_service_account(project, &account).await?;
        let mut events = vec![AuditEvent::ServiceAccountCreated {
            project: audited.clone(),
            id: account.id.clone(),
            role: account.role.to_string(),
        }];
        let mut api_key = None;
        if new.with_key {
            let made = self.add_key(audited, &account, None, Vec::new()).await?;
            events.extend(made.events);
            api_key = Some(made.answer);
        }
        Ok(Change {
            answer: ServiceAccountCreated {
                object: account.object,
                id: account.id,
                name: account.name,
                role: account.role,
                created_at: account.created_at,
                api_key,
            },
            events,
        })
    }

    /// Changes a service account; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_service_account(
        &mut self,
        project: &ProjectId,
        id: &ServiceAccountId,
        update: ServiceAccountUpdateRequest,
    ) -> Result<Change<ServiceAccount>, StoreError> {
        let audited = self.open_project(project, Archived::Allowed).await?;
        let mut account = self.find_service_account(project, id).await?;
        let name = update.name.filter(|name| account.name != *name);
        let role = update.role.filter(|role| account.role != *role);
        if name.is_none() && role.is_none() {
            return Ok(Change::none(account));
        }
        account.name = name.unwrap_or(account.name);
        account.role = role.map_or(account.role, Into::into);
        self.connection
            .execute(
                "UPDATE service_accounts SET name = $2, role = $3 WHERE id = $1",
                params![id, account.name, account.role.to_string()],
            )
            .await?;
        let event = AuditEvent::ServiceAccountUpdated {
            project: audited,
            id: id.clone(),
            role: role.map(|role| role.as_str().to_owned()),
        };
        Ok(Change {
            answer: account,
            events: vec![event],
        })
    }

    /// Deletes a service account, its keys and the federation rules that give tokens of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_service_account(
        &mut self,
        project: &ProjectId,
        id: &ServiceAccountId,
    ) -> Result<Change<DeletedServiceAccount>, StoreError> {
        let audited = self.open_project(project, Archived::Allowed).await?;
        self.find_service_account(project, id).await?;
        let rules = Of::ServiceAccount(id);
        let mut events = self.delete_federation_rules_of(rules).await?;
        let keys = self.delete_keys(DeletedKeys::OfServiceAccount(project, id));
        let keys = keys.await?;
        self.connection
            .execute("DELETE FROM service_accounts WHERE id = $1", params![id])
            .await?;
        events.extend(keys.into_iter().map(|key| AuditEvent::ApiKeyDeleted {
            project: Some(audited.clone()),
            id: key,
        }));
        events.push(AuditEvent::ServiceAccountDeleted {
            project: audited,
            id: id.clone(),
        });
        Ok(Change {
            answer: DeletedServiceAccount {
                object: DeletedServiceAccountObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events,
        })
    }

    /// Creates another key for a service account. Without a name, it gets the account's. `scopes` are
    /// only in the audit event: project keys have none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::ProjectArchived`].
    pub async fn create_service_account_api_key(
        &mut self,
        project: &ProjectId,
        id: &ServiceAccountId,
        name: Option<String>,
        scopes: Vec<String>,
    ) -> Result<Change<ServiceAccountApiKey>, StoreError> {
        let audited = self.open_project(project, Archived::Refused).await?;
        let account = self.find_service_account(project, id).await?;
        self.add_key(audited, &account, name, scopes).await
    }

    pub(super) async fn find_service_account(
        &mut self,
        project: &ProjectId,
        id: &ServiceAccountId,
    ) -> Result<ServiceAccount, StoreError> {
        find(&mut self.connection, &self.organization, project, id).await
    }

    async fn insert_service_account(
        &mut self,
        project: &ProjectId,
        account: &ServiceAccount,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO service_accounts (id, organization_id, project_id, name, role, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                params![
                    account.id,
                    self.organization,
                    project,
                    account.name,
                    account.role.to_string(),
                    self.now,
                ],
            )
            .await
    }

    async fn add_key(
        &mut self,
        project: AuditProject,
        account: &ServiceAccount,
        name: Option<String>,
        scopes: Vec<String>,
    ) -> Result<Change<ServiceAccountApiKey>, StoreError> {
        self.check_quota(Quota::ApiKeys).await?;
        let name = name.unwrap_or_else(|| account.name.clone());
        let key = NewKey {
            project: Some(&project.id),
            service_account: Some(&account.id),
            created_at: self.now,
            ..NewKey::mint(self.sources(), KeyKind::Project, &name)?
        };
        let connection = &mut self.connection;
        self.keys
            .insert(connection, &self.organization, &key)
            .await?;
        let (id, value) = (key.id, key.value);
        let event = AuditEvent::ApiKeyCreated {
            project: Some(project),
            id: id.clone(),
            scopes,
        };
        Ok(Change {
            answer: ServiceAccountApiKey {
                object: ServiceAccountApiKeyObject::ApiKey.into(),
                value,
                name,
                created_at: self.now,
                id,
            },
            events: vec![event],
        })
    }
}

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.name, t.role, t.created_at",
        from: "FROM service_accounts t WHERE t.organization_id = $1 AND t.project_id = $2",
        only: "",
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    project: &ProjectId,
    id: &ServiceAccountId,
) -> Result<ServiceAccount, StoreError> {
    listing(params![organization, project])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::ServiceAccount, id.as_str()))
}

impl FromRow for ServiceAccount {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: ServiceAccountObject::ServiceAccount.into(),
            id: row.next()?,
            name: row.next()?,
            role: row.next()?,
            created_at: row.next()?,
        })
    }
}
