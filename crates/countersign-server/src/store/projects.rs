//! Projects.

use countersign_types::{
    id::{OrganizationId, ProjectId},
    page::Page,
    project::{Project, ProjectCreateRequest, ProjectUpdateRequest},
};

use super::{Change, PageRequest, Store, StoreError, WriteTx, unfinished};

/// A project to make: what the API is asked for is what is kept.
pub type NewProject = ProjectCreateRequest;

impl Store {
    /// The projects of an organization; archived ones only when asked for.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_projects(
        &self,
        _organization: &OrganizationId,
        _request: &PageRequest,
        _include_archived: bool,
    ) -> Result<Page<Project>, StoreError> {
        Err(unfinished())
    }

    /// A project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_project(
        &self,
        _organization: &OrganizationId,
        _id: &ProjectId,
    ) -> Result<Project, StoreError> {
        Err(unfinished())
    }
}

impl WriteTx {
    /// Makes a project.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_project(
        &mut self,
        _new: NewProject,
    ) -> Result<Change<Project>, StoreError> {
        Err(unfinished())
    }

    /// Changes a project; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_project(
        &mut self,
        _id: &ProjectId,
        _update: ProjectUpdateRequest,
    ) -> Result<Change<Project>, StoreError> {
        Err(unfinished())
    }

    /// Archives a project for good; again, nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn archive_project(
        &mut self,
        _id: &ProjectId,
    ) -> Result<Change<Project>, StoreError> {
        Err(unfinished())
    }
}
