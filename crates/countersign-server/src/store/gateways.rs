//! Gateways, as they report themselves.

use countersign_types::{
    UnixSeconds,
    bundle::{Gateway, GatewayState, Gateways},
    id::GatewayId,
};

use super::{
    Store, StoreError, revision,
    row::{FromRow, Row},
    value::params,
};

/// How long a gateway is kept after it was last seen, in seconds: a day.
const FORGET_AFTER: UnixSeconds = 24 * 60 * 60;

impl Store {
    /// The gateways that were seen at or after a time (Unix seconds), and the deployment's revision.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateways(&self, seen_since: UnixSeconds) -> Result<Gateways, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let revision = revision::read(&mut connection).await?;
        let gateways = connection
            .query(
                "SELECT id, name, revision, seen_at FROM gateways WHERE seen_at >= $1 \
                 ORDER BY name, id",
                params![seen_since],
            )
            .await?;
        Ok(Gateways { revision, gateways })
    }

    /// Records that a gateway was seen now, and which revision it enforces.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_gateway(
        &self,
        id: &GatewayId,
        name: &str,
        revision: u64,
    ) -> Result<(), StoreError> {
        let now = self.inner.sources.now();
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "INSERT INTO gateways (id, name, revision, seen_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                 revision = excluded.revision, seen_at = excluded.seen_at",
                params![id, name, revision, now,],
            )
            .await?;
        connection
            .execute(
                "DELETE FROM gateways WHERE seen_at < $1",
                params![now.saturating_sub(FORGET_AFTER)],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }
}

impl FromRow for Gateway {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
            revision: row.next()?,
            state: GatewayState::Live,
            durable: true,
            seen_at: row.next()?,
        })
    }
}
