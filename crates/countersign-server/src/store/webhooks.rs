//! Webhooks of an organization.

use aws_lc_rs::hmac;
use countersign_types::{
    audit::{AuditEvent, WebhookChange},
    id::{OrganizationId, WebhookId},
    page::Page,
    secret::Secret,
    webhook::{DeletedWebhook, DeletedWebhookObject, SECRET_PREFIX, Webhook, WebhookObject},
};
use data_encoding::BASE64;

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    row::{FromRow, FromValue, Row},
    value::{Value, params},
};

/// As many bytes as the hash has: more would not make the secret harder to guess.
const SECRET_BYTES: usize = 32;

/// A webhook to create. The HTTP layer has checked its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where events are sent.
    pub url: Secret,
    /// The host of the URL, which the audit log shows.
    pub host: String,
}

/// What a webhook's events are signed with.
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Standard Webhooks, "Signature scheme": HMAC-SHA256 of `id.timestamp.body` in base 64.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    }
}

impl FromValue<'_> for SigningKey {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        <&[u8]>::from_value(value).map(Self::new)
    }
}

impl Store {
    /// An organization's webhooks.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_webhooks(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<Webhook>, StoreError> {
        let mut connection = self.list_reader().await?;
        webhooks(params![organization])
            .page(&mut connection, request)
            .await
    }

    /// A webhook, without its secret.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_webhook(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
    ) -> Result<Webhook, StoreError> {
        find(&mut self.reader().await?, organization, id).await
    }
}

impl WriteTx {
    /// Creates a webhook. Its secret is in the answer, and can never be read again.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`].
    pub async fn create_webhook(&mut self, new: NewWebhook) -> Result<Change<Webhook>, StoreError> {
        self.check_quota(Quota::Webhooks).await?;
        let id = WebhookId::from_random(self.sources().id()?);
        let secret: [u8; SECRET_BYTES] = self.sources().bytes()?;
        self.connection
            .execute(
                "INSERT INTO webhooks (id, organization_id, url, secret, created_at) \
                 VALUES ($1, $2, $3, $4, $5)",
                params![id, self.organization, new.url.reveal(), secret, self.now,],
            )
            .await?;
        self.count_webhooks(self.webhooks + 1).await?;
        let created = WebhookChange::Created { host: new.host };
        let events = vec![self.webhook_changed(&id, created)];
        Ok(Change {
            answer: Webhook {
                object: WebhookObject::Webhook.into(),
                id,
                url: new.url,
                created_at: self.now,
                paused_until: None,
                secret: Some(Secret::new(
                    SECRET_PREFIX.to_owned() + &BASE64.encode(&secret),
                )),
            },
            events,
        })
    }

    /// Deletes a webhook and its deliveries.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_webhook(
        &mut self,
        id: &WebhookId,
    ) -> Result<Change<DeletedWebhook>, StoreError> {
        find(&mut self.connection, &self.organization, id).await?;
        for sql in [
            "DELETE FROM webhook_deliveries WHERE webhook_id = $1",
            "DELETE FROM webhooks WHERE id = $1",
        ] {
            self.connection.execute(sql, params![id]).await?;
        }
        self.count_webhooks(self.webhooks.saturating_sub(1)).await?;
        Ok(Change {
            answer: DeletedWebhook {
                object: DeletedWebhookObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![self.webhook_changed(id, WebhookChange::Deleted)],
        })
    }

    /// Sends a test event to a webhook. The answer is the webhook.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn test_webhook(&mut self, id: &WebhookId) -> Result<Change<Webhook>, StoreError> {
        Ok(Change {
            answer: find(&mut self.connection, &self.organization, id).await?,
            events: vec![self.webhook_changed(id, WebhookChange::Tested)],
        })
    }

    fn webhook_changed(&self, id: &WebhookId, change: WebhookChange) -> AuditEvent {
        AuditEvent::WebhookChanged {
            organization: self.organization.clone(),
            id: id.clone(),
            change,
        }
    }

    async fn count_webhooks(&mut self, count: u64) -> Result<(), StoreError> {
        self.connection
            .execute(
                "UPDATE organizations SET webhooks = $2 WHERE id = $1",
                params![self.organization, count],
            )
            .await?;
        self.webhooks = count;
        Ok(())
    }
}

pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &WebhookId,
) -> Result<Webhook, StoreError> {
    webhooks(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Webhook, id.as_str()))
}

const fn webhooks<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.url, t.created_at, nullif(t.paused_until, 0)",
        from: "FROM webhooks t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

impl FromRow for Webhook {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: WebhookObject::Webhook.into(),
            id: row.next()?,
            url: row.next()?,
            created_at: row.next()?,
            paused_until: row.next()?,
            secret: None,
        })
    }
}
