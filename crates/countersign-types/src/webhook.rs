//! Webhooks: URLs that receive every event of an organization, following the Standard Webhooks
//! specification (`docs/webhooks.md`).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    id::{WebhookDeliveryId, WebhookId},
    or_unknown::OrUnknown,
    page::Listed,
    secret::Secret,
};

/// The most bytes that a webhook's URL may have.
pub const MAX_WEBHOOK_URL_BYTES: usize = 2048;
/// The prefix of a signing secret.
pub const SECRET_PREFIX: &str = "whsec_";

/// A webhook.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// Always `webhook`.
    #[cfg_attr(feature = "openapi", schema(value_type = WebhookObject))]
    pub object: OrUnknown<WebhookObject>,
    /// Its id, `wh_…`.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: Secret,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it is tried again, in Unix seconds, after its receiver failed five times in a row or
    /// more; absent otherwise.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub paused_until: Option<UnixSeconds>,
    /// The key that events are signed with: `whsec_` and 32 bytes in base64. Shown only once, when
    /// the webhook is created.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub secret: Option<Secret>,
}

/// The object type `webhook`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WebhookObject {
    /// `webhook`
    #[default]
    #[serde(rename = "webhook")]
    Webhook,
}

impl Listed for Webhook {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookCreateRequest {
    /// Where events are sent: an `https` URL without user, password or fragment.
    pub url: Secret,
}

/// The response to deleting a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedWebhook {
    /// Always `webhook.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedWebhookObject))]
    pub object: OrUnknown<DeletedWebhookObject>,
    /// Its id.
    pub id: WebhookId,
    /// Always true.
    pub deleted: bool,
}

/// The object type `webhook.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedWebhookObject {
    /// `webhook.deleted`
    #[default]
    #[serde(rename = "webhook.deleted")]
    Deleted,
}

/// The delivery of one event to one webhook.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// Always `webhook.delivery`.
    #[cfg_attr(feature = "openapi", schema(value_type = WebhookDeliveryObject))]
    pub object: OrUnknown<WebhookDeliveryObject>,
    /// Its id, `msg_…`: the header `webhook-id` of every attempt.
    pub id: WebhookDeliveryId,
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When the event happened, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its status.
    #[cfg_attr(feature = "openapi", schema(value_type = WebhookDeliveryStatus))]
    pub status: OrUnknown<WebhookDeliveryStatus>,
    /// How many attempts were made.
    pub attempts: u64,
    /// When the last attempt was made, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_attempt_at: Option<UnixSeconds>,
    /// The result of the last attempt: an HTTP status, or why there was none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_result: Option<String>,
    /// When the next attempt is due, in Unix seconds; during an attempt, when the one after it
    /// would be.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_attempt_at: Option<UnixSeconds>,
}

/// The word `webhook.delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WebhookDeliveryObject {
    /// `webhook.delivery`
    #[default]
    #[serde(rename = "webhook.delivery")]
    Delivery,
}

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookDeliveryStatus {
    /// It will be attempted, for the first time or again.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// It was given up after the last attempt.
    Failed,
}

impl WebhookDeliveryStatus {
    /// The name of the status in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl Listed for WebhookDelivery {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}
