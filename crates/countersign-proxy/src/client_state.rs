//! What a client's connection and the requests on it know of each other.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{deadline::Deadline, interim::Interims, trailers::Trailers};

/// More than waits in sockets of what is sent to a client that reads nothing: what its own takes before its program
/// reads (64 KiB, unless its system is told otherwise), and what the one here keeps (`TCP_NOTSENT_LOWAT`).
const IN_SOCKETS: u64 = 1 << 20;

/// How many timers are kept for the next requests: over HTTP/2 there are several at once.
const MAX_TIMERS: usize = 8;

/// What the byte stream of a client's connection must know of its requests: hyper sees only one
/// side each.
#[derive(Debug, Default)]
pub struct ClientState {
    /// A request was answered before its body ended.
    body_left: AtomicBool,
    /// A request arrived, and its response has not begun. Only HTTP/1.1 says so.
    awaiting: AtomicBool,
    /// A response has begun, and its body has not ended. Only HTTP/1.1 says so.
    streaming: AtomicBool,
    /// The client takes nothing more for now. Only HTTP/1.1 says so.
    blocked: AtomicBool,
    /// A piece of a response's body was handed over, and is not in the socket yet. Only HTTP/1.1 says so.
    unwritten: AtomicBool,
    /// A response's body waits for that.
    body_waits: AtomicBool,
    /// No request was under way for a while. Only HTTP/1.1 says so.
    idle: AtomicBool,
    /// What follows is another protocol.
    upgraded: AtomicBool,
    /// How many requests of HTTP/1.1 began.
    begun: AtomicU64,
    /// Which of them has both lengths; 0 for none.
    ambiguous: AtomicU64,
    /// Bytes that were written to a client of HTTP/1.1.
    written: AtomicU64,
    /// Interim responses to the present request of HTTP/1.1.
    interims: Arc<Interims>,
    /// Trailers of the present response of HTTP/1.1.
    trailers: Trailers,
    /// Timers of requests that were answered.
    timers: Mutex<Vec<Deadline>>,
}

impl ClientState {
    /// Says that a request arrived. Whether its length is ambiguous: it has a `content-length` beside
    /// a `transfer-encoding`, of which hyper shows one.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.body_left.store(false, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
        self.interims.clear();
        self.trailers.forget();
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

    /// Counts what was written. Only the connection's own task does.
    pub(crate) fn add_written(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let written = self.written.load(Ordering::Relaxed);
        let written = written.saturating_add(count);
        self.written.store(written, Ordering::Relaxed);
    }

    /// Whether the client seems to read what it is sent: more was written than would wait in sockets. That it
    /// sends further requests says nothing: it may send them without reading.
    pub(crate) fn seems_to_read(&self) -> bool {
        self.written.load(Ordering::Relaxed) > IN_SOCKETS
    }

    pub(crate) fn has_body_left(&self) -> bool {
        self.body_left.load(Ordering::Relaxed)
    }

    pub(crate) fn is_awaiting(&self) -> bool {
        self.awaiting.load(Ordering::Relaxed)
    }

    /// Says whether the body of a response is under way.
    pub(crate) fn stream(&self, streams: bool) {
        self.streaming.store(streams, Ordering::Relaxed);
    }

    /// Whether a request is under way, so that hyper does not read.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_awaiting() || self.streaming.load(Ordering::Relaxed)
    }

    /// Says whether what was written last waits for the client.
    pub(crate) fn block(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Says that a piece of a body was handed over, to be written.
    pub(crate) fn hand_over(&self) {
        self.unwritten.store(true, Ordering::Relaxed);
    }

    /// Says that all is in the socket that was handed over.
    pub(crate) fn finish_writing(&self) {
        self.unwritten.store(false, Ordering::Relaxed);
        self.block(false);
    }

    /// Whether nothing more of a body may be read for now: what was handed over must be in the socket first. Then
    /// the body is asked again.
    pub(crate) fn must_body_wait(&self) -> bool {
        let waits = self.is_blocked() || self.unwritten.load(Ordering::Relaxed);
        self.body_waits.store(waits, Ordering::Relaxed);
        waits
    }

    /// Whether a body has waited that need not wait any more. It is said once.
    pub(crate) fn take_body_to_ask(&self) -> bool {
        if !self.body_waits.load(Ordering::Relaxed)
            || self.is_blocked()
            || self.unwritten.load(Ordering::Relaxed)
        {
            return false;
        }
        self.body_waits.store(false, Ordering::Relaxed);
        true
    }

    /// Says whether no request was under way for a while.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Relaxed);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed)
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    pub(crate) const fn interims(&self) -> &Arc<Interims> {
        &self.interims
    }

    pub(crate) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// A timer that an earlier request used, or a new one.
    pub(crate) fn timer(&self) -> Deadline {
        self.timers().pop().unwrap_or_default()
    }

    /// Keeps a timer for the next request.
    pub(crate) fn keep_timer(&self, mut timer: Deadline) {
        let mut timers = self.timers();
        if timers.len() < MAX_TIMERS {
            timer.rest();
            timers.push(timer);
        }
    }

    fn timers(&self) -> MutexGuard<'_, Vec<Deadline>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sockets_cannot_hold_shows_that_a_client_reads() {
        let state = ClientState::default();
        // Further requests may be sent by one that reads nothing.
        for _ in 0..3 {
            assert!(!state.begin());
        }
        state.add_written(1 << 20);
        assert!(!state.seems_to_read());
        state.add_written(1);
        assert!(state.seems_to_read());
    }

    #[test]
    fn a_body_that_waited_is_asked_once_all_is_written() {
        let state = ClientState::default();
        assert!(!state.must_body_wait());
        state.hand_over();
        assert!(state.must_body_wait() && !state.take_body_to_ask());
        // That a part was taken is not enough.
        state.block(true);
        state.block(false);
        assert!(state.must_body_wait() && !state.take_body_to_ask());
        state.finish_writing();
        assert!(state.take_body_to_ask() && !state.take_body_to_ask());
        // One that was asked meanwhile waits for nothing.
        state.hand_over();
        assert!(state.must_body_wait());
        state.finish_writing();
        assert!(!state.must_body_wait() && !state.take_body_to_ask());
    }
}
