//! Sends webhooks from the outbox that [`store`](crate::store) keeps. Each event is delivered at
//! least once: an attempt that nobody finished is made again when its lease ends. Any number of
//! nodes may run this at once.

mod address;
mod options;
mod send;

use std::{collections::HashMap, sync::Arc, time::Duration};

use countersign_types::{UnixSeconds, id::WebhookId, webhook::WebhookDeliveryStatus as Status};
use tokio::{task::JoinSet, time};

pub(crate) use address::check_url;
pub use options::WebhookOptions;
use send::{SEND_TIMEOUT, Sender};

use crate::{
    metrics::WEBHOOK_ATTEMPTS,
    store::{AttemptResult, Claimed, Due, Sources, Store, StoreError},
};

/// The most attempts that this node makes at once, and the most of them to one webhook: a receiver
/// that never answers must not hold up the others.
const AT_ONCE: usize = 32;
const AT_ONCE_TO_ONE: usize = 4;
/// How many deliveries are claimed with one statement.
const BATCH: u32 = 4;
/// How long a claimed delivery belongs to one node, in seconds: longer than an attempt can take, so
/// that no two nodes send it at once.
const LEASE: UnixSeconds = 2 * SEND_TIMEOUT.as_secs();
/// The pause after the first failure, doubled with each failure, and the longest, in seconds. Up to
/// half of each pause is left out at random, so that deliveries that failed together are not tried
/// again together.
const FIRST_PAUSE: UnixSeconds = 5;
const LONGEST_PAUSE: UnixSeconds = 6 * 60 * 60;
/// How long after its event a delivery is given up, in seconds.
const GIVE_UP_AFTER: UnixSeconds = 3 * 24 * 60 * 60;
/// How often to look for due deliveries when no signal came.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often to delete old deliveries.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// Sends the deliveries that are due, until told to stop.
pub struct Webhooks {
    store: Store,
    sources: Sources,
    sender: Arc<Sender>,
    /// How many attempts are under way, by webhook.
    busy: HashMap<WebhookId, usize>,
    attempts: JoinSet<WebhookId>,
}

impl Webhooks {
    /// The webhooks of a store, with the same clock and randomness as the store's.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the file of roots cannot be used.
    pub fn new(
        store: Store,
        sources: Sources,
        options: &WebhookOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            sender: Arc::new(Sender::new(options)?),
            store,
            sources,
            busy: HashMap::new(),
            attempts: JoinSet::new(),
        })
    }

    /// Runs until `ended`, then waits for the attempts that are under way.
    pub async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let mut changed = self.store.subscribe();
        let mut forget = time::interval(FORGET_EVERY);
        // An outage is logged once, not every second.
        let mut failing = false;
        loop {
            let begun = self.begin_attempts().await;
            if let (Err(error), false) = (&begun, failing) {
                tracing::warn!(%error, "cannot read the outbox of webhooks; will try again");
            }
            failing = begun.is_err();
            let more = begun.unwrap_or(false);
            let pause = if more { Duration::ZERO } else { LOOK_AGAIN };
            tokio::select! {
                () = &mut ended => break,
                Some(done) = self.attempts.join_next() => self.end_attempt(done.ok()),
                _ = changed.changed() => {}
                () = time::sleep(pause) => {}
                _ = forget.tick() => self.forget().await,
            }
        }
        while self.attempts.join_next().await.is_some() {}
    }

    /// Starts due deliveries, as many as there is room for. Answers whether there may be more.
    async fn begin_attempts(&mut self) -> Result<bool, StoreError> {
        let due = self.store.next_delivery_at().await?;
        if self.attempts.len() >= AT_ONCE || due.is_none_or(|due| due > self.sources.now()) {
            return Ok(false);
        }
        let full: Vec<&WebhookId> = self
            .busy
            .iter()
            .filter(|(_, count)| **count >= AT_ONCE_TO_ONE)
            .map(|(webhook, _)| webhook)
            .collect();
        let claimed = self.store.claim_deliveries(BATCH, LEASE, &full).await?;
        let more = !claimed.is_empty();
        for delivery in claimed {
            *self.busy.entry(delivery.due.webhook.clone()).or_default() += 1;
            let attempt = Attempt {
                store: self.store.clone(),
                sources: self.sources.clone(),
                sender: Arc::clone(&self.sender),
                delivery,
            };
            self.attempts.spawn(attempt.make());
        }
        Ok(more)
    }

    fn end_attempt(&mut self, webhook: Option<WebhookId>) {
        match webhook {
            Some(webhook) => {
                if let Some(count) = self.busy.get_mut(&webhook) {
                    *count -= 1;
                }
                self.busy.retain(|_, count| *count > 0);
            }
            // After a panic nobody knows whose attempt it was: the counts are reset once no attempt
            // is under way.
            None if self.attempts.is_empty() => self.busy.clear(),
            None => {}
        }
    }

    async fn forget(&self) {
        if let Err(error) = self.store.forget_deliveries().await {
            tracing::warn!(%error, "cannot delete old webhook deliveries; will try again");
        }
    }
}

struct Attempt {
    store: Store,
    sources: Sources,
    sender: Arc<Sender>,
    delivery: Claimed,
}

impl Attempt {
    async fn make(self) -> WebhookId {
        let Due {
            webhook,
            id,
            attempt,
            ..
        } = &self.delivery.due;
        let sent = self.sender.send(&self.delivery, self.sources.now()).await;
        let accepted = sent.as_ref().is_ok_and(http::StatusCode::is_success);
        let result = match sent {
            Ok(status) => status.as_u16().to_string(),
            Err(failure) => failure.to_string(),
        };
        let outcome = if accepted {
            AttemptResult {
                status: Status::Delivered,
                due_at: None,
                result,
            }
        } else {
            self.failed(result)
        };
        let (status, result) = (outcome.status.as_str(), &outcome.result);
        metrics::counter!(WEBHOOK_ATTEMPTS, "outcome" => status).increment(1);
        if !accepted {
            tracing::warn!(%webhook, delivery = %id, attempt, status, result, "a webhook was not accepted");
        }
        if let Err(error) = self.store.finish_delivery(&self.delivery, &outcome).await {
            tracing::warn!(%webhook, delivery = %id, %error, "cannot store the result of a webhook attempt; it will be made again");
        }
        self.delivery.due.webhook
    }

    fn failed(&self, result: String) -> AttemptResult {
        let now = self.sources.now();
        let due_at = now + pause(self.delivery.due.attempt, self.random());
        let given_up = due_at > self.delivery.due.created_at + GIVE_UP_AFTER;
        AttemptResult {
            status: if given_up {
                Status::Failed
            } else {
                Status::Pending
            },
            due_at: (!given_up).then_some(due_at),
            result,
        }
    }

    /// Zero where there is no randomness: then every pause has its full length.
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        match (self.sources.random)(&mut bytes) {
            Ok(()) => u64::from_be_bytes(bytes),
            Err(_) => 0,
        }
    }
}

/// Seconds to wait after an attempt of this number failed. It is computed from the number, since the
/// next attempt may be another node's, or come after a restart.
fn pause(attempt: u64, random: u64) -> UnixSeconds {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_u64.checked_pow(doublings).unwrap_or(u64::MAX);
    let whole = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    whole - random % (whole / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours_and_are_cut_by_at_most_half() {
        let whole: Vec<_> = [1, 2, 3, 10, 13, 14, 64, u64::MAX]
            .map(|attempt| pause(attempt, 0))
            .to_vec();
        assert_eq!(whole, [5, 10, 20, 2560, 20480, 21600, 21600, 21600]);
        for random in [1, 7, u64::MAX] {
            let cut = pause(4, random);
            assert!((20..=40).contains(&cut), "{cut}");
        }
    }
}
