//! Service accounts of projects, and the keys made for them.

use countersign_types::{
    id::{OrganizationId, ProjectId, ServiceAccountId},
    page::Page,
    project::{
        DeletedServiceAccount, ServiceAccount, ServiceAccountApiKey, ServiceAccountCreated,
        ServiceAccountUpdateRequest,
    },
};

use super::{Change, PageRequest, Store, StoreError, WriteTx, unfinished};

/// A service account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceAccount {
    /// Its name.
    pub name: String,
    /// Whether to make its first key with it.
    pub with_key: bool,
}

impl Store {
    /// The service accounts of a project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::UnknownCursor`].
    pub async fn list_service_accounts(
        &self,
        _organization: &OrganizationId,
        _project: &ProjectId,
        _request: &PageRequest,
    ) -> Result<Page<ServiceAccount>, StoreError> {
        Err(unfinished())
    }

    /// A service account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_service_account(
        &self,
        _organization: &OrganizationId,
        _project: &ProjectId,
        _id: &ServiceAccountId,
    ) -> Result<ServiceAccount, StoreError> {
        Err(unfinished())
    }
}

impl WriteTx {
    /// Makes a service account and, when asked, its first key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project, [`StoreError::ProjectArchived`].
    pub async fn create_service_account(
        &mut self,
        _project: &ProjectId,
        _new: NewServiceAccount,
    ) -> Result<Change<ServiceAccountCreated>, StoreError> {
        Err(unfinished())
    }

    /// Changes a service account; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_service_account(
        &mut self,
        _project: &ProjectId,
        _id: &ServiceAccountId,
        _update: ServiceAccountUpdateRequest,
    ) -> Result<Change<ServiceAccount>, StoreError> {
        Err(unfinished())
    }

    /// Deletes a service account and its keys.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_service_account(
        &mut self,
        _project: &ProjectId,
        _id: &ServiceAccountId,
    ) -> Result<Change<DeletedServiceAccount>, StoreError> {
        Err(unfinished())
    }

    /// Makes another key for a service account; without a name, it has the account's. `scopes`
    /// stand in the audit event only: project keys carry none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::ProjectArchived`].
    pub async fn create_service_account_api_key(
        &mut self,
        _project: &ProjectId,
        _id: &ServiceAccountId,
        _name: Option<String>,
        _scopes: Vec<String>,
    ) -> Result<Change<ServiceAccountApiKey>, StoreError> {
        Err(unfinished())
    }
}
