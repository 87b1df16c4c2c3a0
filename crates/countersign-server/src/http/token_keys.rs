//! The keys that an organization's tokens are signed with (an extension).

use countersign_types::{
    id::TokenKeyId,
    token_key::{TokenKey, TokenKeyRotateRequest},
};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{OptionalBody, RequestBody},
    caller::Admin,
    paging::Paging,
};

pub(super) async fn list(admin: Admin, app: App, page: Paging<TokenKeyId>) -> PageAnswer<TokenKey> {
    let store = app.store();
    let keys = store.list_token_keys(&admin.organization, &page.request);
    answer::page(&keys.await?)
}

pub(super) async fn rotate(
    admin: Admin,
    app: App,
    OptionalBody(request): OptionalBody<TokenKeyRotateRequest>,
) -> Answer<TokenKey> {
    let mut tx = admin.write(&app).await?;
    let change = tx
        .rotate_token_key(request.at_once.unwrap_or(false))
        .await?;
    answer::commit(tx, change).await
}

impl RequestBody for TokenKeyRotateRequest {}
