//! Sends webhooks from the outbox that [`store`](crate::store) keeps. Each event is delivered at
//! least once: an attempt that nobody finished is made again when its lease ends. Any number of
//! nodes may run this at once.

mod address;
mod fetch;
mod options;
mod retry;
mod send;
mod slots;
mod traced;

use std::{sync::Arc, time::Duration};

use countersign_trace::Spans;
use countersign_types::{
    UnixSeconds,
    id::{OrganizationId, WebhookId},
    webhook::WebhookDeliveryStatus as Status,
};
use tokio::{task::JoinSet, time};

pub(crate) use address::{check_list_url, check_url};
pub(crate) use fetch::{FETCH_TIMEOUT, FetchError, Fetched, Validators};
pub use options::WebhookOptions;
use retry::pause;
use send::SEND_TIMEOUT;
pub(crate) use send::Sender;
use slots::Slots;
use traced::Traced;

use crate::{
    metrics::WEBHOOK_ATTEMPTS,
    store::{AttemptResult, Claimed, Due, Sources, Store, StoreError},
};

/// How long a claimed delivery belongs to one node, in seconds: longer than an attempt can take, so
/// that no two nodes send it at once.
const LEASE: UnixSeconds = 2 * SEND_TIMEOUT.as_secs();
/// The longest pause of a webhook whose receiver keeps failing: then one delivery is tried, and the
/// first that is accepted ends the pauses.
const LONGEST_TRIAL_PAUSE: UnixSeconds = 15 * 60;
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
    slots: Slots,
    attempts: JoinSet<(OrganizationId, WebhookId)>,
    /// Where spans go; none unless they are collected.
    spans: Option<Arc<Spans>>,
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
            slots: Slots::default(),
            attempts: JoinSet::new(),
            spans: None,
        })
    }

    /// The same, whose attempts are recorded as spans where these go anywhere.
    #[must_use]
    pub fn recorded_by(self, spans: Option<Arc<Spans>>) -> Self {
        Self { spans, ..self }
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
        if due.is_none_or(|due| due > self.sources.now()) {
            return Ok(false);
        }
        let due = self.store.due_webhooks().await?;
        let wanted = self.slots.take(due);
        if wanted.is_empty() {
            return Ok(false);
        }
        let claimed = self.store.claim_deliveries(&wanted, LEASE).await;
        let mut unused = wanted;
        for delivery in claimed.iter().flatten() {
            let mut taken = unused.iter_mut();
            if let Some((_, slots)) = taken.find(|(webhook, _)| webhook.id == delivery.due.webhook)
            {
                *slots = slots.saturating_sub(1);
            }
        }
        for (webhook, slots) in unused {
            for _ in 0..slots {
                self.slots.give_back(&webhook.organization, &webhook.id);
            }
        }
        let claimed = claimed?;
        let more = !claimed.is_empty();
        for delivery in claimed {
            let attempt = Attempt {
                store: self.store.clone(),
                sources: self.sources.clone(),
                sender: Arc::clone(&self.sender),
                spans: self.spans.clone(),
                delivery,
            };
            self.attempts.spawn(attempt.make());
        }
        Ok(more)
    }

    fn end_attempt(&mut self, whose: Option<(OrganizationId, WebhookId)>) {
        match whose {
            Some((organization, webhook)) => self.slots.give_back(&organization, &webhook),
            // After a panic nobody knows whose attempt it was: the slots are free again once no
            // attempt is under way.
            None if self.attempts.is_empty() => self.slots.clear(),
            None => {}
        }
    }

    async fn forget(&self) {
        let give_up = self.sources.now().saturating_sub(GIVE_UP_AFTER);
        if let Err(error) = self.store.forget_deliveries(give_up).await {
            tracing::warn!(%error, "cannot delete old webhook deliveries; will try again");
        }
    }
}

struct Attempt {
    store: Store,
    sources: Sources,
    sender: Arc<Sender>,
    spans: Option<Arc<Spans>>,
    delivery: Claimed,
}

impl Attempt {
    async fn make(self) -> (OrganizationId, WebhookId) {
        let Due {
            webhook,
            id,
            attempt,
            ..
        } = &self.delivery.due;
        let spans = self.spans.as_ref();
        let traced = spans.and_then(|spans| Traced::begin(spans, &self.sources));
        let header = traced.as_ref().and_then(Traced::header);
        let now = self.sources.now();
        let sent = self.sender.send(&self.delivery, now, header).await;
        if let Some(traced) = traced {
            traced.end(&self.delivery.due, &sent);
        }
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
        self.finish(&outcome).await;
        (self.delivery.organization, self.delivery.due.webhook)
    }

    async fn finish(&self, outcome: &AttemptResult) {
        let Due { webhook, id, .. } = &self.delivery.due;
        let random = self.random();
        let longest = |failures| pause(failures, random).min(LONGEST_TRIAL_PAUSE);
        match self
            .store
            .finish_delivery(&self.delivery, outcome, longest)
            .await
        {
            Ok(None) => {}
            Ok(Some(paused_until)) => {
                tracing::warn!(%webhook, paused_until, "a webhook keeps failing and is paused");
            }
            Err(error) => {
                tracing::warn!(%webhook, delivery = %id, %error, "cannot store the result of a webhook attempt; it will be made again");
            }
        }
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
