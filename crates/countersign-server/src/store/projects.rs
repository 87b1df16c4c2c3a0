//! Projects.

use countersign_types::{
    audit::{AuditEvent, AuditProject},
    id::{OrganizationId, ProjectId},
    page::Page,
    project::{Project, ProjectCreateRequest, ProjectObject, ProjectUpdateRequest},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{
    Change, Kind, PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    value::{Row, Value},
};

/// A project to make: what the API is asked for is what is kept.
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
        let mut connection = self.reader().await?;
        let values = [Value::text(organization)];
        let mut listing = listing(&values);
        if !include_archived {
            listing.only = " AND t.archived_at IS NULL";
        }
        listing.page(&mut connection, request, read).await
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
    /// Makes a project.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_project(&mut self, new: NewProject) -> Result<Change<Project>, StoreError> {
        let id = ProjectId::from_random(self.sources().id()?);
        let residency = new
            .residency
            .map(|residency| word(&residency))
            .transpose()?;
        self.connection
            .execute(
                "INSERT INTO projects (id, organization_id, name, external_key_id, residency, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    Value::text(&id),
                    Value::text(&self.organization),
                    Value::Text(&new.name),
                    Value::optional_text(new.external_key_id.as_deref()),
                    Value::optional_text(residency.as_deref()),
                    Value::moment(self.now),
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
                &[
                    Value::text(id),
                    Value::optional_text(project.name.as_deref()),
                    Value::optional_text(project.external_key_id.as_deref()),
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

    /// Archives a project for good; again, nothing changes.
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
                &[Value::text(id), Value::moment(self.now)],
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

/// Whether a write goes on in an archived project.
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
    listing(&[Value::text(organization)])
        .retrieve(connection, id.as_str(), read)
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Project, id.as_str()))
}

fn read(row: &Row<'_>) -> Result<Project, StoreError> {
    let archived_at = row.optional_moment(3)?;
    let status = archived_at.map_or("active", |_| "archived");
    Ok(Project {
        id: row.parse(0)?,
        object: ProjectObject::Project,
        name: row.optional_text(1)?.map(str::to_owned),
        created_at: row.moment(2)?,
        archived_at,
        status: Some(status.to_owned()),
        external_key_id: row.optional_text(4)?.map(str::to_owned),
        residency: row.optional_text(5)?.map(from_word).transpose()?,
    })
}

fn audited(project: &Project) -> AuditProject {
    AuditProject {
        id: project.id.clone(),
        name: project.name.clone(),
    }
}

/// A word of the API, as it is kept.
pub(super) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => Ok(word),
        _ => Err(StoreError::Internal("a word that is not text".to_owned())),
    }
}

/// The word of the API that was kept.
pub(super) fn from_word<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_value(Json::String(text.to_owned()))
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}
