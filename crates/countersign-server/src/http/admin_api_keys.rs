//! Admin keys of an organization.

use countersign_types::{
    api_key::{AdminApiKey, AdminApiKeyCreateRequest, DeletedAdminApiKey},
    id::ApiKeyId,
};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody, check_name},
    caller::Admin,
    error::ApiError,
    paging::{OldestFirst, Paging},
    path::Path,
};
use crate::store::NewAdminApiKey;

/// A year: the longest lifetime of a key that expires, as in the reference.
const MAX_EXPIRES_IN: u32 = 31_536_000;

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<ApiKeyId, OldestFirst>,
) -> PageAnswer<AdminApiKey> {
    let store = app.store();
    let keys = store.list_admin_api_keys(&admin.organization, &page.request);
    answer::page(&keys.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Body(request): Body<AdminApiKeyCreateRequest>,
) -> Answer<AdminApiKey> {
    // No more than the key that makes it may do, and as much where the request does not say.
    let mut permissions = request.scopes.unwrap_or_else(|| admin.permissions.clone());
    for permission in &permissions {
        admin.check(*permission)?;
    }
    permissions.sort_unstable();
    permissions.dedup();
    let new = NewAdminApiKey {
        name: request.name,
        expires_in_seconds: request.expires_in_seconds,
        permissions,
    };
    let mut tx = admin.write(&app).await?;
    admin.check_lifetime(tx.now(), new.expires_in_seconds)?;
    let change = tx.create_admin_api_key(new).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<ApiKeyId>,
) -> Answer<AdminApiKey> {
    let store = app.store();
    let key = store.retrieve_admin_api_key(&admin.organization, &id);
    answer::read(&key.await?)
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<ApiKeyId>,
) -> Answer<DeletedAdminApiKey> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_admin_api_key(&id).await?;
    answer::commit(tx, change).await
}

impl RequestBody for AdminApiKeyCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_name("name", &self.name)?;
        match self.expires_in_seconds {
            Some(seconds) if !(1..=MAX_EXPIRES_IN).contains(&seconds) => {
                const PARAM: &str = "expires_in_seconds";
                let message =
                    format!("`{PARAM}` must be a whole number from 1 to {MAX_EXPIRES_IN}.");
                Err(ApiError::value(PARAM, message))
            }
            _ => Ok(()),
        }
    }
}
