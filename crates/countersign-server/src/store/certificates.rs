//! Trust anchors.

use std::fmt;

use countersign_types::{
    UnixSeconds,
    certificate::{Certificate, DeletedCertificate, Scope, ScopedCertificate},
    id::{CertificateId, OrganizationId},
    page::Page,
};

use super::{Change, PageRequest, Store, StoreError, WriteTx, unfinished};

/// A certificate that was judged fit to be an anchor.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// The PEM, kept byte for byte.
    pub pem: String,
    /// Its name.
    pub name: Option<String>,
    /// Its CEL policy, already checked.
    pub cel_policy: Option<String>,
    /// `notBefore`, in Unix seconds.
    pub valid_at: UnixSeconds,
    /// `notAfter`, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// SHA-256 of the certificate's DER.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for NewCertificate {
    /// Leaves the PEM out: a body never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCertificate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Every certificate of the organization, with whether it is active at the scope.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown project, [`StoreError::UnknownCursor`].
    pub async fn list_certificates(
        &self,
        _organization: &OrganizationId,
        _scope: &Scope,
        _request: &PageRequest,
    ) -> Result<Page<ScopedCertificate>, StoreError> {
        Err(unfinished())
    }

    /// A certificate, with its PEM when `content` is asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_certificate(
        &self,
        _organization: &OrganizationId,
        _id: &CertificateId,
        _content: bool,
    ) -> Result<Certificate, StoreError> {
        Err(unfinished())
    }
}

impl WriteTx {
    /// Keeps a certificate, active nowhere.
    ///
    /// # Errors
    /// [`StoreError::CertificateLimit`].
    pub async fn upload_certificate(
        &mut self,
        _new: NewCertificate,
    ) -> Result<Change<Certificate>, StoreError> {
        Err(unfinished())
    }

    /// Renames a certificate. Without a name, or with the one that it has, nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_certificate(
        &mut self,
        _id: &CertificateId,
        _name: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        Err(unfinished())
    }

    /// Sets or removes a certificate's CEL policy, which the caller has checked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_policy(
        &mut self,
        _id: &CertificateId,
        _policy: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        Err(unfinished())
    }

    /// Deletes a certificate that is active nowhere.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::CertificateInUse`].
    pub async fn delete_certificate(
        &mut self,
        _id: &CertificateId,
    ) -> Result<Change<DeletedCertificate>, StoreError> {
        Err(unfinished())
    }
}
