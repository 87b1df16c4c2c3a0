//! What upstreams do, by route: how long they take to answer, and what goes wrong with them. Each thread
//! counts for itself, so that no two write to the same memory for each request.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_proxy::ForwardError;
use http::StatusCode;

use super::histogram::{Histogram, Sums};
use crate::prometheus_text::{begin, value};

const ANSWERS: &str = "countersign_gateway_upstream_response_duration_seconds";
const ERRORS: &str = "countersign_gateway_upstream_errors_total";

/// What the upstream of one route does, on one thread.
#[derive(Debug, Default)]
pub(crate) struct UpstreamMeters {
    answers: Histogram,
    connect: AtomicU64,
    connect_timeout: AtomicU64,
    response_timeout: AtomicU64,
    broken_response: AtomicU64,
    status_5xx: AtomicU64,
}

impl UpstreamMeters {
    /// Counts an answer, whose head came so long after the request's.
    pub(crate) fn answered(&self, status: StatusCode, after: Duration) {
        self.answers.note(after);
        if status.is_server_error() {
            add(&self.status_5xx);
        }
    }

    /// Counts why there was no answer, unless that is the client's fault.
    pub(crate) fn failed(&self, error: &ForwardError) {
        match error {
            ForwardError::Connect(_) => add(&self.connect),
            ForwardError::ConnectTimeout(_) => add(&self.connect_timeout),
            ForwardError::ResponseTimeout(_) => add(&self.response_timeout),
            ForwardError::Broken(_)
            | ForwardError::UnaskedUpgrade
            | ForwardError::UnknownCoding => add(&self.broken_response),
            ForwardError::RequestTarget
            | ForwardError::ClientBody(_)
            | ForwardError::ClientGone(_)
            | ForwardError::ClientStalled => {}
        }
    }

    /// Counts an answer whose body broke off.
    pub(crate) fn broke_off(&self) {
        add(&self.broken_response);
    }

    /// Each kind of error, and how many there were.
    fn errors(&self) -> [(&'static str, u64); 5] {
        [
            ("connect", &self.connect),
            ("connect_timeout", &self.connect_timeout),
            ("response_timeout", &self.response_timeout),
            ("broken_response", &self.broken_response),
            ("status_5xx", &self.status_5xx),
        ]
        .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// What the upstreams of all routes do. Routes that are no longer configured keep their counts.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(Mutex<BTreeMap<String, Vec<Arc<UpstreamMeters>>>>);

impl Upstreams {
    /// The meters of a route for one more thread: those that an earlier configuration left, if nobody
    /// uses them any more, so that their number is bounded.
    pub(crate) fn meters(&self, route: &str) -> Arc<UpstreamMeters> {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = routes.entry(route.to_owned()).or_default();
        let left = all.iter().find(|each| Arc::strong_count(each) == 1);
        if let Some(left) = left {
            return Arc::clone(left);
        }
        let new = Arc::default();
        all.push(Arc::clone(&new));
        new
    }

    /// As Prometheus reads it.
    pub(super) fn show(&self, text: &mut String) {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let help =
            "time from the head of a request to the head of its upstream's response, by route";
        begin(ANSWERS, help, "histogram", text);
        for (route, meters) in &*routes {
            let mut sums = Sums::default();
            for each in meters {
                each.answers.add_to(&mut sums);
            }
            sums.show(ANSWERS, &[("route", route)], text);
        }
        let help = "requests that an upstream failed, by route and kind; `status_5xx` counts its own answers";
        begin(ERRORS, help, "counter", text);
        for (route, meters) in &*routes {
            let mut kinds = UpstreamMeters::default().errors();
            for each in meters {
                for ((_, all), (_, count)) in kinds.iter_mut().zip(each.errors()) {
                    *all += count;
                }
            }
            for (kind, count) in kinds {
                value(ERRORS, &[("route", route), ("kind", kind)], count, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_are_counted_together_and_what_nobody_uses_is_used_again() {
        let upstreams = Upstreams::default();
        let (one, other) = (upstreams.meters("a"), upstreams.meters("a"));
        one.answered(StatusCode::OK, Duration::from_millis(2));
        other.answered(StatusCode::BAD_GATEWAY, Duration::from_millis(2));
        other.failed(&ForwardError::ConnectTimeout(Duration::ZERO));
        other.failed(&ForwardError::ClientStalled);
        drop(one);
        upstreams.meters("a").broke_off();
        assert_eq!(
            upstreams
                .0
                .lock()
                .unwrap()
                .values()
                .map(Vec::len)
                .sum::<usize>(),
            2
        );
        let mut text = String::new();
        upstreams.show(&mut text);
        let route = "route=\"a\"";
        for (line, count) in [
            (format!("{ANSWERS}_count{{{route}}}"), 2),
            (format!("{ANSWERS}_bucket{{{route},le=\"0.001\"}}"), 0),
            (format!("{ERRORS}{{{route},kind=\"status_5xx\"}}"), 1),
            (format!("{ERRORS}{{{route},kind=\"connect_timeout\"}}"), 1),
            (format!("{ERRORS}{{{route},kind=\"broken_response\"}}"), 1),
            (format!("{ERRORS}{{{route},kind=\"connect\"}}"), 0),
        ] {
            let line = format!("{line} {count}");
            assert!(text.lines().any(|each| each == line), "{line}: {text}");
        }
    }
}
