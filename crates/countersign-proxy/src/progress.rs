//! How far one exchange has come, and since when nothing has moved.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How far one exchange has come.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    /// Nanoseconds from then to the last time that anything moved.
    moved: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    /// The upstream is ready for more of the request's body, and the client has not sent it.
    waiting_for_client: AtomicBool,
    /// What the client sent as a body is malformed.
    failed_by_client: AtomicBool,
    /// The client went away before the end of its body.
    lost_client: AtomicBool,
    /// The client sent nothing of its body for too long.
    stalled_by_client: AtomicBool,
    /// The response's body broke off.
    failed_by_upstream: AtomicBool,
    /// The response's body was read to its end, which the last bytes were, or little before it.
    ended: AtomicBool,
}

impl Progress {
    /// Of an exchange that began then.
    #[must_use]
    pub fn since(started: std::time::Instant) -> Self {
        Self {
            started: started.into(),
            moved: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            waiting_for_client: AtomicBool::default(),
            failed_by_client: AtomicBool::default(),
            lost_client: AtomicBool::default(),
            stalled_by_client: AtomicBool::default(),
            failed_by_upstream: AtomicBool::default(),
            ended: AtomicBool::default(),
        }
    }

    /// When it began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Says that the response's body was read to its end; when that was.
    pub(crate) fn end(&self) -> Instant {
        // The last bytes were the end, or little before it: that spares a look at the clock.
        if self.sent() == 0 {
            return Instant::now();
        }
        self.ended.store(true, Ordering::Relaxed);
        self.last_moved()
    }

    /// How long it took, now that both bodies are over.
    pub fn duration(&self) -> Duration {
        if self.ended.load(Ordering::Relaxed) {
            Duration::from_nanos(self.moved.load(Ordering::Relaxed))
        } else {
            self.started.elapsed()
        }
    }

    /// Bytes of the request's body so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of the response's body so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// When bytes of a body last moved, in either direction.
    pub(crate) fn last_moved(&self) -> Instant {
        self.started + Duration::from_nanos(self.moved.load(Ordering::Relaxed))
    }

    /// Ready once nothing has moved for so long.
    pub(crate) async fn is_quiet_for(&self, limit: Duration) {
        loop {
            let end = self.last_moved() + limit;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Whether nothing happens because the client does not send its body.
    pub(crate) fn is_waiting_for_client(&self) -> bool {
        self.waiting_for_client.load(Ordering::Relaxed)
    }

    /// Whether the upstream broke off the response's body.
    pub fn is_failed_by_upstream(&self) -> bool {
        self.failed_by_upstream.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_by_upstream(&self) {
        self.failed_by_upstream.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_failed_by_client(&self) -> bool {
        self.failed_by_client.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_by_client(&self) {
        self.failed_by_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_lost_client(&self) -> bool {
        self.lost_client.load(Ordering::Relaxed)
    }

    pub(crate) fn lose_client(&self) {
        self.lost_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stalled_by_client(&self) -> bool {
        self.stalled_by_client.load(Ordering::Relaxed)
    }

    pub(crate) fn stall_by_client(&self) {
        self.stalled_by_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wait_for_client(&self, waits: bool) {
        self.waiting_for_client.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self, count: usize) {
        self.add(&self.received, count);
    }

    pub(crate) fn add_sent(&self, count: usize) {
        self.add(&self.sent, count);
    }

    fn add(&self, total: &AtomicU64, count: usize) {
        total.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        let since = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(since, Ordering::Relaxed);
    }
}
