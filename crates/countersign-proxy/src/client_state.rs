//! What a client's connection and the requests on it know of each other.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the byte stream of a client's connection must know of its requests: hyper sees only one
/// side each.
#[derive(Debug, Default)]
pub struct ClientState {
    /// A request was answered before its body ended.
    body_left: AtomicBool,
    /// A request arrived, and its response has not begun. Only HTTP/1.1 says so.
    awaiting: AtomicBool,
}

impl ClientState {
    /// Says that a request arrived.
    pub fn begin(&self) {
        self.body_left.store(false, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
    }

    /// Says that the response begins.
    pub fn answer(&self) {
        self.awaiting.store(false, Ordering::Relaxed);
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
}
