//! Webhooks: addresses that are told of every event of an organization, as the Standard Webhooks
//! specification has it (`docs/webhooks.md`).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    id::{WebhookDeliveryId, WebhookId},
    page::Listed,
    secret::Secret,
};

/// How many webhooks an organization may have.
pub const MAX_WEBHOOKS_PER_ORGANIZATION: usize = 10;
/// The most bytes that a webhook's URL may have.
pub const MAX_WEBHOOK_URL_BYTES: usize = 2048;
/// What the text of a signing secret starts with.
pub const SECRET_PREFIX: &str = "whsec_";

/// A webhook.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// Always `webhook`.
    pub object: WebhookObject,
    /// Its id, `wh_…`.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: Secret,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
    /// What events are signed with: `whsec_` and 32 bytes in base 64. Shown once, by the operation
    /// that makes it.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub secret: Option<Secret>,
}

/// The word `webhook`.
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

/// What makes a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookCreateRequest {
    /// Where events are sent: an `https` URL without user, password or fragment.
    pub url: Secret,
}

/// What is left of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedWebhook {
    /// Always `webhook.deleted`.
    pub object: DeletedWebhookObject,
    /// Its id.
    pub id: WebhookId,
    /// Always true.
    pub deleted: bool,
}

/// The word `webhook.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedWebhookObject {
    /// `webhook.deleted`
    #[default]
    #[serde(rename = "webhook.deleted")]
    Deleted,
}

/// One event on its way to one webhook.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// Always `webhook.delivery`.
    pub object: WebhookDeliveryObject,
    /// Its id, `msg_…`: the header `webhook-id` of every attempt.
    pub id: WebhookDeliveryId,
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When the event happened, in Unix seconds.
    pub created_at: UnixSeconds,
    /// How it stands.
    pub status: WebhookDeliveryStatus,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was tried last, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_attempt_at: Option<UnixSeconds>,
    /// What the last attempt came to: an HTTP status, or why there was none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_result: Option<String>,
    /// When it is tried next, in Unix seconds; while it is being tried, when it would be again.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_attempt_at: Option<UnixSeconds>,
}

/// The words `webhook.delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WebhookDeliveryObject {
    /// `webhook.delivery`
    #[default]
    #[serde(rename = "webhook.delivery")]
    Delivery,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookDeliveryStatus {
    /// It is tried, or will be again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl WebhookDeliveryStatus {
    /// The status as the API writes it.
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
