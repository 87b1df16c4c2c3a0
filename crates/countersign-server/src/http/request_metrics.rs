//! Metrics of requests. The handles are made once, with the router, so that counting a request
//! looks nothing up and allocates no label.

use std::{sync::OnceLock, time::Duration};

use countersign_types::error::ErrorCode;
use http::Method;
use metrics::{Counter, Gauge, Histogram};

use crate::metrics::{IN_FLIGHT, REQUESTS, SECONDS, STORE_ERRORS};

/// The statuses that there are: 200 and those of the error codes.
fn statuses() -> impl Iterator<Item = u16> {
    std::iter::once(200).chain(ErrorCode::ALL.iter().map(|code| code.status()))
}

/// The meters of one operation.
pub(super) struct Meters {
    route: &'static str,
    method: String,
    seconds: Histogram,
    in_flight: Gauge,
    counts: Vec<(u16, OnceLock<Counter>)>,
}

impl Meters {
    pub(super) fn new(route: &'static str, method: &Method) -> Self {
        let mut known: Vec<_> = statuses().collect();
        known.sort_unstable();
        known.dedup();
        let method = method.as_str().to_owned();
        Self {
            route,
            seconds: metrics::histogram!(SECONDS, "route" => route, "method" => method.clone()),
            in_flight: metrics::gauge!(IN_FLIGHT),
            counts: known
                .into_iter()
                .map(|status| (status, OnceLock::new()))
                .collect(),
            method,
        }
    }

    /// A request has begun; it is in flight until what this returns is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    pub(super) fn end(&self, status: u16, took: Duration) {
        self.seconds.record(took);
        if let Some((_, counter)) = self.counts.iter().find(|(known, _)| *known == status) {
            counter.get_or_init(|| self.counter(status)).increment(1);
        }
    }

    fn counter(&self, status: u16) -> Counter {
        metrics::counter!(
            REQUESTS,
            "route" => self.route,
            "method" => self.method.clone(),
            "status" => status.to_string()
        )
    }
}

/// Ends the count of the request, also when its client disconnected.
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Counts a failure of the store.
pub(super) fn count_store_error(code: ErrorCode) {
    metrics::counter!(STORE_ERRORS, "code" => code.as_str()).increment(1);
}
