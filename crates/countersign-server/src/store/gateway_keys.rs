//! Keys of gateways, which belong to no organization and may be limited to some.

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    id::{ApiKeyId, OrganizationId},
    secret::Secret,
};
use serde::Serialize;

use super::{
    Kind, Store, StoreError,
    api_keys::unknown,
    connection::Connection,
    key_rows,
    new_key::NewKey,
    row::{FromRow, Row},
    value::params,
};

/// A gateway's key, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// Its prefix and last four characters.
    pub redacted_value: String,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// The organizations that it is limited to; none if it reaches all.
    pub organizations: Option<Vec<GatewayKeyOrganization>>,
}

/// An organization that a gateway key is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayKeyOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
}

/// A new gateway key, with its value, which can never be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedGatewayKey {
    /// The key.
    pub key: GatewayKey,
    /// Its value.
    pub value: Secret,
}

impl Store {
    /// Creates a gateway key, which reaches every organization.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_gateway_key(&self, name: &str) -> Result<CreatedGatewayKey, StoreError> {
        self.create_gateway_key_for(name, None).await
    }

    /// Creates a gateway key, which reaches only these organizations if some are given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an organization.
    pub async fn create_gateway_key_for(
        &self,
        name: &str,
        only: Option<&[OrganizationId]>,
    ) -> Result<CreatedGatewayKey, StoreError> {
        let sources = &self.inner.sources;
        let key = NewKey::mint(sources, KeyKind::Gateway, name)?;
        let mut connection = self.inner.database.transaction().await?;
        key_rows::insert_gateway_key(&mut connection, &key).await?;
        let organizations = match only {
            None => None,
            Some(only) => Some(limit(&mut connection, &key.id, only).await?),
        };
        connection.commit("COMMIT", || ()).await?;
        Ok(CreatedGatewayKey {
            key: GatewayKey {
                id: key.id,
                name: name.to_owned(),
                redacted_value: key.value.redacted(),
                created_at: key.created_at,
                organizations,
            },
            value: key.value,
        })
    }

    /// Every gateway key, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateway_keys(&self) -> Result<Vec<GatewayKey>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let mut keys: Vec<GatewayKey> = connection
            .query(
                "SELECT id, name, redacted_value, created_at, limited FROM api_keys \
                 WHERE kind = 'gateway' AND organization_id IS NULL ORDER BY created_at, seq",
                &[],
            )
            .await?;
        let limits: Vec<(ApiKeyId, GatewayKeyOrganization)> = connection
            .query(
                "SELECT l.key_id, o.id, o.name FROM gateway_key_organizations l \
                 JOIN organizations o ON o.id = l.organization_id ORDER BY o.created_at, o.seq",
                &[],
            )
            .await?;
        for (key, organization) in limits {
            let limited = keys.iter_mut().find(|each| each.id == key);
            let organizations = limited.and_then(|key| key.organizations.as_mut());
            organizations
                .into_iter()
                .for_each(|all| all.push(organization.clone()));
        }
        Ok(keys)
    }

    /// Deletes a gateway key. Receipts with keys that were registered with it are believed no more, which
    /// organizations' audit logs say first. A gateway that is listed as having asked with it still concerns
    /// only the organizations that it was limited to.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_gateway_key(&self, id: &ApiKeyId) -> Result<(), StoreError> {
        self.withdraw_receipt_keys_of(id).await?;
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "DELETE FROM former_key_organizations WHERE NOT EXISTS (\
                 SELECT 1 FROM gateways g WHERE g.key_id = former_key_organizations.key_id)",
                &[],
            )
            .await?;
        for sql in [
            "INSERT INTO former_key_organizations (key_id, organization_id) \
             SELECT key_id, organization_id FROM gateway_key_organizations WHERE key_id = $1",
            "DELETE FROM gateway_key_organizations WHERE key_id = $1",
        ] {
            connection.execute(sql, params![id]).await?;
        }
        if !key_rows::delete_gateway_key(&mut connection, id).await? {
            return Err(unknown(id));
        }
        connection.commit("COMMIT", || ()).await
    }
}

/// Limits a new gateway key to these organizations.
async fn limit(
    connection: &mut Connection,
    key: &ApiKeyId,
    only: &[OrganizationId],
) -> Result<Vec<GatewayKeyOrganization>, StoreError> {
    key_rows::limit_gateway_key(connection, key).await?;
    let mut organizations = Vec::with_capacity(only.len());
    for id in only {
        let sql = "SELECT id, name FROM organizations WHERE id = $1";
        let found: Option<GatewayKeyOrganization> = connection.find(sql, params![id]).await?;
        let unknown = || StoreError::not_found(Kind::Organization, id.as_str());
        organizations.push(found.ok_or_else(unknown)?);
        connection
            .execute(
                "INSERT INTO gateway_key_organizations (key_id, organization_id) VALUES ($1, $2) \
                 ON CONFLICT (key_id, organization_id) DO NOTHING",
                params![key, id],
            )
            .await?;
    }
    Ok(organizations)
}

impl FromRow for GatewayKeyOrganization {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
        })
    }
}

impl FromRow for GatewayKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
            redacted_value: row.next()?,
            created_at: row.next()?,
            organizations: (row.next::<u64>()? != 0).then(Vec::new),
        })
    }
}
