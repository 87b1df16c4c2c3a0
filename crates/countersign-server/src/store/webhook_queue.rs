//! Which deliveries are sent next. A webhook is found by what waits at it and not by the age of a
//! delivery, so nobody's backlog hides what others wait for. A webhook that fails time and again is
//! paused, and then tried with one delivery.

use countersign_types::{
    UnixSeconds,
    id::{OrganizationId, WebhookDeliveryId, WebhookId},
    secret::Secret,
    webhook::WebhookDeliveryStatus,
};

use super::{
    Store, StoreError,
    connection::Connection,
    row::{FromRow, Row},
    value::params,
    webhooks::SigningKey,
};

/// After so many failures in a row a webhook is paused.
pub(crate) const FAILURES_BEFORE_PAUSE: u64 = 5;

/// A webhook at which deliveries are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueWebhook {
    pub(crate) organization: OrganizationId,
    pub(crate) id: WebhookId,
    /// How often in a row its receiver failed.
    pub(crate) failures: u64,
}

impl DueWebhook {
    /// Whether only one delivery may be tried, and no other before its result is known.
    pub(crate) const fn is_on_trial(&self) -> bool {
        self.failures >= FAILURES_BEFORE_PAUSE
    }
}

/// A delivery that this node is to try now.
pub(crate) struct Claimed {
    pub(crate) organization: OrganizationId,
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

/// The webhooks with a delivery that waits are walked through by the index of those, one step for
/// each, however many deliveries there are.
const DUE: &str = "WITH RECURSIVE waiting (webhook_id) AS (\
    SELECT min(webhook_id) FROM webhook_deliveries WHERE due_at IS NOT NULL UNION ALL \
    SELECT (SELECT min(d.webhook_id) FROM webhook_deliveries d \
    WHERE d.webhook_id > w.webhook_id AND d.due_at IS NOT NULL) \
    FROM waiting w WHERE w.webhook_id IS NOT NULL) \
    SELECT w.organization_id, w.id, w.failures FROM waiting JOIN webhooks w \
    ON w.id = waiting.webhook_id WHERE w.paused_until <= $1 AND EXISTS (\
    SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.due_at <= $1)";

const CLAIM: &str = "UPDATE webhook_deliveries SET due_at = $2, attempts = attempts + 1, \
    attempted_at = $1 WHERE due_at <= $1 AND seq IN (SELECT seq FROM webhook_deliveries \
    WHERE webhook_id = $4 AND due_at <= $1 ORDER BY due_at, seq LIMIT $3) \
    RETURNING seq, id, webhook_id, payload, created_at, attempts";

impl Store {
    /// When the next delivery is due, if there is any.
    pub(crate) async fn next_delivery_at(&self) -> Result<Option<UnixSeconds>, StoreError> {
        let sql = "SELECT min(due_at) FROM webhook_deliveries WHERE due_at IS NOT NULL";
        let mut connection = self.reader().await?;
        let found: Option<Option<UnixSeconds>> = connection.find(sql, &[]).await?;
        Ok(found.flatten())
    }

    /// The webhooks at which deliveries are due, except those that are paused now.
    pub(crate) async fn due_webhooks(&self) -> Result<Vec<DueWebhook>, StoreError> {
        let now = self.inner.sources.now();
        self.reader().await?.query(DUE, params![now]).await
    }

    /// Claims due deliveries until the lease ends: of each webhook as many as are wanted of it, those
    /// that were due first. No two nodes claim the same delivery, nor both try a webhook that is on
    /// trial: the second waits for the first one's row, and then finds that it is not due.
    pub(crate) async fn claim_deliveries(
        &self,
        wanted: &[(DueWebhook, u32)],
        lease: UnixSeconds,
    ) -> Result<Vec<Claimed>, StoreError> {
        let now = self.inner.sources.now();
        let mut wanted: Vec<_> = wanted.iter().collect();
        // Every node locks rows in the same order, so that no two nodes wait for each other.
        wanted.sort_by(|(a, _), (b, _)| a.id.as_str().cmp(b.id.as_str()));
        let mut connection = self.inner.database.transaction().await?;
        let mut claimed = Vec::new();
        for (webhook, most) in wanted {
            if webhook.is_on_trial() && !take_trial(&mut connection, webhook, now, lease).await? {
                continue;
            }
            let until = now + lease;
            let values = params![now, until, *most, webhook.id];
            let mut due: Vec<Due> = connection.query(CLAIM, values).await?;
            if due.is_empty() {
                continue;
            }
            // `RETURNING` has no order of its own.
            due.sort_by_key(|each| each.seq);
            for due in due {
                let (url, key) = address(&mut connection, &due.webhook).await?;
                claimed.push(Claimed {
                    organization: webhook.organization.clone(),
                    due,
                    url,
                    key,
                });
            }
        }
        connection.commit("COMMIT", || ()).await?;
        Ok(claimed)
    }

    /// Stores the result of an attempt, unless the lease ended and another node tried since.
    /// `pause` says for how long a webhook is paused after so many failures beyond those that
    /// are borne. Answers until when it is, if it is.
    pub(crate) async fn finish_delivery(
        &self,
        claimed: &Claimed,
        outcome: &AttemptResult,
        pause: impl Fn(u64) -> UnixSeconds + Send,
    ) -> Result<Option<UnixSeconds>, StoreError> {
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
        let webhook = &claimed.due.webhook;
        let paused = if outcome.status == WebhookDeliveryStatus::Delivered {
            let recovered = "UPDATE webhooks SET failures = 0, paused_until = 0 \
                WHERE id = $1 AND failures > 0";
            connection.execute(recovered, params![webhook]).await?;
            None
        } else {
            let now = self.inner.sources.now();
            failed(&mut connection, webhook, |failures| now + pause(failures)).await?
        };
        connection.commit("COMMIT", || ()).await?;
        Ok(paused)
    }
}

/// Takes the one attempt that a webhook on trial gets. The lease ends it if its result never comes.
async fn take_trial(
    connection: &mut Connection,
    webhook: &DueWebhook,
    now: UnixSeconds,
    lease: UnixSeconds,
) -> Result<bool, StoreError> {
    let sql = "UPDATE webhooks SET paused_until = $3 WHERE id = $1 AND paused_until <= $2";
    let taken = connection
        .execute(sql, params![webhook.id, now, now + lease])
        .await?;
    Ok(taken > 0)
}

/// Counts a failure. Answers until when the webhook is paused, if it is.
async fn failed(
    connection: &mut Connection,
    webhook: &WebhookId,
    until: impl Fn(u64) -> UnixSeconds,
) -> Result<Option<UnixSeconds>, StoreError> {
    let sql = "UPDATE webhooks SET failures = failures + 1 WHERE id = $1 RETURNING failures";
    // It may have been deleted meanwhile.
    let failures: Option<u64> = connection.find(sql, params![webhook]).await?;
    let beyond = failures.and_then(|failures| (failures + 1).checked_sub(FAILURES_BEFORE_PAUSE));
    let Some(beyond) = beyond.filter(|beyond| *beyond > 0) else {
        return Ok(None);
    };
    let until = until(beyond);
    let sql = "UPDATE webhooks SET paused_until = $2 WHERE id = $1";
    connection.execute(sql, params![webhook, until]).await?;
    Ok(Some(until))
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

impl FromRow for DueWebhook {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            organization: row.next()?,
            id: row.next()?,
            failures: row.next()?,
        })
    }
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
