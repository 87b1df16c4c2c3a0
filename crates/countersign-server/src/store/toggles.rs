//! Activation: which certificates are active at which scope.

use countersign_types::{
    certificate::{Scope, ScopedCertificate},
    id::CertificateId,
};

use super::{Change, StoreError, WriteTx, unfinished};

impl WriteTx {
    /// Activates certificates at a scope, all or none. Duplicates collapse; the answer follows the
    /// order of the request; the event names only those that were not active.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project or the first certificate that is not there,
    /// [`StoreError::Expired`], [`StoreError::ProjectArchived`].
    pub async fn activate_certificates(
        &mut self,
        _scope: &Scope,
        _ids: &[CertificateId],
    ) -> Result<Change<Vec<ScopedCertificate>>, StoreError> {
        Err(unfinished())
    }

    /// Deactivates certificates at a scope, all or none; an archived project allows it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project or the first certificate that is not there.
    pub async fn deactivate_certificates(
        &mut self,
        _scope: &Scope,
        _ids: &[CertificateId],
    ) -> Result<Change<Vec<ScopedCertificate>>, StoreError> {
        Err(unfinished())
    }
}
