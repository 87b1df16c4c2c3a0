//! Projects.

use countersign_types::{
    id::ProjectId,
    project::{Project, ProjectCreateRequest, ProjectUpdateRequest},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Advice, Body, RequestBody, check_name, check_optional_name, refuse_properties},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
    query::Query,
    trust_write::{self, Override},
};
use crate::store::NewProject;

/// Properties of projects that a modification may not change.
const NOT_MODIFIABLE: [&str; 6] = [
    "residency",
    "status",
    "archived_at",
    "created_at",
    "id",
    "object",
];

/// Which projects are listed.
#[derive(Deserialize, IntoParams)]
pub(super) struct ProjectQuery {
    /// Whether archived projects are listed too.
    #[serde(default)]
    #[param(default = json!(false))]
    include_archived: bool,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<ProjectId>,
    Query(query): Query<ProjectQuery>,
) -> PageAnswer<Project> {
    let store = app.store();
    let archived = query.include_archived;
    let projects = store.list_projects(&admin.organization, &page.request, archived);
    answer::page(&projects.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Body(request): Body<ProjectCreateRequest>,
) -> Answer<Project> {
    let new = NewProject {
        name: request.name,
        residency: request.residency,
        external_key_id: request.external_key_id,
    };
    let mut tx = admin.write(&app).await?;
    let change = tx.create_project(new).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, app: App, Path(id): Path<ProjectId>) -> Answer<Project> {
    let project = app.store().retrieve_project(&admin.organization, &id);
    answer::read(&project.await?)
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(id): Path<ProjectId>,
    Body(request): Body<ProjectUpdateRequest>,
) -> Answer<Project> {
    let mut tx = admin.write(&app).await?;
    let change = tx.update_project(&id, request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn archive(
    admin: Admin,
    app: App,
    Path(id): Path<ProjectId>,
    Query(allow): Query<Override>,
) -> Answer<Project> {
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.archive_project(&id).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

impl RequestBody for ProjectCreateRequest {
    const ADVICE: Advice = &[("residency", "Leave it out for none.")];

    fn check(&mut self) -> Result<(), ApiError> {
        check_name("name", &self.name)?;
        check_optional_name("external_key_id", self.external_key_id.as_ref())
    }
}

impl RequestBody for ProjectUpdateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let why = "only `name` and `external_key_id` of a project can be modified.";
        refuse_properties(properties, &NOT_MODIFIABLE, why)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())?;
        check_optional_name("external_key_id", self.external_key_id.as_ref())
    }
}
