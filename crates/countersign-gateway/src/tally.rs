//! What requests are counted in: a connection keeps a tally beside each verdict that it remembers,
//! so that one more request costs two stores to memory. `observations` takes the counts away.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign_types::{
    UnixSeconds,
    digest::ChainDigest,
    error::ErrorCode,
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
    observation::{AnchorScope, ReportedOutcome},
};
use countersign_verify::{denial::Denial, permit::Permit, presented::Presented};
use metrics::{Counter, counter};
use tokio::sync::mpsc;

use crate::{identify::Identity, reported::Reported};

/// How many new tallies may wait to be taken up. A connection begins one for each caller and
/// outcome, so this is some seconds of new connections at a gateway's best.
const MAX_WAITING: usize = 65_536;

/// What a connection presented, and what tells it from other chains.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) presented: Presented,
    pub(crate) digest: ChainDigest,
}

impl Chain {
    pub(crate) fn new(presented: Presented) -> Self {
        Self {
            digest: presented.sha256(),
            presented,
        }
    }

    /// The bytes of what a verdict depends on.
    pub(crate) fn bytes(&self) -> usize {
        self.presented.judged().iter().map(|der| der.len()).sum()
    }
}

/// What became of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub(crate) code: Option<ErrorCode>,
    pub(crate) anchor: Option<(CertificateId, AnchorScope)>,
    pub(crate) reported: Option<ReportedOutcome>,
}

impl Outcome {
    /// They passed, under an anchor if there is a permit.
    pub(crate) fn passed(permit: Option<&Permit>, reported: Option<&Reported>) -> Self {
        Self {
            code: None,
            anchor: permit.map(|permit| (permit.anchor().clone(), permit.scope().into())),
            reported: reported.map(report),
        }
    }

    /// They were refused. An anchor is named where the chain verified and its policy said no.
    pub(crate) fn denied(denial: &Denial, reported: Option<&Reported>) -> Self {
        let verified = denial.verified_under();
        Self {
            code: Some(denial.code()),
            anchor: verified.map(|(anchor, scope)| (anchor.clone(), scope.into())),
            reported: reported.map(report),
        }
    }
}

fn report(reported: &Reported) -> ReportedOutcome {
    ReportedOutcome {
        code: reported.code(),
        anchor: reported.anchor().cloned(),
    }
}

/// What requests have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) organization: OrganizationId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) key: Option<ApiKeyId>,
    /// None where no certificate was presented.
    pub(crate) chain: Option<ChainDigest>,
    pub(crate) outcome: Outcome,
}

/// What was counted, and between when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) first_seen: UnixSeconds,
    pub(crate) last_seen: UnixSeconds,
}

/// A count of requests that goes on.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) subject: Subject,
    pub(crate) chain: Arc<Chain>,
    requests: AtomicU64,
    since: AtomicU64,
    last: AtomicU64,
}

impl Tally {
    /// Whether it counts requests of this caller with this outcome.
    pub(crate) fn counts(&self, identity: &Identity, outcome: &Outcome) -> bool {
        let subject = &self.subject;
        subject.organization == identity.organization.id
            && subject.project.as_ref() == identity.project()
            && subject.key == identity.key
            && subject.outcome == *outcome
    }

    /// Counts a request.
    pub(crate) fn count(&self, now: UnixSeconds) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Takes away what was counted since the last time.
    pub(crate) fn take(&self) -> Option<Counts> {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let last_seen = self.last.load(Ordering::Relaxed);
        (requests > 0).then(|| Counts {
            requests,
            // What comes later was not seen before this.
            first_seen: self.since.swap(last_seen, Ordering::Relaxed),
            last_seen,
        })
    }
}

/// Where tallies begin.
#[derive(Debug)]
pub(crate) struct Observer {
    begun: mpsc::Sender<Arc<Tally>>,
    dropped: Counter,
}

impl Observer {
    /// An observer, and where its tallies arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Arc<Tally>>) {
        let (begun, tallies) = mpsc::channel(MAX_WAITING);
        let dropped = dropped();
        (Self { begun, dropped }, tallies)
    }

    /// Begins a tally with its first request. `None` when too many wait: then the request is not
    /// counted, and the next one tries again.
    pub(crate) fn begin(
        &self,
        identity: &Identity,
        chain: &Arc<Chain>,
        outcome: Outcome,
        now: UnixSeconds,
    ) -> Option<Arc<Tally>> {
        let tally = Arc::new(Tally {
            subject: Subject {
                organization: identity.organization.id.clone(),
                project: identity.project().cloned(),
                key: identity.key.clone(),
                chain: chain.presented.leaf().map(|_| chain.digest),
                outcome,
            },
            chain: Arc::clone(chain),
            requests: AtomicU64::new(1),
            since: AtomicU64::new(now),
            last: AtomicU64::new(now),
        });
        if self.begun.try_send(Arc::clone(&tally)).is_err() {
            self.dropped.increment(1);
            return None;
        }
        Some(tally)
    }
}

/// Requests that were served and will not be in what is observed.
pub(crate) fn dropped() -> Counter {
    counter!("countersign_gateway_observations_dropped_total")
}
