//! Changes that the reference has no type of event for. The audit log has them as
//! `organization.updated`, since strict clients know only the types of the reference.

use serde_json::{Value, json};

use crate::{
    compact_jws::PublicKey,
    id::{AssertionId, GatewayId, ReceiptKeyId, TokenKeyId, WebhookId},
};

/// What happened to an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssertionChange {
    /// Created.
    Created {
        /// Its name.
        name: String,
    },
    /// Renamed, or given another reason.
    Updated {
        /// Its name now.
        name: String,
    },
    /// Deleted.
    Deleted {
        /// Its name.
        name: String,
    },
    /// A change of trust was made although it broke it; the events beside this one are that change.
    Overridden {
        /// Its name.
        name: String,
    },
}

impl AssertionChange {
    pub(crate) fn details(&self, id: &AssertionId) -> Value {
        let (what, name) = match self {
            Self::Created { name } => ("assertion_created", name),
            Self::Updated { name } => ("assertion_updated", name),
            Self::Deleted { name } => ("assertion_deleted", name),
            Self::Overridden { name } => ("assertion_overridden", name),
        };
        json!({ what: { "id": id, "name": name } })
    }
}

/// What happened to the keys that tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKeyChange {
    /// The organization's first was created.
    Created(TokenKeyId),
    /// A new one takes the place of the newest.
    Rotated {
        /// The new one.
        id: TokenKeyId,
        /// Whether those of before ended at once.
        at_once: bool,
    },
}

impl TokenKeyChange {
    pub(crate) const fn id(&self) -> &TokenKeyId {
        match self {
            Self::Created(id) | Self::Rotated { id, .. } => id,
        }
    }

    pub(crate) fn details(&self) -> Value {
        match self {
            Self::Created(id) => json!({ "token_key_created": { "id": id } }),
            Self::Rotated { id, at_once } => {
                json!({ "token_key_rotated": { "id": id, "at_once": at_once } })
            }
        }
    }
}

/// What happened to a key that a gateway signs receipts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptKeyChange {
    /// Receipts that it signs are believed from now on.
    Registered {
        /// The key's id.
        id: ReceiptKeyId,
        /// The key.
        public_key: PublicKey,
        /// Whose it is.
        gateway: GatewayId,
    },
    /// Receipts that it signs are believed no more.
    Withdrawn {
        /// The key's id.
        id: ReceiptKeyId,
        /// Whose it was.
        gateway: GatewayId,
    },
}

impl ReceiptKeyChange {
    pub(crate) fn resource_ids(&self) -> [&str; 2] {
        match self {
            Self::Registered { id, gateway, .. } | Self::Withdrawn { id, gateway } => {
                [id.as_str(), gateway.as_str()]
            }
        }
    }

    pub(crate) fn details(&self) -> Value {
        match self {
            Self::Registered {
                id,
                public_key,
                gateway,
            } => {
                let key = json!({ "id": id, "public_key": public_key, "gateway_id": gateway });
                json!({ "receipt_key_registered": key })
            }
            Self::Withdrawn { id, gateway } => {
                json!({ "receipt_key_withdrawn": { "id": id, "gateway_id": gateway } })
            }
        }
    }
}

/// What happened to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookChange {
    /// Created. Only the host of the URL is logged: the rest may contain a secret.
    Created {
        /// The host of its URL.
        host: String,
    },
    /// Deleted.
    Deleted,
    /// A test event was sent to it.
    Tested,
}

impl WebhookChange {
    pub(crate) fn details(&self, id: &WebhookId) -> Value {
        match self {
            Self::Created { host } => json!({ "webhook_created": { "id": id, "host": host } }),
            Self::Deleted => json!({ "webhook_deleted": { "id": id } }),
            Self::Tested => json!({ "webhook_tested": { "id": id } }),
        }
    }
}
