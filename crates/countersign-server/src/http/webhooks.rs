//! Webhooks of an organization.

use countersign_types::{
    error::ErrorCode,
    id::{WebhookDeliveryId, WebhookId},
    page::Order,
    secret::Secret,
    webhook::MAX_WEBHOOK_URL_BYTES,
};

use super::{answer::Answer, call::Call, caller::Admin, error::ApiError, operation::Answered};
use crate::{store::NewWebhook, webhooks::check_url};

/// What making a webhook can be refused for.
pub(super) const CREATE_CODES: &[ErrorCode] = &[ErrorCode::MissingRequiredParameter];

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let request = call.query.page::<WebhookId>(Order::Desc)?;
    let store = call.app.store();
    Answer::read(&store.list_webhooks(&admin.organization, &request).await?)
}

pub(super) async fn create(admin: Admin, mut call: Call) -> Answered {
    let url = call.fields.text("url")?;
    let new = webhook(url, call.app.private_webhooks())?;
    let mut tx = call.write(&admin).await?;
    let change = tx.create_webhook(new).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let store = call.app.store();
    Answer::read(&store.retrieve_webhook(&admin.organization, &id).await?)
}

pub(super) async fn delete(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.delete_webhook(&id).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn test(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.test_webhook(&id).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn list_deliveries(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let request = call.query.page::<WebhookDeliveryId>(Order::Desc)?;
    let store = call.app.store();
    Answer::read(
        &store
            .list_webhook_deliveries(&admin.organization, &id, &request)
            .await?,
    )
}

fn id(call: &Call) -> Result<WebhookId, ApiError> {
    call.id("webhook_id", "webhook")
}

/// Messages never quote the URL: its path or query may hold a secret.
fn webhook(url: Option<String>, private: bool) -> Result<NewWebhook, ApiError> {
    let url = url.ok_or_else(|| ApiError::missing("url"))?;
    if url.len() > MAX_WEBHOOK_URL_BYTES {
        let message =
            format!("`url` has more than {MAX_WEBHOOK_URL_BYTES} bytes. Give a shorter one.");
        return Err(ApiError::value("url", message));
    }
    let read = check_url(&url, private).map_err(|why| {
        let message = format!("`url` cannot be a webhook's: {why} Send `https://host/path`.");
        ApiError::value("url", message)
    })?;
    Ok(NewWebhook {
        host: read.host_str().unwrap_or_default().to_owned(),
        url: Secret::new(read.as_str()),
    })
}
