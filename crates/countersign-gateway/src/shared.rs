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
    request_ids::RequestIds,
};
use http::StatusCode;
use metrics::{Counter, counter};
use tokio::sync::Notify;

use crate::{
    identify::Snapshot,
    options::GatewayOptions,
    record::{AccessLog, PERMIT, Record},
    refusal::{Explanation, Explanations, Refusal, Reports},
    reported::Reported,
    tally::Observer,
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
    pub(crate) reports: Reports,
    pub(crate) counts: Counts,
    /// None where nothing is observed.
    pub(crate) observer: Option<Observer>,
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
        self.counts.verdicts.of(Some(refusal.code)).increment(1);
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
            reason: refusal.reason.clone(),
            trace: trace.unwrap_or_default(),
            ..self.explanation(id, refusal.code, record)
        });
    }

    /// Counts what anchors that are only reported would make of a request, and keeps the story of
    /// a denial for `explain`.
    fn report(&self, reported: &Arc<Reported>, record: &Record) {
        self.counts.reported.of(reported.code()).increment(1);
        if let (Some(code), Some(id)) = (reported.code(), record.request_id().cloned()) {
            let explanation = Explanation {
                report_only: true,
                ..self.explanation(id, code, record)
            };
            self.reports.remember(explanation, Arc::clone(reported));
        }
    }

    /// What is known of a refused request besides its story.
    fn explanation(&self, id: RequestId, code: ErrorCode, record: &Record) -> Explanation {
        Explanation {
            request_id: id,
            time: self.now(),
            code: code.as_str(),
            report_only: false,
            reason: String::new(),
            organization: record.organization().map(str::to_owned),
            project: record.project().map(str::to_owned),
            key: record.key().map(str::to_owned),
            leaf_sha256: record.leaf_sha256(),
            trace: serde_json::Value::Null,
        }
    }

    /// Why a request was refused, or would be.
    pub(crate) fn explain(&self, id: &str) -> Option<Explanation> {
        let refused = self.explanations.find(id);
        refused.or_else(|| self.reports.find(id))
    }

    /// Counts a live stream that is cut.
    pub(crate) fn cut(&self, refusal: &Refusal) {
        counter!("countersign_gateway_streams_cut_total", "code" => refusal.code.as_str())
            .increment(1);
    }

    /// Notes what became of a request.
    pub(crate) fn record(&self, record: &Record, status: StatusCode, duration: Duration) {
        if !record.is_refused() {
            self.counts.verdicts.passed.increment(1);
        }
        if let Some(reported) = record.reported() {
            self.report(reported, record);
        }
        if let Some(log) = &self.access_log {
            log.write(record, self.now(), status, duration);
        }
    }
}

/// Counters that are looked up once.
pub(crate) struct Counts {
    verdicts: ByVerdict,
    reported: ByVerdict,
}

/// A counter for each verdict.
struct ByVerdict {
    passed: Counter,
    refused: Vec<Counter>,
}

impl Counts {
    pub(crate) fn new() -> Self {
        let verdicts = |code| counter!("countersign_gateway_verdicts_total", "code" => code);
        let reported = |code| counter!("countersign_gateway_report_verdicts_total", "code" => code);
        Self {
            verdicts: ByVerdict::new(verdicts),
            reported: ByVerdict::new(reported),
        }
    }
}

impl ByVerdict {
    fn new(counter: impl Fn(&'static str) -> Counter) -> Self {
        Self {
            passed: counter(PERMIT),
            refused: ErrorCode::ALL
                .iter()
                .map(|code| counter(code.as_str()))
                .collect(),
        }
    }

    /// That of a code; without one, of what passed.
    fn of(&self, code: Option<ErrorCode>) -> &Counter {
        let place = code.and_then(|code| ErrorCode::ALL.iter().position(|each| *each == code));
        place
            .and_then(|place| self.refused.get(place))
            .unwrap_or(&self.passed)
    }
}
