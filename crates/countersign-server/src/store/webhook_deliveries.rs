//! The outbox of webhooks: written with the change that it tells of, worked off by whichever node
//! comes first. Deliveries are no state of an organization, so they are changed without a
//! [`WriteTx`]'s commit.

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
    sources::Sources,
    value::{Row, Value},
    webhooks::{SigningKey, find},
};

/// How long what is over can still be looked at, in seconds.
const KEEP: UnixSeconds = 30 * 24 * 60 * 60;

/// A delivery that this node is to try now.
pub(crate) struct Claimed {
    seq: i64,
    pub(crate) webhook: WebhookId,
    pub(crate) id: WebhookDeliveryId,
    pub(crate) url: Secret,
    pub(crate) key: SigningKey,
    pub(crate) payload: String,
    pub(crate) created_at: UnixSeconds,
    /// Which attempt this is, from 1.
    pub(crate) attempt: u64,
}

/// What an attempt came to.
pub(crate) struct Attempted {
    pub(crate) status: WebhookDeliveryStatus,
    /// When to try again, while it is pending.
    pub(crate) due_at: Option<UnixSeconds>,
    pub(crate) result: String,
}

impl Store {
    /// What was sent to a webhook, or is to be, of the last 30 days.
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
            values: &[Value::text(webhook)],
        };
        deliveries.page(&mut connection, request, read).await
    }

    /// When the next delivery is due, if there is any.
    pub(crate) async fn next_delivery_at(&self) -> Result<Option<UnixSeconds>, StoreError> {
        let sql = "SELECT min(due_at) FROM webhook_deliveries WHERE due_at IS NOT NULL";
        let mut connection = self.reader().await?;
        let found = connection.find(sql, &[], |row| row.optional_moment(0));
        Ok(found.await?.flatten())
    }

    /// Takes deliveries that are due, those that are longest first, until the lease ends. None of
    /// a webhook that is named as busy. No two nodes take the same one: the second waits for the
    /// first one's row and then finds it not due.
    pub(crate) async fn claim_deliveries(
        &self,
        most: u32,
        lease: UnixSeconds,
        busy: &[&WebhookId],
    ) -> Result<Vec<Claimed>, StoreError> {
        let now = self.inner.sources.now();
        let mut values = vec![
            Value::moment(now),
            Value::moment(now + lease),
            Value::Int(i64::from(most)),
        ];
        let mut places = Vec::new();
        for webhook in busy {
            values.push(Value::text(*webhook));
            places.push(format!("${}", values.len()));
        }
        let but = match places.is_empty() {
            true => String::new(),
            false => format!(" AND webhook_id NOT IN ({})", places.join(", ")),
        };
        let sql = format!(
            "UPDATE webhook_deliveries SET due_at = $2, attempts = attempts + 1, \
             attempted_at = $1 WHERE due_at <= $1 AND seq IN (SELECT seq FROM webhook_deliveries \
             WHERE due_at <= $1{but} ORDER BY due_at, seq LIMIT $3) \
             RETURNING seq, id, webhook_id, payload, created_at, attempts"
        );
        let mut connection = self.inner.database.transaction().await?;
        let taken = connection
            .query_once(&sql, &values, |row| {
                let (seq, id) = (row.int(0)?, row.parse(1)?);
                let (webhook, payload) = (row.parse(2)?, row.text(3)?.to_owned());
                Ok((seq, id, webhook, payload, row.moment(4)?, row.moment(5)?))
            })
            .await?;
        let mut claimed = Vec::new();
        for (seq, id, webhook, payload, created_at, attempt) in taken {
            let (url, key) = address(&mut connection, &webhook).await?;
            claimed.push(Claimed {
                seq,
                webhook,
                id,
                url,
                key,
                payload,
                created_at,
                attempt,
            });
        }
        connection.commit("COMMIT", || ()).await?;
        claimed.sort_by_key(|each| each.seq);
        Ok(claimed)
    }

    /// Keeps what an attempt came to, unless the lease ended and somebody else tried since.
    pub(crate) async fn finish_delivery(
        &self,
        claimed: &Claimed,
        attempted: &Attempted,
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "UPDATE webhook_deliveries SET status = $3, due_at = $4, result = $5 \
                 WHERE seq = $1 AND attempts = $2",
                &[
                    Value::Int(claimed.seq),
                    Value::moment(claimed.attempt),
                    Value::Text(attempted.status.as_str()),
                    attempted.due_at.map_or(Value::Null, Value::moment),
                    Value::Text(&attempted.result),
                ],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }

    /// Forgets what has been over for long.
    pub(crate) async fn forget_deliveries(&self) -> Result<u64, StoreError> {
        let before = self.inner.sources.now().saturating_sub(KEEP);
        let mut connection = self.inner.database.transaction().await?;
        let sql = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND due_at IS NULL";
        let forgotten = connection.execute(sql, &[Value::moment(before)]).await?;
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
                // A test of one webhook is nothing to the others.
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

/// The webhook that an event is only for.
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

/// The event as the API shows it, but for the PEM of a deleted certificate: that is for whoever
/// may read the audit log, not for whoever gets to see a webhook.
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

/// An event on its way out.
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
                &[
                    Value::text(&id),
                    Value::text(webhook),
                    Value::Text(self.event_type),
                    Value::Text(&payload.to_string()),
                    Value::moment(self.at),
                ],
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
    connection
        .query(sql, &[Value::text(organization)], |row| row.parse(0))
        .await
}

async fn address(
    connection: &mut Connection,
    webhook: &WebhookId,
) -> Result<(Secret, SigningKey), StoreError> {
    let sql = "SELECT url, secret FROM webhooks WHERE id = $1";
    connection
        .find(sql, &[Value::text(webhook)], |row| {
            Ok((Secret::new(row.text(0)?), SigningKey::new(row.bytes(1)?)))
        })
        .await?
        .ok_or_else(|| StoreError::Corrupt("a delivery to no webhook".to_owned()))
}

fn rfc3339(at: UnixSeconds) -> String {
    let moment = i64::try_from(at)
        .ok()
        .and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok());
    moment
        .and_then(|at| {
            at.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_else(|| at.to_string())
}

fn read(row: &Row<'_>) -> Result<WebhookDelivery, StoreError> {
    let word = row.text(3)?;
    let status = [
        WebhookDeliveryStatus::Pending,
        WebhookDeliveryStatus::Delivered,
        WebhookDeliveryStatus::Failed,
    ]
    .into_iter()
    .find(|status| status.as_str() == word)
    .ok_or_else(|| StoreError::Corrupt("an unknown status of a delivery".to_owned()))?;
    Ok(WebhookDelivery {
        object: WebhookDeliveryObject::Delivery,
        id: row.parse(0)?,
        event_type: row.text(1)?.to_owned(),
        created_at: row.moment(2)?,
        status,
        attempts: row.moment(4)?,
        last_attempt_at: row.optional_moment(5)?,
        last_result: row.optional_text(6)?.map(str::to_owned),
        next_attempt_at: row.optional_moment(7)?,
    })
}
