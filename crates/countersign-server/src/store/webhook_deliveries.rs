//! The outbox of webhooks: written in the transaction of the change that it is about, and sent by
//! whichever node comes first. Deliveries are not part of an organization's state, so they change
//! without a [`WriteTx`]'s commit.

use countersign_types::{
    UnixSeconds,
    audit::{AuditEvent, AuditLog, WebhookChange},
    id::{OrganizationId, WebhookDeliveryId, WebhookId},
    page::Page,
    secret::Secret,
    webhook::{WebhookDelivery, WebhookDeliveryObject, WebhookDeliveryStatus},
};
use serde_json::{Value as Json, json};

use super::{
    PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    row::{FromRow, Row},
    sources::Sources,
    value::{ToValue, params},
    webhooks::{SigningKey, find},
};

/// How long finished deliveries are kept, in seconds.
const KEEP: UnixSeconds = 30 * 24 * 60 * 60;

/// A delivery that this node is to try now.
pub(crate) struct Claimed {
    pub(crate) due: Due,
    pub(crate) url: Secret,
    pub(crate) key: SigningKey,
}

/// A delivery whose time has come.
pub(crate) struct Due {
    seq: i64,
    pub(crate) id: WebhookDeliveryId,
    pub(crate) webhook: WebhookId,
    pub(crate) payload: String,
    pub(crate) created_at: UnixSeconds,
    /// Which attempt this is, from 1.
    pub(crate) attempt: u64,
}

/// The result of an attempt.
pub(crate) struct AttemptResult {
    pub(crate) status: WebhookDeliveryStatus,
    /// When to try again, if at all.
    pub(crate) due_at: Option<UnixSeconds>,
    pub(crate) result: String,
}

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
        let mut connection = self.reader().await?;
        find(&mut connection, organization, webhook).await?;
        let deliveries = Listing {
            columns: "t.id, t.event_type, t.created_at, t.status, t.attempts, t.attempted_at, \
                      t.result, t.due_at",
            from: "FROM webhook_deliveries t WHERE t.webhook_id = $1",
            only: "",
            values: params![webhook],
        };
        deliveries.page(&mut connection, request).await
    }

    /// When the next delivery is due, if there is any.
    pub(crate) async fn next_delivery_at(&self) -> Result<Option<UnixSeconds>, StoreError> {
        let sql = "SELECT min(due_at) FROM webhook_deliveries WHERE due_at IS NOT NULL";
        let mut connection = self.reader().await?;
        let found: Option<Option<UnixSeconds>> = connection.find(sql, &[]).await?;
        Ok(found.flatten())
    }

    /// Claims deliveries that are due until the lease ends, those that were due first. Busy webhooks
    /// are left out. No two nodes claim the same delivery: the second waits for the first one's row,
    /// and then finds that it is not due.
    pub(crate) async fn claim_deliveries(
        &self,
        most: u32,
        lease: UnixSeconds,
        busy: &[&WebhookId],
    ) -> Result<Vec<Claimed>, StoreError> {
        let now = self.inner.sources.now();
        let mut values = vec![now.into(), (now + lease).into(), i64::from(most).into()];
        let mut names = Vec::new();
        for webhook in busy {
            values.push(webhook.to_value());
            names.push(format!("${}", values.len()));
        }
        let but = match names.is_empty() {
            true => String::new(),
            false => format!(" AND webhook_id NOT IN ({})", names.join(", ")),
        };
        let sql = format!(
            "UPDATE webhook_deliveries SET due_at = $2, attempts = attempts + 1, \
             attempted_at = $1 WHERE due_at <= $1 AND seq IN (SELECT seq FROM webhook_deliveries \
             WHERE due_at <= $1{but} ORDER BY due_at, seq LIMIT $3) \
             RETURNING seq, id, webhook_id, payload, created_at, attempts"
        );
        let mut connection = self.inner.database.transaction().await?;
        let mut due: Vec<Due> = connection.query_once(&sql, &values).await?;
        // `RETURNING` has no order of its own.
        due.sort_by_key(|each| each.seq);
        let mut claimed = Vec::new();
        for due in due {
            let (url, key) = address(&mut connection, &due.webhook).await?;
            claimed.push(Claimed { due, url, key });
        }
        connection.commit("COMMIT", || ()).await?;
        Ok(claimed)
    }

    /// Stores the result of an attempt, unless the lease ended and another node tried since.
    pub(crate) async fn finish_delivery(
        &self,
        claimed: &Claimed,
        outcome: &AttemptResult,
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "UPDATE webhook_deliveries SET status = $3, due_at = $4, result = $5 \
                 WHERE seq = $1 AND attempts = $2",
                params![
                    claimed.due.seq,
                    claimed.due.attempt,
                    outcome.status,
                    outcome.due_at,
                    outcome.result,
                ],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }

    /// Deletes old deliveries that are finished.
    pub(crate) async fn forget_deliveries(&self) -> Result<u64, StoreError> {
        let before = self.inner.sources.now().saturating_sub(KEEP);
        let mut connection = self.inner.database.transaction().await?;
        let sql = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND due_at IS NULL";
        let forgotten = connection.execute(sql, params![before]).await?;
        connection.commit("COMMIT", || ()).await?;
        Ok(forgotten)
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

async fn address(
    connection: &mut Connection,
    webhook: &WebhookId,
) -> Result<(Secret, SigningKey), StoreError> {
    let sql = "SELECT url, secret FROM webhooks WHERE id = $1";
    connection
        .find(sql, params![webhook])
        .await?
        .ok_or_else(|| StoreError::Corrupt("a delivery without a webhook".to_owned()))
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

impl FromRow for Due {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.next()?,
            id: row.next()?,
            webhook: row.next()?,
            payload: row.next()?,
            created_at: row.next()?,
            attempt: row.next()?,
        })
    }
}

impl FromRow for WebhookDelivery {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: WebhookDeliveryObject::Delivery,
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
