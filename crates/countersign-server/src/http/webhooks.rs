//! Webhooks of an organization.

use countersign_types::{
    api_key::Permission,
    id::{WebhookDeliveryId, WebhookId},
    secret::Secret,
    webhook::{
        DeletedWebhook, MAX_WEBHOOK_URL_BYTES, Webhook, WebhookCreateRequest, WebhookDelivery,
    },
};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
};
use crate::{store::NewWebhook, webhooks::check_url};

pub(super) async fn list(admin: Admin, app: App, page: Paging<WebhookId>) -> PageAnswer<Webhook> {
    let webhooks = app
        .store()
        .list_webhooks(&admin.organization, &page.request);
    answer::page(&webhooks.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Body(request): Body<WebhookCreateRequest>,
) -> Answer<Webhook> {
    // A webhook is sent every event of the audit log.
    admin.check(Permission::AuditRead)?;
    let new = webhook(&request.url, app.private_webhooks())?;
    let mut tx = admin.write(&app).await?;
    let change = tx.create_webhook(new).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, app: App, Path(id): Path<WebhookId>) -> Answer<Webhook> {
    let webhook = app.store().retrieve_webhook(&admin.organization, &id);
    answer::read(&webhook.await?)
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<WebhookId>,
) -> Answer<DeletedWebhook> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_webhook(&id).await?;
    answer::commit(tx, change).await
}

pub(super) async fn test(admin: Admin, app: App, Path(id): Path<WebhookId>) -> Answer<Webhook> {
    let mut tx = admin.write(&app).await?;
    let change = tx.test_webhook(&id).await?;
    answer::commit(tx, change).await
}

pub(super) async fn list_deliveries(
    admin: Admin,
    app: App,
    Path(id): Path<WebhookId>,
    page: Paging<WebhookDeliveryId>,
) -> PageAnswer<WebhookDelivery> {
    let store = app.store();
    let deliveries = store.list_webhook_deliveries(&admin.organization, &id, &page.request);
    answer::page(&deliveries.await?)
}

impl RequestBody for WebhookCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        if self.url.reveal().len() <= MAX_WEBHOOK_URL_BYTES {
            return Ok(());
        }
        let message =
            format!("`url` has more than {MAX_WEBHOOK_URL_BYTES} bytes. Give a shorter one.");
        Err(ApiError::value("url", message))
    }
}

/// Messages never quote the URL: its path or query may hold a secret.
fn webhook(url: &Secret, private: bool) -> Result<NewWebhook, ApiError> {
    let url = check_url(url.reveal(), private).map_err(|why| {
        let message = format!("`url` cannot be a webhook's: {why} Send `https://host/path`.");
        ApiError::value("url", message)
    })?;
    Ok(NewWebhook {
        host: url.host_str().unwrap_or_default().to_owned(),
        url: Secret::new(url.as_str()),
    })
}
