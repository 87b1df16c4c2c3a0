//! Projects.

use countersign_types::{
    id::ProjectId,
    page::Order,
    project::{ProjectUpdateRequest, Residency},
};
use serde_json::Value;

use super::{
    answer::Answer, body::Fields, call::Call, caller::Admin, error::ApiError, operation::Answered,
};
use crate::store::NewProject;

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let request = call.query.page::<ProjectId>(Order::Desc)?;
    let archived = call.query.boolean("include_archived")?;
    let store = call.app.store();
    Answer::read(
        &store
            .list_projects(&admin.organization, &request, archived)
            .await?,
    )
}

pub(super) async fn create(admin: Admin, mut call: Call) -> Answered {
    let new = NewProject {
        name: call.fields.required_name()?,
        residency: residency(&mut call.fields)?,
        external_key_id: call.fields.label_or_null("external_key_id")?,
    };
    let mut tx = call.write(&admin).await?;
    let change = tx.create_project(new).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    Answer::read(
        &call
            .app
            .store()
            .retrieve_project(&admin.organization, &id)
            .await?,
    )
}

pub(super) async fn update(admin: Admin, mut call: Call) -> Answered {
    let id = id(&call)?;
    call.fields.refuse(
        &[
            "residency",
            "status",
            "archived_at",
            "created_at",
            "id",
            "object",
        ],
        "only `name` and `external_key_id` of a project can be modified.",
    )?;
    let update = ProjectUpdateRequest {
        name: call.fields.name_or_null()?,
        external_key_id: call.fields.label_or_null("external_key_id")?,
    };
    let mut tx = call.write(&admin).await?;
    let change = tx.update_project(&id, update).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn archive(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.archive_project(&id).await?;
    Answer::commit(tx, change).await
}

fn id(call: &Call) -> Result<ProjectId, ApiError> {
    call.id("project_id", "project")
}

fn residency(fields: &mut Fields) -> Result<Option<Residency>, ApiError> {
    match fields.take("residency") {
        None | Some(Value::Null) => Ok(None),
        Some(given) => serde_json::from_value(given).map(Some).map_err(|_| {
            ApiError::value(
                "residency",
                "`residency` is not one that is known. Leave it out.",
            )
        }),
    }
}
