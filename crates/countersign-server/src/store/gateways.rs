//! Gateways, as far as they tell of themselves.

use countersign_types::{UnixSeconds, bundle::Gateways, id::GatewayId};

use super::{Store, StoreError, unfinished};

impl Store {
    /// The gateways that were seen at or after a moment (Unix seconds), and the deployment's
    /// revision.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateways(&self, _seen_since: UnixSeconds) -> Result<Gateways, StoreError> {
        Err(unfinished())
    }

    /// Keeps that a gateway was seen just now, and the revision that it enforces.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_gateway(
        &self,
        _id: &GatewayId,
        _name: &str,
        _revision: u64,
    ) -> Result<(), StoreError> {
        Err(unfinished())
    }
}
