//! The rows of keys: the only file that adds keys and takes them away, so that no gateway misses one
//! (docs/specification.md, section 4).

use countersign_types::{
    api_key::KeyKind,
    bundle::{BundleKey, KeysSum},
    digest::{KeyDigest, Sha256},
    id::{ApiKeyId, OrganizationId, ProjectId, ServiceAccountId},
};

use super::{StoreError, connection::Connection, new_key::NewKey, value::params};

/// What gateways are told of a key.
const COLUMNS: &str = "id, kind, digest, project_id, expires_at";

/// Keys that are taken away.
#[derive(Debug, Clone, Copy)]
pub(super) enum DeletedKeys<'a> {
    /// An admin key.
    Admin(&'a ApiKeyId),
    /// A project's key.
    OfProject(&'a ProjectId, &'a ApiKeyId),
    /// All of a project's service account.
    OfServiceAccount(&'a ProjectId, &'a ServiceAccountId),
}

/// The keys that a write adds and takes away.
#[derive(Debug)]
pub(super) struct ChangedKeys {
    /// The sum of the organization's keys, as this write has left them so far; none where nobody added them up
    /// yet.
    sum: Option<KeysSum>,
    ids: Vec<ApiKeyId>,
}

impl ChangedKeys {
    /// None yet, of an organization whose keys have this sum.
    pub(super) fn none(sum: Option<Sha256>) -> Self {
        Self {
            sum: sum.map(KeysSum::from),
            ids: Vec::new(),
        }
    }

    /// Adds a key of the organization.
    pub(super) async fn insert(
        &mut self,
        connection: &mut Connection,
        organization: &OrganizationId,
        key: &NewKey<'_>,
    ) -> Result<(), StoreError> {
        insert(connection, key, Some(organization)).await?;
        self.change(BundleKey {
            id: key.id.clone(),
            kind: key.kind,
            sha256: KeyDigest::of(key.value.reveal()),
            project: key.project.cloned(),
            expires_at: key.expires_at,
        });
        Ok(())
    }

    /// Takes keys of the organization away, and says which.
    pub(super) async fn delete(
        &mut self,
        connection: &mut Connection,
        organization: &OrganizationId,
        which: DeletedKeys<'_>,
    ) -> Result<Vec<ApiKeyId>, StoreError> {
        let (condition, [second, third]) = match which {
            DeletedKeys::Admin(id) => (
                "kind = $2 AND id = $3",
                [KeyKind::Admin.as_str(), id.as_str()],
            ),
            DeletedKeys::OfProject(project, id) => (
                "project_id = $2 AND id = $3",
                [project.as_str(), id.as_str()],
            ),
            DeletedKeys::OfServiceAccount(project, account) => (
                "project_id = $2 AND service_account_id = $3",
                [project.as_str(), account.as_str()],
            ),
        };
        let sql = format!(
            "DELETE FROM api_keys WHERE organization_id = $1 AND {condition} \
             RETURNING {COLUMNS}"
        );
        let of = params![organization, second, third];
        let deleted: Vec<BundleKey> = connection.query(&sql, of).await?;
        let ids = deleted.iter().map(|key| key.id.clone()).collect();
        deleted.into_iter().for_each(|key| self.change(key));
        Ok(ids)
    }

    fn change(&mut self, key: BundleKey) {
        if let Some(sum) = &mut self.sum {
            sum.toggle(&key);
        }
        self.ids.push(key.id);
    }

    /// Writes which keys changed with this revision, and their sum.
    pub(super) async fn write(
        &self,
        connection: &mut Connection,
        organization: &OrganizationId,
        revision: u64,
    ) -> Result<(), StoreError> {
        for id in &self.ids {
            let sql =
                "INSERT INTO key_changes (organization_id, revision, key_id) VALUES ($1, $2, $3)";
            let row = params![organization, revision, id];
            connection.execute(sql, row).await?;
        }
        let sum = match self.sum {
            Some(_) if self.ids.is_empty() => return Ok(()),
            Some(sum) => sum,
            None => add_up(connection, organization).await?,
        };
        let sql = "UPDATE organizations SET keys_sum = $2 WHERE id = $1";
        let sum = Sha256::from(sum).to_string();
        connection.execute(sql, params![organization, sum]).await?;
        Ok(())
    }
}

async fn add_up(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<KeysSum, StoreError> {
    let sql =
        "SELECT id, kind, digest, project_id, expires_at FROM api_keys WHERE organization_id = $1";
    let keys: Vec<BundleKey> = connection.query(sql, params![organization]).await?;
    Ok(KeysSum::of(&keys))
}

/// Forgets which keys changed with a revision or an earlier one: nobody asks for what came after that any more.
pub(super) async fn forget_changes(
    connection: &mut Connection,
    revision: u64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM key_changes WHERE revision <= $1";
    connection.execute(sql, params![revision]).await?;
    Ok(())
}

/// Adds a gateway's key, which is of no organization.
pub(super) async fn insert_gateway_key(
    connection: &mut Connection,
    key: &NewKey<'_>,
) -> Result<(), StoreError> {
    insert(connection, key, None).await
}

/// Says that a gateway's key reaches some organizations only.
pub(super) async fn limit_gateway_key(
    connection: &mut Connection,
    id: &ApiKeyId,
) -> Result<(), StoreError> {
    let sql = "UPDATE api_keys SET limited = 1 WHERE id = $1";
    connection.execute(sql, params![id]).await?;
    Ok(())
}

/// Takes a gateway's key away; whether there was one.
pub(super) async fn delete_gateway_key(
    connection: &mut Connection,
    id: &ApiKeyId,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM api_keys WHERE id = $1 AND kind = 'gateway'";
    Ok(connection.execute(sql, params![id]).await? > 0)
}

async fn insert(
    connection: &mut Connection,
    key: &NewKey<'_>,
    organization: Option<&OrganizationId>,
) -> Result<(), StoreError> {
    let redacted = key.value.redacted();
    connection
        .execute(
            "INSERT INTO api_keys (id, kind, organization_id, project_id, \
             service_account_id, name, digest, redacted_value, permissions, created_at, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                key.id,
                key.kind.as_str(),
                organization.map(OrganizationId::as_str),
                key.project.map(ProjectId::as_str),
                key.service_account.map(ServiceAccountId::as_str),
                key.name,
                KeyDigest::of(key.value.reveal()).as_bytes(),
                redacted,
                key.permissions,
                key.created_at,
                key.expires_at,
            ],
        )
        .await?;
    Ok(())
}
