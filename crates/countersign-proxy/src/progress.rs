//! How far one exchange has come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far one exchange has come.
#[derive(Debug, Default)]
pub struct Progress {
    received: AtomicU64,
    sent: AtomicU64,
    /// The upstream is ready for more of the request's body, and the client has not sent it.
    waiting_for_client: AtomicBool,
    /// What the client sent as a body is none, or breaks off.
    failed_by_client: AtomicBool,
}

impl Progress {
    /// Bytes of the request's body so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of the response's body so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether nothing happens because the client does not send its body.
    pub(crate) fn is_waiting_for_client(&self) -> bool {
        self.waiting_for_client.load(Ordering::Relaxed)
    }

    pub(crate) fn is_failed_by_client(&self) -> bool {
        self.failed_by_client.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_by_client(&self) {
        self.failed_by_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wait_for_client(&self, waits: bool) {
        self.waiting_for_client.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self, count: usize) {
        add(&self.received, count);
    }

    pub(crate) fn add_sent(&self, count: usize) {
        add(&self.sent, count);
    }
}

fn add(total: &AtomicU64, count: usize) {
    total.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}
