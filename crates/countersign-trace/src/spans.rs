//! Spans on their way to whoever collects them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    span::Span,
    traceparent::{TraceId, Traceparent},
};

/// The time in nanoseconds since the beginning of 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Whether a request is recorded, by what its client said of it, and the trace that it belongs to.
pub type Sample = Arc<dyn Fn(Option<&Traceparent>, &TraceId) -> bool + Send + Sync>;

/// Where spans go. So many wait at most: whoever collects them may be slow or gone, and further ones are
/// then counted and dropped.
pub struct Spans {
    waiting: mpsc::Sender<Span>,
    dropped: AtomicU64,
    sample: Sample,
    clock: Clock,
}

/// The spans that wait.
pub type Waiting = mpsc::Receiver<Span>;

impl Spans {
    /// Lets so many spans wait.
    #[must_use]
    pub fn new(most: usize, sample: Sample, clock: Clock) -> (Arc<Self>, Waiting) {
        let (waiting, received) = mpsc::channel(most.max(1));
        let spans = Self {
            waiting,
            dropped: AtomicU64::new(0),
            sample,
            clock,
        };
        (Arc::new(spans), received)
    }

    /// Whether a request is recorded.
    #[must_use]
    pub fn samples(&self, given: Option<&Traceparent>, trace: &TraceId) -> bool {
        (self.sample)(given, trace)
    }

    /// When something ended just now that took so long: its beginning and its end.
    #[must_use]
    pub fn time_of(&self, duration: Duration) -> (u64, u64) {
        let end = (self.clock)();
        let took = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        (end.saturating_sub(took), end)
    }

    /// Hands a span on, if there is room for it.
    pub fn offer(&self, span: Span) {
        if self.waiting.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped since this was last asked.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{span::Side, traceparent::Ids};

    #[test]
    fn what_finds_no_room_is_counted() {
        let (spans, mut waiting) = Spans::new(2, Arc::new(|_, _| true), Arc::new(|| 10));
        let ids = Ids::of(1);
        let span = Span {
            trace: ids.trace,
            id: ids.span,
            parent: None,
            side: Side::Server,
            name: "GET".to_owned(),
            time: spans.time_of(Duration::from_nanos(3)),
            attributes: Vec::new(),
            failed: false,
        };
        assert_eq!(span.time, (7, 10));
        for _ in 0..5 {
            spans.offer(span.clone());
        }
        assert_eq!((spans.take_dropped(), spans.take_dropped()), (3, 0));
        assert_eq!(waiting.try_recv().ok().as_ref(), Some(&span));
        spans.offer(span);
        assert_eq!(spans.take_dropped(), 0);
    }
}
