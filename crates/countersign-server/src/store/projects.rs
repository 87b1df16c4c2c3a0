//! Projects.

use countersign_types::{
    UnixSeconds,
    audit::{AuditEvent, AuditProject},
    id::{OrganizationId, ProjectId},
    page::Page,
    project::{Project, ProjectCreateRequest, ProjectObject, ProjectUpdateRequest},
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    row::{FromRow, Row, word},
    value::{Value, params},
};

/// A project to create, as the API's request has it.
pub type NewProject = ProjectCreateRequest;

impl Store {
    /// The projects of an organization; archived ones only when asked for.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_projects(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
        include_archived: bool,
    ) -> Result<Page<Project>, StoreError> {
        let mut connection = self.list_reader().await?;
        let values = params![organization];
        let mut listing = listing(values);
        if !include_archived {
            listing.only = " AND t.archived_at IS NULL";
        }
        listing.page(&mut connection, request).await
    }

    /// A project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_project(
        &self,
        organization: &OrganizationId,
        id: &ProjectId,
    ) -> Result<Project, StoreError> {
        let mut connection = self.reader().await?;
        find(&mut connection, organization, id).await
    }
}

impl WriteTx {
    /// Creates a project.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`].
    pub async fn create_project(&mut self, new: NewProject) -> Result<Change<Project>, StoreError> {
        self.check_quota(Quota::Projects).await?;
        let id = ProjectId::from_random(self.sources().id()?);
        let residency = new
            .residency
            .map(|residency| word(&residency))
            .transpose()?;
        self.connection
            .execute(
                "INSERT INTO projects (id, organization_id, name, external_key_id, residency, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                params![
                    id,
                    self.organization,
                    new.name,
                    new.external_key_id.as_deref(),
                    residency.as_deref(),
                    self.now,
                ],
            )
            .await?;
        let project = find(&mut self.connection, &self.organization, &id).await?;
        let event = AuditEvent::ProjectCreated(audited(&project));
        Ok(Change {
            answer: project,
            events: vec![event],
        })
    }

    /// Changes a project; what is absent stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_project(
        &mut self,
        id: &ProjectId,
        update: ProjectUpdateRequest,
    ) -> Result<Change<Project>, StoreError> {
        let mut project = find(&mut self.connection, &self.organization, id).await?;
        let title = update
            .name
            .filter(|name| project.name.as_ref() != Some(name));
        let external = update
            .external_key_id
            .filter(|external| project.external_key_id.as_ref() != Some(external));
        if title.is_none() && external.is_none() {
            return Ok(Change::none(project));
        }
        project.name = title.clone().or(project.name);
        project.external_key_id = external.or(project.external_key_id);
        self.connection
            .execute(
                "UPDATE projects SET name = $2, external_key_id = $3 WHERE id = $1",
                params![
                    id,
                    project.name.as_deref(),
                    project.external_key_id.as_deref(),
                ],
            )
            .await?;
        let event = AuditEvent::ProjectUpdated {
            project: audited(&project),
            title,
        };
        Ok(Change {
            answer: project,
            events: vec![event],
        })
    }

    /// Archives a project for good. One that is archived already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn archive_project(&mut self, id: &ProjectId) -> Result<Change<Project>, StoreError> {
        let project = find(&mut self.connection, &self.organization, id).await?;
        if project.archived_at.is_some() {
            return Ok(Change::none(project));
        }
        self.connection
            .execute(
                "UPDATE projects SET archived_at = $2 WHERE id = $1",
                params![id, self.now],
            )
            .await?;
        let archived = find(&mut self.connection, &self.organization, id).await?;
        let event = AuditEvent::ProjectArchived(audited(&archived));
        Ok(Change {
            answer: archived,
            events: vec![event],
        })
    }

    /// The project as an event names it.
    pub(super) async fn open_project(
        &mut self,
        id: &ProjectId,
        archived: Archived,
    ) -> Result<AuditProject, StoreError> {
        let project = find(&mut self.connection, &self.organization, id).await?;
        if archived == Archived::Refused && project.archived_at.is_some() {
            return Err(StoreError::ProjectArchived);
        }
        Ok(audited(&project))
    }
}

/// Whether a write is allowed in an archived project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archived {
    Allowed,
    Refused,
}

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.name, t.created_at, t.archived_at, t.external_key_id, t.residency",
        from: "FROM projects t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &ProjectId,
) -> Result<Project, StoreError> {
    listing(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Project, id.as_str()))
}

impl FromRow for Project {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let (id, name, created_at) = (row.next()?, row.next()?, row.next()?);
        let archived_at: Option<UnixSeconds> = row.next()?;
        let status = archived_at.map_or("active", |_| "archived");
        Ok(Self {
            id,
            object: ProjectObject::Project.into(),
            name,
            created_at,
            archived_at,
            status: Some(status.to_owned()),
            external_key_id: row.next()?,
            residency: row.next()?,
        })
    }
}

fn audited(project: &Project) -> AuditProject {
    AuditProject {
        id: project.id.clone(),
        name: project.name.clone(),
    }
}
