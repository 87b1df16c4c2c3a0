//! The keys of a project. They are made through its service accounts.

use countersign_types::{
    api_key::ProjectApiKey,
    id::{ApiKeyId, ProjectId},
    page::{Order, Page},
};

use super::{answer::Answer, call::Call, caller::Admin, error::ApiError, operation::Answered};

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let project = project(&call)?;
    let request = call.query.page::<ApiKeyId>(Order::Desc)?;
    let access = access(&call)?;
    let store = call.app.store();
    let page = store
        .list_project_api_keys(&admin.organization, &project, &request)
        .await?;
    let wanted =
        |key: &ProjectApiKey| access.is_none_or(|access| key.owner_project_access == access);
    // Every owner has access, or none when the project is archived: all are wanted, or none.
    if !page.data.iter().all(wanted) {
        return Answer::read(&Page::<ProjectApiKey>::new(Vec::new(), false));
    }
    Answer::read(&page)
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let store = call.app.store();
    Answer::read(
        &store
            .retrieve_project_api_key(&admin.organization, &project, &id)
            .await?,
    )
}

pub(super) async fn delete(admin: Admin, call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let mut tx = call.write(&admin).await?;
    let change = tx.delete_project_api_key(&project, &id).await?;
    Answer::commit(tx, change).await
}

fn project(call: &Call) -> Result<ProjectId, ApiError> {
    call.id("project_id", "project")
}

fn id(call: &Call) -> Result<ApiKeyId, ApiError> {
    call.id("api_key_id", "API key")
}

/// The access that the owner must have, or `None` when either will do.
fn access(call: &Call) -> Result<Option<&str>, ApiError> {
    const PARAM: &str = "owner_project_access";
    match call.query.one(PARAM)? {
        None | Some("any") => Ok(None),
        Some(access @ ("active" | "inactive")) => Ok(Some(access)),
        Some(_) => Err(ApiError::value(
            PARAM,
            "`owner_project_access` must be `active`, `inactive` or `any`.",
        )),
    }
}
