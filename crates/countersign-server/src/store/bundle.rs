//! What gateways are told: the organizations that changed, each whole (SPEC section 4).

use countersign_types::{
    UnixSeconds,
    bundle::Bundle,
    id::{CertificateId, OrganizationId},
};

use super::{Store, StoreError, unfinished};

/// An anchor that is active somewhere, and when it expires: for the operator's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveAnchor {
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its id.
    pub certificate: CertificateId,
    /// `notAfter`, in Unix seconds.
    pub expires_at: UnixSeconds,
}

impl Store {
    /// The organizations that changed after a revision, each whole, all at one moment. From 0, or
    /// from a revision that the database has not reached (it was restored), every organization.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle(&self, _after: u64) -> Result<Bundle, StoreError> {
        Err(unfinished())
    }

    /// The active anchors of every organization that expire first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_active_anchors(&self, _limit: u32) -> Result<Vec<ActiveAnchor>, StoreError> {
        Err(unfinished())
    }
}
