//! The outbox of webhooks: written in the transaction of the change that it is about, and sent by
//! whichever node comes first. Deliveries are not part of an organization's state, so they change
//! without a [`WriteTx`]'s commit.

use countersign_types::{
    UnixSeconds,
    audit::{AuditEvent, AuditLog, WebhookChange},
    id::{OrganizationId, WebhookDeliveryId, WebhookId},
    page::Page,
    webhook::{WebhookDelivery, WebhookDeliveryObject, WebhookDeliveryStatus},
};
use serde_json::{Value as Json, json};

use super::{
    PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    row::{FromRow, Row},
    sources::Sources,
    value::params,
    webhooks::find,
};

/// How long finished deliveries are kept, in seconds.
const KEEP: UnixSeconds = 30 * 24 * 60 * 60;

impl Store {
    /// The deliveries to a webhook of the last 30 days, also those still to be sent.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::UnknownCursor`].
    pub async fn list_webhook_deliveries(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        request: &PageRequest,
    ) -> Result<Page<WebhookDelivery>, StoreError> {
        let mut connection = self.list_reader().await?;
        find(&mut connection, organization, webhook).await?;
        let deliveries = Listing {
            columns: "t.id, t.event_type, t.created_at, t.status, t.attempts, t.attempted_at, \
                      t.result, CASE WHEN t.due_at < w.paused_until THEN w.paused_until \
                      ELSE t.due_at END",
            from: "FROM webhook_deliveries t JOIN webhooks w ON w.id = t.webhook_id \
                   WHERE t.webhook_id = $1",
            only: "",
            values: params![webhook],
        };
        deliveries.page(&mut connection, request).await
    }

    /// Gives up deliveries of events before a time, which wait at a webhook that is seldom tried,
    /// and deletes old ones that are finished.
    pub(crate) async fn forget_deliveries(&self, give_up: UnixSeconds) -> Result<(), StoreError> {
        let before = self.inner.sources.now().saturating_sub(KEEP);
        let mut connection = self.inner.database.transaction().await?;
        let given_up = "UPDATE webhook_deliveries SET status = $2, due_at = NULL \
            WHERE created_at < $1 AND due_at IS NOT NULL";
        let failed = WebhookDeliveryStatus::Failed;
        connection
            .execute(given_up, params![give_up, failed])
            .await?;
        let old = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND due_at IS NULL";
        connection.execute(old, params![before]).await?;
        connection.commit("COMMIT", || ()).await
    }
}

impl WriteTx {
    /// Puts audit events into the outbox, where the organization has webhooks.
    pub(super) async fn enqueue_audit(
        &mut self,
        written: &[(AuditEvent, AuditLog)],
    ) -> Result<(), StoreError> {
        if self.webhooks == 0 {
            return Ok(());
        }
        let webhooks = webhook_ids(&mut self.connection, &self.organization).await?;
        for (event, shown) in written {
            let data = without_pem(shown)?;
            let tested = tested(event);
            let outgoing = Outgoing {
                event_type: tested.map_or(event.event_type(), |_| "webhook.tested"),
                at: self.now,
                data: &data,
            };
            for webhook in &webhooks {
                // A test goes only to the webhook that is tested.
                if tested.is_none_or(|tested| tested == webhook) {
                    let sources = &self.store.inner.sources;
                    outgoing
                        .enqueue(&mut self.connection, sources, webhook)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

/// The webhook that an event tests, if it is a test.
fn tested(event: &AuditEvent) -> Option<&WebhookId> {
    match event {
        AuditEvent::WebhookChanged {
            id,
            change: WebhookChange::Tested,
            ..
        } => Some(id),
        _ => None,
    }
}

/// The event as the API shows it, without the PEM of a deleted certificate: that is for readers of
/// the audit log, and a webhook's receiver may not be one.
fn without_pem(event: &AuditLog) -> Result<Json, StoreError> {
    let mut shown =
        serde_json::to_value(event).map_err(|error| StoreError::Internal(error.to_string()))?;
    if let Some(details) = shown.get_mut("certificate.deleted")
        && let Some(details) = details.as_object_mut()
    {
        details.remove("certificate");
    }
    Ok(shown)
}

/// An event to send.
pub(super) struct Outgoing<'a> {
    pub(super) event_type: &'a str,
    pub(super) at: UnixSeconds,
    pub(super) data: &'a Json,
}

impl Outgoing<'_> {
    /// Puts the event into the outbox for each webhook that an organization has.
    pub(super) async fn enqueue_to_all(
        &self,
        connection: &mut Connection,
        sources: &Sources,
        organization: &OrganizationId,
    ) -> Result<(), StoreError> {
        for webhook in webhook_ids(connection, organization).await? {
            self.enqueue(connection, sources, &webhook).await?;
        }
        Ok(())
    }

    async fn enqueue(
        &self,
        connection: &mut Connection,
        sources: &Sources,
        webhook: &WebhookId,
    ) -> Result<(), StoreError> {
        let id = WebhookDeliveryId::from_random(sources.id()?);
        let payload = json!({
            "type": self.event_type,
            "timestamp": rfc3339(self.at),
            "data": self.data,
        });
        connection
            .execute(
                "INSERT INTO webhook_deliveries (id, webhook_id, event_type, payload, created_at, \
                 due_at) VALUES ($1, $2, $3, $4, $5, $5)",
                params![id, webhook, self.event_type, payload.to_string(), self.at,],
            )
            .await?;
        Ok(())
    }
}

async fn webhook_ids(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<WebhookId>, StoreError> {
    let sql = "SELECT id FROM webhooks WHERE organization_id = $1 ORDER BY seq";
    connection.query(sql, params![organization]).await
}

fn rfc3339(at: UnixSeconds) -> String {
    let time = i64::try_from(at)
        .ok()
        .and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok());
    time.and_then(|at| {
        at.format(&time::format_description::well_known::Rfc3339)
            .ok()
    })
    .unwrap_or_else(|| at.to_string())
}

impl FromRow for WebhookDelivery {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: WebhookDeliveryObject::Delivery.into(),
            id: row.next()?,
            event_type: row.next()?,
            created_at: row.next()?,
            status: row.next()?,
            attempts: row.next()?,
            last_attempt_at: row.next()?,
            last_result: row.next()?,
            next_attempt_at: row.next()?,
        })
    }
}
