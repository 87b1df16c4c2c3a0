//! Judging again what is under way: after each change of trust, and every second, because a verdict
//! may also expire.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use countersign_proxy::Exchange as _;
use metrics::gauge;
use tokio::{sync::watch, time::interval};

use super::stream::{LiveStreams, Stream};
use crate::{admission::admit, record::Record, refusal::refused::Refusal, shared::Shared};

/// How often a thread looks for verdicts that expired while their streams live on.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

/// The live streams of one thread, and the trust that they are judged under.
#[derive(Debug)]
pub(crate) struct Recheck {
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<LiveStreams>,
    /// Which thread this is.
    pub(crate) thread: usize,
    /// Which change is in force, counted by `sync`.
    pub(crate) changed: watch::Receiver<u64>,
}

impl Recheck {
    /// Judges again, on each change and every second, until the gateway ends.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(EXPIRY_CHECK);
        loop {
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { return },
                _ = ticks.tick() => {}
            }
            // Read before judging: the snapshot is of this change or a later one.
            let change = *self.changed.borrow_and_update();
            self.judge_all(change);
        }
    }

    /// Judges every live stream again and cuts those that no longer pass. Only then is the change
    /// enforced on this thread.
    fn judge_all(&self, change: u64) {
        let streams = self.live.streams();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_live_streams", "thread" => self.thread.to_string())
            .set(streams.len() as f64);
        for stream in streams {
            if let Err(refusal) = readmit(&self.shared, &stream) {
                self.shared.refusals.count_cut(&refusal);
                stream.cut_signal().cut();
            }
        }
        if let Some(enforced) = self.shared.enforced.get(self.thread) {
            enforced.store(change, Ordering::Release);
            self.shared.enforced_changed.notify_waiters();
        }
    }
}

/// Judges a stream again. It is no new request, so nothing is counted.
fn readmit(shared: &Shared, stream: &Stream) -> Result<(), Refusal> {
    let mut record = Record::of_connection(&stream.connection);
    admit(
        shared,
        &stream.connection,
        &stream.credential,
        &mut record,
        None,
    )
    .map(|_| ())
}
