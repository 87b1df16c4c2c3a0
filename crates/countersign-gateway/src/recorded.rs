//! Metrics, as a test reads them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

/// What was recorded, by name and labels.
#[derive(Debug, Default)]
pub(crate) struct Recorded(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Recorded {
    /// Does something whose metrics are recorded here.
    pub(crate) fn of<T>(&self, work: impl FnOnce() -> T) -> T {
        with_local_recorder(self, work)
    }

    /// The value of a counter, as in `name` or `name label`.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let known = self.0.lock().unwrap();
        known
            .get(name)
            .map_or(0, |each| each.load(Ordering::Relaxed))
    }

    /// The value of a gauge.
    pub(crate) fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.count(name))
    }

    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!(" {}", label.value()));
        let name = key.name().to_owned() + &labels.collect::<String>();
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
