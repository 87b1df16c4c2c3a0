//! The anchors that are active anywhere: for the operator's metrics.

use countersign_types::{
    UnixSeconds,
    id::{CertificateId, OrganizationId},
};

use super::{
    Store, StoreError,
    row::{FromRow, Row},
    value::params,
};

/// An anchor that is active somewhere, and when it expires: for the operator's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveAnchor {
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its id.
    pub certificate: CertificateId,
    /// `notAfter`, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// The last second at which all of its revocation lists are current, if it has any.
    pub lists_end_at: Option<UnixSeconds>,
}

impl Store {
    /// The active anchors of all organizations, those that expire first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_active_anchors(&self, limit: u32) -> Result<Vec<ActiveAnchor>, StoreError> {
        let mut connection = self.reader().await?;
        connection
            .query(
                "SELECT c.organization_id, c.id, c.expires_at, c.crl_next_update FROM certificates c \
                 WHERE EXISTS (SELECT 1 FROM activations a WHERE a.certificate_id = c.id) \
                 ORDER BY c.expires_at LIMIT $1",
                params![limit],
            )
            .await
    }
}

impl FromRow for ActiveAnchor {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            organization: row.next()?,
            certificate: row.next()?,
            expires_at: row.next()?,
            lists_end_at: row.next()?,
        })
    }
}
