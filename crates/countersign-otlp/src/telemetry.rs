//! The thread that sends.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use countersign_trace::{Clock, Span, Spans, Waiting};
use metrics::{counter, describe_counter};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    collector::{Collector, NotTaken, client},
    metric_data::{self, Period},
    sampling,
    settings::Settings,
    span_data,
};

/// How long a stop waits for what is to be sent still.
const FLUSH: Duration = Duration::from_secs(5);

/// How long it may take to show the metrics.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is counted how many spans found no room.
const COUNT_EVERY: Duration = Duration::from_secs(1);

const SPANS: &str = "countersign_telemetry_spans_total";
const EXPORTS: &str = "countersign_telemetry_exports_total";

/// Shows all metrics, in Prometheus's format.
pub type Figures = Box<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// The telemetry of this process, sent by a thread of its own.
pub struct Telemetry {
    spans: Option<Arc<Spans>>,
    figures: Option<oneshot::Sender<Figures>>,
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread, or the CA of the collector cannot be used.
    pub fn start(settings: Settings, clock: Clock) -> io::Result<Self> {
        describe_counter!(
            SPANS,
            "spans, by what became of them: `sent`, `no_room` (too many waited), `not_taken` (by the collector)"
        );
        describe_counter!(
            EXPORTS,
            "requests to the collector of telemetry, by signal and result"
        );
        let http = client(settings.ca.as_deref()).map_err(io::Error::other)?;
        let traces = settings.traces.clone();
        let traces = traces.map(|destination| Collector::new(destination, http.clone()));
        let metrics = settings.metrics.clone();
        let metrics = metrics.map(|destination| Collector::new(destination, http));
        let sample = sampling::configured();
        let spans = traces.map(|collector| {
            let (spans, waiting) = Spans::new(settings.most_waiting, sample, Arc::clone(&clock));
            (
                Arc::clone(&spans),
                Traces {
                    collector,
                    spans,
                    waiting,
                },
            )
        });
        let (spans, traces) = spans.unzip();
        let (figures, given) = oneshot::channel();
        let stop = CancellationToken::new();
        let (end, ended) = mpsc::channel();
        let sending = Sending {
            settings,
            clock,
            stop: stop.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || {
                runtime.block_on(sending.run(traces, metrics, given));
                // Nobody may wait for it any more.
                let _ = end.send(());
            })?;
        Ok(Self {
            spans,
            figures: Some(figures),
            stop,
            ended,
        })
    }

    /// Where spans go, if any are wanted.
    #[must_use]
    pub fn spans(&self) -> Option<Arc<Spans>> {
        self.spans.clone()
    }

    /// Sends these from now on; only the first ones.
    pub fn send_figures(&mut self, figures: Figures) {
        if let Some(place) = self.figures.take() {
            // An error means that the thread has ended, or that metrics are not wanted.
            let _ = place.send(figures);
        }
    }

    /// Sends what waits, for as long as a stop may take.
    pub fn finish(self) {
        self.stop.cancel();
        if self.ended.recv_timeout(FLUSH).is_err() {
            tracing::warn!("the collector of telemetry takes too long; the latest is lost");
        }
    }
}

/// What both signals are sent with.
struct Sending {
    settings: Settings,
    clock: Clock,
    stop: CancellationToken,
}

/// Spans, and whoever collects them.
struct Traces {
    collector: Collector,
    spans: Arc<Spans>,
    waiting: Waiting,
}

impl Sending {
    async fn run(
        self,
        traces: Option<Traces>,
        metrics: Option<Collector>,
        figures: oneshot::Receiver<Figures>,
    ) {
        let traces = async {
            if let Some(traces) = traces {
                let spans = Arc::clone(&traces.spans);
                // Also while a collector is waited for.
                let counting = self.stop.run_until_cancelled(count_dropped(&spans));
                tokio::join!(self.send_spans(traces), counting);
            }
        };
        let metrics = async {
            if let Some(collector) = metrics {
                self.send_metrics(&collector, figures).await;
            }
        };
        tokio::join!(traces, metrics);
    }

    /// Sends spans until the stop, and then what waits.
    async fn send_spans(&self, traces: Traces) {
        let Traces {
            collector,
            spans,
            mut waiting,
        } = traces;
        let mut health = Health::of("traces");
        let mut batch = Vec::new();
        loop {
            self.gather(&mut waiting, &mut batch).await;
            counter!(SPANS, "result" => "no_room").increment(spans.take_dropped());
            if batch.is_empty() {
                return;
            }
            let request = span_data::request(&self.settings.resource, &batch);
            let sent = collector.send(&request).await;
            let result = if sent.is_ok() { "sent" } else { "not_taken" };
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            counter!(SPANS, "result" => result).increment(count);
            health.note(&sent);
            batch.clear();
        }
    }

    /// Gathers spans until there are enough, or it is time; none once all are sent.
    async fn gather(&self, waiting: &mut Waiting, batch: &mut Vec<Span>) {
        let most = self.settings.batch;
        let first = self
            .stop
            .run_until_cancelled(waiting.recv_many(batch, most));
        if first.await.is_none() {
            // Nothing more is taken; what was is still there.
            waiting.close();
            waiting.recv_many(batch, most).await;
            return;
        }
        let end = Instant::now() + self.settings.gather;
        while batch.len() < most {
            let more = waiting.recv_many(batch, most - batch.len());
            let more = self.stop.run_until_cancelled(timeout_at(end, more));
            match more.await {
                Some(Ok(count)) if count > 0 => {}
                _ => return,
            }
        }
    }

    /// Sends metrics once they are known, from time to time, and once more at the stop.
    async fn send_metrics(&self, collector: &Collector, figures: oneshot::Receiver<Figures>) {
        let Some(Ok(figures)) = self.stop.run_until_cancelled(figures).await else {
            return;
        };
        let begun = (self.clock)();
        let mut health = Health::of("metrics");
        let every = self.settings.interval;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = self.stop.run_until_cancelled(ticks.tick()).await.is_none();
            let text = tokio::select! {
                text = figures() => text,
                // Whoever shows them may be stuck.
                () = sleep(PATIENCE) => String::new(),
            };
            let now = (self.clock)();
            let request =
                metric_data::request(&self.settings.resource, &text, Period { begun, now });
            health.note(&collector.send(&request).await);
            if is_last {
                return;
            }
        }
    }
}

/// Counts the spans that found no room.
async fn count_dropped(spans: &Spans) {
    let mut ticks = interval(COUNT_EVERY);
    loop {
        ticks.tick().await;
        counter!(SPANS, "result" => "no_room").increment(spans.take_dropped());
    }
}

/// Whether what is sent is taken: it is said when that changes.
struct Health {
    signal: &'static str,
    failing: bool,
}

impl Health {
    const fn of(signal: &'static str) -> Self {
        Self {
            signal,
            failing: false,
        }
    }

    fn note(&mut self, sent: &Result<(), NotTaken>) {
        let signal = self.signal;
        let result = if sent.is_ok() { "taken" } else { "not_taken" };
        counter!(EXPORTS, "signal" => signal, "result" => result).increment(1);
        let was_failing = std::mem::replace(&mut self.failing, sent.is_err());
        match sent {
            Err(error) if !was_failing => {
                tracing::warn!(%error, signal, "telemetry is not taken, and is lost meanwhile");
            }
            Ok(()) if was_failing => tracing::info!(signal, "telemetry is taken again"),
            _ => {}
        }
    }
}
