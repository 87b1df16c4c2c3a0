//! Keys: who calls, and the lists of admin, project and gateway keys.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    api_key::{
        AdminApiKey, AdminApiKeyObject, AdminApiKeyOwner, DeletedAdminApiKey,
        DeletedAdminApiKeyObject, DeletedProjectApiKey, DeletedProjectApiKeyObject, KeyKind,
        Permission, ProjectApiKey, ProjectApiKeyObject, ProjectApiKeyOwner,
        ProjectApiKeyOwnerServiceAccount,
    },
    audit::AuditEvent,
    digest::KeyDigest,
    id::{ApiKeyId, OrganizationId, ProjectId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    caller::Caller,
    dialect::Dialect,
    key_rows::DeletedKeys,
    listing::Listing,
    new_key::NewKey,
    projects::{self, Archived},
    reach::{self, Reach},
    row::{FromRow, Row},
    value::{ToValue, Value, params},
};

const CALLER: &str = "SELECT k.organization_id, k.id, k.kind, k.permissions, k.project_id, \
     p.archived_at, k.expires_at, k.limited, k.digest \
     FROM api_keys k LEFT JOIN projects p ON p.id = k.project_id WHERE k.digest";
/// The most keys that are looked for by one statement.
const AT_A_TIME: usize = 32;

/// An admin key to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdminApiKey {
    /// Its name.
    pub name: String,
    /// Seconds until it stops working.
    pub expires_in_seconds: Option<u32>,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

impl Store {
    /// Finds the key with this digest, of any kind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn caller(&self, digest: KeyDigest) -> Result<Option<Caller>, StoreError> {
        let found = match self.inner.database.dialect() {
            // A look takes less time than to wait for others.
            Dialect::Sqlite => return Ok(self.find_callers(vec![digest]).await?.remove(&digest)),
            Dialect::Postgres => {
                let find = async |digests| Ok(Arc::new(self.find_callers(digests).await?));
                self.inner.callers.take(digest, find).await?
            }
        };
        Ok(found.get(&digest).cloned())
    }

    /// The keys with these digests, as far as there are any.
    async fn find_callers(
        &self,
        mut digests: Vec<KeyDigest>,
    ) -> Result<HashMap<KeyDigest, Caller>, StoreError> {
        digests.sort_unstable();
        digests.dedup();
        let mut connection = self.reader().await?;
        let mut callers = HashMap::with_capacity(digests.len());
        for some in digests.chunks(AT_A_TIME) {
            let places: Vec<String> = (1..=some.len()).map(|place| format!("${place}")).collect();
            let sql = format!("{CALLER} IN ({})", places.join(", "));
            let values: Vec<Value<'_>> = some.iter().map(ToValue::to_value).collect();
            let found: Vec<FoundCaller> = connection.query(&sql, &values).await?;
            for FoundCaller(mut caller, limited, digest) in found {
                if limited {
                    caller.reach = reach::of_key(&mut connection, &caller.key).await?;
                }
                callers.insert(digest, caller);
            }
        }
        Ok(callers)
    }

    /// The keys of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::UnknownCursor`].
    pub async fn list_project_api_keys(
        &self,
        organization: &OrganizationId,
        project: &ProjectId,
        request: &PageRequest,
    ) -> Result<Page<ProjectApiKey>, StoreError> {
        let mut connection = self.list_reader().await?;
        projects::find(&mut connection, organization, project).await?;
        project_keys(params![organization, project])
            .page(&mut connection, request)
            .await
    }

    /// A key of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_project_api_key(
        &self,
        organization: &OrganizationId,
        project: &ProjectId,
        id: &ApiKeyId,
    ) -> Result<ProjectApiKey, StoreError> {
        let mut connection = self.reader().await?;
        project_keys(params![organization, project])
            .retrieve(&mut connection, id.as_str())
            .await?
            .ok_or_else(|| unknown(id))
    }

    /// The admin keys of an organization.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_admin_api_keys(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<AdminApiKey>, StoreError> {
        let mut connection = self.list_reader().await?;
        admin_keys(params![organization])
            .page(&mut connection, request)
            .await
    }

    /// An admin key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_admin_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
    ) -> Result<AdminApiKey, StoreError> {
        let mut connection = self.reader().await?;
        admin_keys(params![organization])
            .retrieve(&mut connection, id.as_str())
            .await?
            .ok_or_else(|| unknown(id))
    }
}

impl WriteTx {
    /// Creates an admin key. Its value is in the answer, and can never be read again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_admin_api_key(
        &mut self,
        new: NewAdminApiKey,
    ) -> Result<Change<AdminApiKey>, StoreError> {
        self.check_quota(Quota::ApiKeys).await?;
        let expires_at = new
            .expires_in_seconds
            .map(|after| self.now + u64::from(after));
        let scopes: Vec<&str> = new.permissions.iter().map(|each| each.as_str()).collect();
        let key = NewKey {
            permissions: scopes.join(" "),
            created_at: self.now,
            expires_at,
            ..NewKey::mint(self.sources(), KeyKind::Admin, &new.name)?
        };
        let connection = &mut self.connection;
        self.keys
            .insert(connection, &self.organization, &key)
            .await?;
        let (id, value) = (key.id, key.value);
        let mut answer: AdminApiKey = admin_keys(params![self.organization])
            .retrieve(&mut self.connection, id.as_str())
            .await?
            .ok_or_else(|| unknown(&id))?;
        answer.value = Some(value);
        let event = AuditEvent::ApiKeyCreated {
            project: None,
            id,
            scopes: scopes.into_iter().map(str::to_owned).collect(),
        };
        Ok(Change {
            answer,
            events: vec![event],
        })
    }

    /// Takes keys away, and says which.
    pub(super) async fn delete_keys(
        &mut self,
        which: DeletedKeys<'_>,
    ) -> Result<Vec<ApiKeyId>, StoreError> {
        self.keys
            .delete(&mut self.connection, &self.organization, which)
            .await
    }

    /// Deletes an admin key, even the last one: the operator can create another on the server.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_admin_api_key(
        &mut self,
        id: &ApiKeyId,
    ) -> Result<Change<DeletedAdminApiKey>, StoreError> {
        if self.delete_keys(DeletedKeys::Admin(id)).await?.is_empty() {
            return Err(unknown(id));
        }
        let event = AuditEvent::ApiKeyDeleted {
            project: None,
            id: id.clone(),
        };
        Ok(Change {
            answer: DeletedAdminApiKey {
                object: DeletedAdminApiKeyObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![event],
        })
    }

    /// Deletes a project's key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_project_api_key(
        &mut self,
        project: &ProjectId,
        id: &ApiKeyId,
    ) -> Result<Change<DeletedProjectApiKey>, StoreError> {
        let audited = self.open_project(project, Archived::Allowed).await?;
        let of_project = DeletedKeys::OfProject(project, id);
        if self.delete_keys(of_project).await?.is_empty() {
            return Err(unknown(id));
        }
        let event = AuditEvent::ApiKeyDeleted {
            project: Some(audited),
            id: id.clone(),
        };
        Ok(Change {
            answer: DeletedProjectApiKey {
                object: DeletedProjectApiKeyObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![event],
        })
    }
}

pub(super) fn unknown(id: &ApiKeyId) -> StoreError {
    StoreError::not_found(Kind::ApiKey, id.as_str())
}

/// Whose key it is, before its reach is read, and whether that is limited.
struct FoundCaller(Caller, bool, KeyDigest);

impl FromRow for FoundCaller {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(row.several()?, row.next::<u64>()? != 0, row.next()?))
    }
}

impl FromRow for Caller {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            reach: Reach::All,
            organization: row.next()?,
            key: row.next()?,
            kind: row.next()?,
            permissions: row.next()?,
            project: row.next()?,
            project_archived: row.next::<Option<UnixSeconds>>()?.is_some(),
            expires_at: row.next()?,
        })
    }
}

const fn admin_keys<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.name, t.redacted_value, t.created_at, t.expires_at, o.id, o.name, \
                  o.created_at, t.permissions",
        from: "FROM api_keys t JOIN organizations o ON o.id = t.organization_id \
               WHERE t.organization_id = $1 AND t.kind = 'admin'",
        only: "",
        values,
    }
}

impl FromRow for AdminApiKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let known = |scopes: Vec<Permission>| scopes.into_iter().map(Into::into).collect();
        Ok(Self {
            object: AdminApiKeyObject::AdminApiKey.into(),
            id: row.next()?,
            name: Some(row.next()?),
            redacted_value: row.next()?,
            value: None,
            created_at: row.next()?,
            expires_at: row.next()?,
            last_used_at: None,
            owner: AdminApiKeyOwner {
                kind: "organization".to_owned(),
                object: "organization".to_owned(),
                id: row.next()?,
                name: row.next()?,
                created_at: row.next()?,
                role: "owner".to_owned(),
            },
            scopes: Some(known(row.next()?)),
        })
    }
}

const fn project_keys<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        // Of each kind of use, the latest day alone is looked at.
        columns: "t.id, t.name, t.redacted_value, t.created_at, \
                  (SELECT max(d.last_seen) FROM observed_outcomes o JOIN observations d \
                   ON d.outcome = o.seq AND d.day = o.last_day \
                   WHERE o.organization_id = t.organization_id AND o.project_id = t.project_id \
                   AND o.key_id = t.id), \
                  p.archived_at, s.id, s.name, s.created_at, s.role",
        from: "FROM api_keys t JOIN service_accounts s ON s.id = t.service_account_id \
               JOIN projects p ON p.id = t.project_id \
               WHERE t.organization_id = $1 AND t.project_id = $2",
        only: "",
        values,
    }
}

impl FromRow for ProjectApiKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: ProjectApiKeyObject::ProjectApiKey.into(),
            id: row.next()?,
            name: row.next()?,
            redacted_value: row.next()?,
            created_at: row.next()?,
            last_used_at: row.next()?,
            owner_project_access: Some(match row.next::<Option<UnixSeconds>>()? {
                Some(_) => "inactive".to_owned(),
                None => "active".to_owned(),
            }),
            owner: ProjectApiKeyOwner {
                kind: Some("service_account".to_owned()),
                service_account: Some(ProjectApiKeyOwnerServiceAccount {
                    id: row.next()?,
                    name: row.next()?,
                    created_at: row.next()?,
                    role: row.next()?,
                }),
            },
        })
    }
}
