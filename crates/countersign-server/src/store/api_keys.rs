//! Keys: who calls, and the lists of admin, project and gateway keys.

use aws_lc_rs::digest;
use countersign_types::{
    UnixSeconds,
    api_key::{
        AdminApiKey, DeletedAdminApiKey, DeletedProjectApiKey, KeyKind, Permission, ProjectApiKey,
    },
    id::{ApiKeyId, OrganizationId, ProjectId},
    page::Page,
    secret::Secret,
};

use super::{Change, PageRequest, Store, StoreError, WriteTx, unfinished};

/// Whose key it is. The caller of the store decides whether it opens anything: expiry and an
/// archived project are told, not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organization; `None` for a gateway's key.
    pub organization: Option<OrganizationId>,
    /// The key's id.
    pub key: ApiKeyId,
    /// Which kind of key it is.
    pub kind: KeyKind,
    /// What an admin key may do; empty for other kinds.
    pub permissions: Vec<Permission>,
    /// The project that a project key calls as.
    pub project: Option<ProjectId>,
    /// Whether that project is archived.
    pub project_archived: bool,
    /// When the key stops working, in Unix seconds.
    pub expires_at: Option<UnixSeconds>,
}

/// An admin key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdminApiKey {
    /// Its name.
    pub name: String,
    /// Seconds until it stops working.
    pub expires_in_seconds: Option<u32>,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// A gateway's key, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// Its prefix and last four characters.
    pub redacted_value: String,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
}

/// A new gateway key, whose value is shown this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedGatewayKey {
    /// The key.
    pub key: GatewayKey,
    /// Its value.
    pub value: Secret,
}

/// What a key is found by: SHA-256 of its value.
#[must_use]
pub fn key_digest(value: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, value.as_bytes()).as_ref());
    bytes
}

impl Store {
    /// Whose key has that digest, of any kind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn caller(&self, _digest: &[u8; 32]) -> Result<Option<Caller>, StoreError> {
        Err(unfinished())
    }

    /// The keys of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::UnknownCursor`].
    pub async fn list_project_api_keys(
        &self,
        _organization: &OrganizationId,
        _project: &ProjectId,
        _request: &PageRequest,
    ) -> Result<Page<ProjectApiKey>, StoreError> {
        Err(unfinished())
    }

    /// A key of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_project_api_key(
        &self,
        _organization: &OrganizationId,
        _project: &ProjectId,
        _id: &ApiKeyId,
    ) -> Result<ProjectApiKey, StoreError> {
        Err(unfinished())
    }

    /// The admin keys of an organization.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_admin_api_keys(
        &self,
        _organization: &OrganizationId,
        _request: &PageRequest,
    ) -> Result<Page<AdminApiKey>, StoreError> {
        Err(unfinished())
    }

    /// An admin key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_admin_api_key(
        &self,
        _organization: &OrganizationId,
        _id: &ApiKeyId,
    ) -> Result<AdminApiKey, StoreError> {
        Err(unfinished())
    }

    /// Makes a key that reads bundles.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_gateway_key(&self, _name: &str) -> Result<CreatedGatewayKey, StoreError> {
        Err(unfinished())
    }

    /// Every gateway key, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateway_keys(&self) -> Result<Vec<GatewayKey>, StoreError> {
        Err(unfinished())
    }

    /// Deletes a gateway key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_gateway_key(&self, _id: &ApiKeyId) -> Result<(), StoreError> {
        Err(unfinished())
    }
}

impl WriteTx {
    /// Makes an admin key; the answer holds its value, this once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_admin_api_key(
        &mut self,
        _new: NewAdminApiKey,
    ) -> Result<Change<AdminApiKey>, StoreError> {
        Err(unfinished())
    }

    /// Deletes an admin key, were it the last: the operator can make another at the machine.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_admin_api_key(
        &mut self,
        _id: &ApiKeyId,
    ) -> Result<Change<DeletedAdminApiKey>, StoreError> {
        Err(unfinished())
    }

    /// Deletes a project's key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_project_api_key(
        &mut self,
        _project: &ProjectId,
        _id: &ApiKeyId,
    ) -> Result<Change<DeletedProjectApiKey>, StoreError> {
        Err(unfinished())
    }
}
