//! Service accounts of a project, and the keys made for them.

use countersign_types::{
    id::{ProjectId, ServiceAccountId},
    project::{
        DeletedServiceAccount, ServiceAccount, ServiceAccountApiKey,
        ServiceAccountApiKeyCreateRequest, ServiceAccountCreateRequest, ServiceAccountCreated,
        ServiceAccountUpdateRequest,
    },
};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, OptionalBody, RequestBody, check_name, check_optional_name},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
};
use crate::store::NewServiceAccount;

pub(super) async fn list(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    page: Paging<ServiceAccountId>,
) -> PageAnswer<ServiceAccount> {
    let store = app.store();
    let accounts = store.list_service_accounts(&admin.organization, &project, &page.request);
    answer::page(&accounts.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Body(request): Body<ServiceAccountCreateRequest>,
) -> Answer<ServiceAccountCreated> {
    let new = NewServiceAccount {
        name: request.name,
        with_key: request.create_service_account_only != Some(true),
    };
    let mut tx = admin.write(&app).await?;
    let change = tx.create_service_account(&project, new).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ServiceAccountId>,
) -> Answer<ServiceAccount> {
    let store = app.store();
    let account = store.retrieve_service_account(&admin.organization, &project, &id);
    answer::read(&account.await?)
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ServiceAccountId>,
    Body(request): Body<ServiceAccountUpdateRequest>,
) -> Answer<ServiceAccount> {
    let mut tx = admin.write(&app).await?;
    let change = tx.update_service_account(&project, &id, request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ServiceAccountId>,
) -> Answer<DeletedServiceAccount> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_service_account(&project, &id).await?;
    answer::commit(tx, change).await
}

pub(super) async fn create_api_key(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ServiceAccountId>,
    OptionalBody(request): OptionalBody<ServiceAccountApiKeyCreateRequest>,
) -> Answer<ServiceAccountApiKey> {
    let scopes = request.scopes.unwrap_or_default();
    let mut tx = admin.write(&app).await?;
    let change = tx
        .create_service_account_api_key(&project, &id, request.name, scopes)
        .await?;
    answer::commit(tx, change).await
}

impl RequestBody for ServiceAccountCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_name("name", &self.name)
    }
}

impl RequestBody for ServiceAccountUpdateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())
    }
}

impl RequestBody for ServiceAccountApiKeyCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())?;
        let mut scopes = self.scopes.iter().flatten();
        scopes.try_for_each(|scope| check_name("scopes", scope))
    }
}
