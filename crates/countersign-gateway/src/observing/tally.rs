//! Counting requests: a connection keeps a tally beside each verdict that it remembers, so that one
//! more request costs two writes to memory. `observations` collects the counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign_types::{UnixSeconds, id::OrganizationId, workload::ObservedWorkload};
use metrics::{Counter, counter};
use tokio::sync::mpsc;

use crate::{
    caller::identity::Identity,
    verdict::{chain::Chain, outcome::Outcome},
};

/// How many new tallies may wait to be collected. A connection begins one for each caller and
/// outcome, so this is some seconds of new connections at full load.
const MAX_WAITING: usize = 65_536;

/// What requests have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) organization: OrganizationId,
    pub(crate) identity: ObservedWorkload,
    pub(crate) outcome: Outcome,
}

/// How many requests were counted, and in which period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) first_seen: UnixSeconds,
    pub(crate) last_seen: UnixSeconds,
}

/// A running count of requests.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) subject: Subject,
    pub(crate) chain: Arc<Chain>,
    requests: AtomicU64,
    since: AtomicU64,
    last: AtomicU64,
}

impl Tally {
    /// A count that begins with one request.
    pub(super) fn new(subject: Subject, chain: &Arc<Chain>, now: UnixSeconds) -> Self {
        Self {
            subject,
            chain: Arc::clone(chain),
            requests: AtomicU64::new(1),
            since: AtomicU64::new(now),
            last: AtomicU64::new(now),
        }
    }

    /// Whether it counts requests of this caller with this outcome.
    pub(crate) fn counts(&self, identity: &Identity, outcome: &Outcome) -> bool {
        let subject = &self.subject;
        subject.organization == identity.organization
            && subject.identity.project.as_ref() == identity.project()
            && subject.identity.key == identity.key
            && subject.outcome == *outcome
    }

    /// Counts a request.
    pub(crate) fn count(&self, now: UnixSeconds) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Takes what was counted since the last time, and starts again at zero.
    pub(crate) fn take(&self) -> Option<Counts> {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let last_seen = self.last.load(Ordering::Relaxed);
        (requests > 0).then(|| Counts {
            requests,
            // The next period begins where this one ends.
            first_seen: self.since.swap(last_seen, Ordering::Relaxed),
            last_seen,
        })
    }
}

/// Starts tallies.
#[derive(Debug)]
pub(crate) struct Observer {
    started: mpsc::Sender<Arc<Tally>>,
    dropped: Counter,
}

impl Observer {
    /// An observer, and the channel on which its tallies arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Arc<Tally>>) {
        let (started, tallies) = mpsc::channel(MAX_WAITING);
        let dropped = dropped();
        (Self { started, dropped }, tallies)
    }

    /// Starts a tally with its first request. `None` when too many wait to be collected: then this
    /// request is not counted, and the next one tries again.
    pub(crate) fn start(
        &self,
        identity: &Identity,
        chain: &Arc<Chain>,
        outcome: Outcome,
        now: UnixSeconds,
    ) -> Option<Arc<Tally>> {
        let subject = Subject {
            organization: identity.organization.clone(),
            identity: ObservedWorkload {
                project: identity.project().cloned(),
                key: identity.key.clone(),
                chain: chain.presented.leaf().map(|_| chain.digest),
            },
            outcome,
        };
        let tally = Arc::new(Tally::new(subject, chain, now));
        if self.started.try_send(Arc::clone(&tally)).is_err() {
            self.dropped.increment(1);
            return None;
        }
        Some(tally)
    }
}

/// Counts requests that were served and will be missing from the observations.
pub(crate) fn dropped() -> Counter {
    counter!("countersign_gateway_observations_dropped_total")
}
