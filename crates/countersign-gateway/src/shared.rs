//! What all threads of a gateway share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use countersign_types::{
    UnixSeconds,
    error::ErrorCode,
    id::{GatewayId, RequestId},
};
use http::StatusCode;
use metrics::{Counter, counter};
use tokio::sync::Notify;

use crate::{
    identify::Snapshot,
    options::GatewayOptions,
    record::{AccessLog, Record},
    refusal::{Explanation, Explanations, Refusal},
};

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// What all threads of a gateway share.
pub(crate) struct Shared {
    pub(crate) options: GatewayOptions,
    pub(crate) id: GatewayId,
    pub(crate) clock: Clock,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// When the control plane last answered; 0 for never.
    pub(crate) heard_at: AtomicU64,
    /// The revision that each thread has judged its live streams under.
    pub(crate) enforced: Vec<AtomicU64>,
    pub(crate) enforced_changed: Notify,
    pub(crate) request_ids: RequestIds,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) explanations: Explanations,
    pub(crate) counts: Counts,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Why nothing may pass now: nothing was ever pulled, or too long ago.
    pub(crate) fn too_old(&self, now: UnixSeconds) -> Option<String> {
        let heard_at = self.heard_at.load(Ordering::Acquire);
        if heard_at == 0 {
            return Some("no bundle was pulled yet".to_owned());
        }
        let limit = self.options.limits.max_bundle_age?.as_secs();
        let age = now.saturating_sub(heard_at);
        (age > limit).then(|| format!("the bundle is {age} s old, more than {limit} s"))
    }

    /// Counts and logs a refusal, and keeps its story for `explain`.
    pub(crate) fn refuse(&self, refusal: &Refusal, record: &Record) {
        self.counts.verdict(refusal.code).increment(1);
        let Some(id) = record.request_id().cloned() else {
            return;
        };
        let trace = refusal
            .denial
            .as_ref()
            .map(|denial| serde_json::json!(denial.trace()));
        tracing::info!(
            request_id = %id,
            code = refusal.code.as_str(),
            reason = refusal.reason,
            organization = record.organization(),
            project = record.project(),
            key = record.key(),
            "refused"
        );
        self.explanations.remember(Explanation {
            request_id: id,
            time: self.now(),
            code: refusal.code.as_str(),
            reason: refusal.reason.clone(),
            organization: record.organization().map(str::to_owned),
            project: record.project().map(str::to_owned),
            key: record.key().map(str::to_owned),
            leaf_sha256: record.leaf_sha256(),
            trace: trace.unwrap_or_default(),
        });
    }

    /// Counts a live stream that is cut.
    pub(crate) fn cut(&self, refusal: &Refusal) {
        counter!("countersign_gateway_streams_cut_total", "code" => refusal.code.as_str())
            .increment(1);
    }

    /// Notes what became of a request.
    pub(crate) fn record(&self, record: &Record, status: StatusCode, duration: Duration) {
        if !record.is_refused() {
            self.counts.passed.increment(1);
        }
        if let Some(log) = &self.access_log {
            log.write(record, self.now(), status, duration);
        }
    }
}

/// Counters that are looked up once.
pub(crate) struct Counts {
    pub(crate) passed: Counter,
    refused: Vec<Counter>,
}

impl Counts {
    pub(crate) fn new() -> Self {
        let verdicts = |code| counter!("countersign_gateway_verdicts_total", "code" => code);
        Self {
            passed: verdicts("permit"),
            refused: ErrorCode::ALL
                .iter()
                .map(|code| verdicts(code.as_str()))
                .collect(),
        }
    }

    fn verdict(&self, code: ErrorCode) -> &Counter {
        let place = ErrorCode::ALL.iter().position(|each| *each == code);
        place
            .and_then(|place| self.refused.get(place))
            .unwrap_or(&self.passed)
    }
}

/// Numbers requests: a random part for the process, then a count. Unique, but no secret: who sees
/// one id can tell the next.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(process: u64) -> Self {
        Self {
            process,
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::from_random(u128::from(self.process) << 64 | u128::from(number))
    }
}
