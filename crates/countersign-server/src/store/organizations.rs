//! Organizations, which the operator creates.

use countersign_types::{
    api_key::{AdminApiKey, Permission},
    audit::{Actor, AuditCommit},
    bundle::KeysSum,
    id::OrganizationId,
    organization::Organization,
};

use super::{
    Kind, NewAdminApiKey, Store, StoreError, WriteTx,
    asserted::Asserted,
    audit_chain::Head,
    history,
    key_rows::ChangedKeys,
    row::{FromRow, Row},
    value::params,
};

const COLUMNS: &str = "t.id, t.name, t.created_at, t.revision";
/// The name of the key that is created with an organization.
const FIRST_KEY: &str = "First admin key";

/// A new organization and its first key, whose value can never be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedOrganization {
    /// The organization.
    pub organization: Organization,
    /// Its first admin key, which has every permission. Its `value` is set.
    pub key: AdminApiKey,
}

impl Store {
    /// Creates an organization and its first admin key, with the audit event of the key. (To create
    /// another key, use [`Store::write`] as `Actor::Operator`.)
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_organization(&self, name: &str) -> Result<CreatedOrganization, StoreError> {
        let inner = &self.inner;
        let mut organization = Organization {
            id: OrganizationId::from_random(inner.sources.id()?),
            name: name.to_owned(),
            created_at: inner.sources.now(),
            revision: 0,
        };
        let mut connection = inner.database.transaction().await?;
        connection
            .execute(
                "INSERT INTO organizations (id, name, created_at, revision, clock) \
                 VALUES ($1, $2, $3, 0, $3)",
                params![organization.id, name, organization.created_at,],
            )
            .await?;
        let mut tx = WriteTx {
            connection,
            store: self.clone(),
            organization: organization.id.clone(),
            actor: Actor::Operator,
            now: organization.created_at,
            head: Head::default(),
            commit: AuditCommit {
                token: history::draw(&inner.sources)?,
                after: 0,
            },
            webhooks: 0,
            asserted: Asserted::default(),
            keys: ChangedKeys::none(Some(KeysSum::NONE.into())),
        };
        let key = tx
            .create_admin_api_key(NewAdminApiKey {
                name: FIRST_KEY.to_owned(),
                expires_in_seconds: None,
                permissions: Permission::ALL.to_vec(),
            })
            .await?;
        organization.revision = tx.commit(key.events).await?.revision;
        Ok(CreatedOrganization {
            organization,
            key: key.answer,
        })
    }

    /// Every organization, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let mut connection = self.reader().await?;
        let sql = format!("SELECT {COLUMNS} FROM organizations t ORDER BY t.created_at, t.seq");
        connection.query(&sql, &[]).await
    }

    /// An organization.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_organization(
        &self,
        id: &OrganizationId,
    ) -> Result<Organization, StoreError> {
        let mut connection = self.reader().await?;
        let sql = format!("SELECT {COLUMNS} FROM organizations t WHERE t.id = $1");
        connection
            .find(&sql, params![id])
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Organization, id.as_str()))
    }
}

impl FromRow for Organization {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
            created_at: row.next()?,
            revision: row.next()?,
        })
    }
}
