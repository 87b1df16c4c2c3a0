//! What a client's connection and the requests on it know of each other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::interim::Interims;

/// What the byte stream of a client's connection must know of its requests: hyper sees only one
/// side each.
#[derive(Debug, Default)]
pub struct ClientState {
    /// A request was answered before its body ended.
    body_left: AtomicBool,
    /// A request arrived, and its response has not begun. Only HTTP/1.1 says so.
    awaiting: AtomicBool,
    /// What follows is another protocol.
    upgraded: AtomicBool,
    /// How many requests of HTTP/1.1 began.
    begun: AtomicU64,
    /// Which of them has both lengths; 0 for none.
    ambiguous: AtomicU64,
    /// Interim responses to the present request of HTTP/1.1.
    interims: Arc<Interims>,
}

impl ClientState {
    /// Says that a request arrived. Whether its length is ambiguous: it has a `content-length` beside
    /// a `transfer-encoding`, of which hyper shows one.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.body_left.store(false, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
        self.interims.clear();
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        number == self.ambiguous.load(Ordering::Relaxed)
    }

    /// Says that the response begins.
    pub fn answer(&self) {
        self.awaiting.store(false, Ordering::Relaxed);
    }

    /// Says that the connection changes its protocol.
    pub(crate) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Says which request is ambiguous, counted from one.
    pub(crate) fn note_ambiguous(&self, number: u64) {
        // The first one ends the connection.
        let _ = self
            .ambiguous
            .compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Says that the request's body is not read to its end.
    pub(crate) fn leave_body(&self) {
        self.body_left.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_body_left(&self) -> bool {
        self.body_left.load(Ordering::Relaxed)
    }

    pub(crate) fn is_awaiting(&self) -> bool {
        self.awaiting.load(Ordering::Relaxed)
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    pub(crate) const fn interims(&self) -> &Arc<Interims> {
        &self.interims
    }
}
