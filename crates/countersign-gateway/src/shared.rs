//! What all threads of a gateway share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use countersign_types::{UnixSeconds, id::GatewayId, request_ids::RequestIds};
use http::StatusCode;
use tokio::sync::Notify;

use crate::{
    caller::snapshot::Snapshot,
    observing::tally::Observer,
    options::GatewayOptions,
    record::{AccessLog, Record},
    refusal::refusals::Refusals,
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
    pub(crate) last_contact: AtomicU64,
    /// The revision that each thread has judged its live streams under.
    pub(crate) enforced: Vec<AtomicU64>,
    pub(crate) enforced_changed: Notify,
    pub(crate) request_ids: RequestIds,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) refusals: Refusals,
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

    /// Why nothing may pass now: the control plane never answered, or too long ago.
    pub(crate) fn too_old(&self, now: UnixSeconds) -> Option<String> {
        let last_contact = self.last_contact.load(Ordering::Acquire);
        if last_contact == 0 {
            return Some("no bundle has been pulled yet".to_owned());
        }
        let limit = self.options.limits.max_bundle_age?.as_secs();
        let age = now.saturating_sub(last_contact);
        (age > limit).then(|| format!("the bundle is {age} s old, more than {limit} s"))
    }

    /// Counts and logs what became of a request. A refusal is counted where it is made.
    pub(crate) fn finish(&self, record: &Record, status: StatusCode, duration: Duration) {
        if !record.is_refused() {
            self.refusals.count_passed();
        }
        if let Some(verdict) = record.report_only() {
            self.refusals.report(verdict, record, self.now());
        }
        if let Some(log) = &self.access_log {
            log.write(record, self.now(), status, duration);
        }
    }
}
