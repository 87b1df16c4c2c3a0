//! Service accounts of a project, and the keys made for them.

use countersign_types::{
    id::{ProjectId, ServiceAccountId},
    page::Order,
    project::{ServiceAccountRole, ServiceAccountUpdateRequest},
};

use super::{answer::Answer, call::Call, caller::Admin, error::ApiError, operation::Answered};
use crate::store::NewServiceAccount;

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let project = project(&call)?;
    let request = call.query.page::<ServiceAccountId>(Order::Desc)?;
    let store = call.app.store();
    Answer::read(
        &store
            .list_service_accounts(&admin.organization, &project, &request)
            .await?,
    )
}

pub(super) async fn create(admin: Admin, mut call: Call) -> Answered {
    let project = project(&call)?;
    let name = call.fields.required_name()?;
    let only = call.fields.boolean("create_service_account_only")?;
    let new = NewServiceAccount {
        name,
        with_key: only != Some(true),
    };
    let mut tx = call.write(&admin).await?;
    let change = tx.create_service_account(&project, new).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let store = call.app.store();
    Answer::read(
        &store
            .retrieve_service_account(&admin.organization, &project, &id)
            .await?,
    )
}

pub(super) async fn update(admin: Admin, mut call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let update = ServiceAccountUpdateRequest {
        name: call.fields.name_or_null()?,
        role: role(&mut call)?,
    };
    let mut tx = call.write(&admin).await?;
    let change = tx.update_service_account(&project, &id, update).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn delete(admin: Admin, call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let mut tx = call.write(&admin).await?;
    let change = tx.delete_service_account(&project, &id).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn create_api_key(admin: Admin, mut call: Call) -> Answered {
    let (project, id) = (project(&call)?, id(&call)?);
    let name = call.fields.name_or_null()?;
    let scopes = call.fields.labels("scopes")?;
    let mut tx = call.write(&admin).await?;
    let change = tx
        .create_service_account_api_key(&project, &id, name, scopes)
        .await?;
    Answer::commit(tx, change).await
}

fn project(call: &Call) -> Result<ProjectId, ApiError> {
    call.id("project_id", "project")
}

fn id(call: &Call) -> Result<ServiceAccountId, ApiError> {
    call.id("service_account_id", "service account")
}

/// The roles that one may be given; `none` comes only of being made without.
fn role(call: &mut Call) -> Result<Option<ServiceAccountRole>, ApiError> {
    match call.fields.text_or_null("role")?.as_deref() {
        None => Ok(None),
        Some("member") => Ok(Some(ServiceAccountRole::Member)),
        Some("owner") => Ok(Some(ServiceAccountRole::Owner)),
        Some(_) => Err(ApiError::value(
            "role",
            "`role` must be `member` or `owner`.",
        )),
    }
}
