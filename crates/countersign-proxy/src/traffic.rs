//! What has passed over an HTTP/1.1 connection since its present request began.

use std::{
    io::IoSlice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use http::{HeaderName, HeaderValue, Request};

use crate::{client_state::ClientState, interim::Interims, trailers::Trailers};

/// The most bytes that are read at once for a client that may read nothing: they are kept, and so is the
/// room that they were read into. As a TLS record, 22 bytes longer, they fill 14 KiB exactly, for which the
/// allocator has a size.
pub(crate) const CAREFUL_READ_BYTES: usize = 14 * 1024 - 22;

/// The most bytes that are read at once, and that a response's head may have. hyper would read up
/// to 400 KiB, which has left the CPU's cache before it is encrypted.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// How much of a response is read at once for this client.
pub(crate) fn bytes_at_once(is_http1: bool, client: &ClientState) -> usize {
    if is_http1 && !client.seems_to_read() {
        return CAREFUL_READ_BYTES;
    }
    READ_BYTES
}

/// The most headers of a request that is sent again: clients send at most 100.
const MAX_HEADERS: usize = 256;

/// What has passed over a connection since its present request began. The bytes of a head are a
/// small part of what a copy of its headers would cost, and a head is seldom needed twice.
#[derive(Debug)]
pub(crate) struct Traffic {
    received: AtomicBool,
    records: AtomicBool,
    /// The head as it was written. The next request uses the memory again.
    head: Mutex<Vec<u8>>,
    /// Whether the head of the response is awaited, and interim responses before it are passed on.
    awaiting: AtomicBool,
    interims: Mutex<Option<Arc<Interims>>>,
    /// Trailers of the present request.
    trailers: Trailers,
    /// The upstream takes nothing more for now.
    blocked: AtomicBool,
    /// Nobody awaits the response any more.
    abandoned: AtomicBool,
    /// Nothing more is to be read for now: the client takes nothing.
    paused: AtomicBool,
    reader: AtomicWaker,
    /// The most bytes to read at once.
    at_once: AtomicUsize,
    /// How long the longest piece of a body was.
    longest: AtomicUsize,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            received: AtomicBool::default(),
            records: AtomicBool::default(),
            head: Mutex::default(),
            awaiting: AtomicBool::default(),
            interims: Mutex::default(),
            trailers: Trailers::default(),
            blocked: AtomicBool::default(),
            abandoned: AtomicBool::default(),
            paused: AtomicBool::default(),
            reader: AtomicWaker::new(),
            at_once: AtomicUsize::new(CAREFUL_READ_BYTES),
            longest: AtomicUsize::default(),
        }
    }
}

impl Traffic {
    /// Begins a request; its head is recorded where nothing follows it, and it may be sent again.
    /// So much of the response is read at once at first.
    pub(crate) fn begin(&self, records: bool, interims: Option<&Arc<Interims>>, at_once: usize) {
        self.received.store(false, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
        if records {
            lock(&self.head).clear();
        }
        self.awaiting.store(interims.is_some(), Ordering::Relaxed);
        *lock(&self.interims) = interims.cloned();
        self.trailers.forget();
        self.read_at_once(at_once);
    }

    /// Whether interim responses may come now.
    pub(crate) fn is_awaiting(&self) -> bool {
        self.awaiting.load(Ordering::Relaxed)
    }

    /// Says that the response itself has begun.
    pub(crate) fn answer(&self) {
        self.awaiting.store(false, Ordering::Relaxed);
    }

    /// Where interim responses to the present request go.
    pub(crate) fn interims(&self) -> Option<Arc<Interims>> {
        lock(&self.interims).clone()
    }

    pub(crate) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// Says whether what was written last waits for the upstream.
    pub(crate) fn block(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Says that nobody awaits the response any more: the connection serves for nothing else.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Leaves what comes next with the upstream: what would be read ahead has no other place than
    /// memory.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Reads on.
    pub(crate) fn resume(&self) {
        if self.paused.load(Ordering::Relaxed) {
            self.paused.store(false, Ordering::Release);
            self.reader.wake();
        }
    }

    /// Says how much may be read at once from now on.
    pub(crate) fn read_at_once(&self, bytes: usize) {
        self.at_once.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn at_once(&self) -> usize {
        self.at_once.load(Ordering::Relaxed)
    }

    /// Whether no piece of a body that was read here was as long as this one.
    pub(crate) fn is_longest(&self, piece: usize) -> bool {
        let is_longest = piece > self.longest.load(Ordering::Relaxed);
        if is_longest {
            self.longest.store(piece, Ordering::Relaxed);
        }
        is_longest
    }

    /// Waits while nothing is to be read.
    pub(crate) fn poll_unpaused(&self, context: &Context<'_>) -> Poll<()> {
        if !self.paused.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.reader.register(context.waker());
        if self.paused.load(Ordering::Acquire) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    pub(crate) fn receive(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Whether anything came back.
    pub(crate) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether anything came since this was asked last.
    pub(crate) fn take_received(&self) -> bool {
        self.received.swap(false, Ordering::Relaxed)
    }

    /// Records what is about to be written: hyper hands over a whole head at first, however much of
    /// it is then taken.
    pub(crate) fn write(&self, parts: &[IoSlice<'_>]) {
        if self.records.load(Ordering::Relaxed) {
            self.records.store(false, Ordering::Relaxed);
            let mut head = lock(&self.head);
            parts.iter().for_each(|part| head.extend_from_slice(part));
        }
    }

    /// The recorded head as a request.
    pub(crate) fn request(&self) -> Option<Request<()>> {
        let head = lock(&self.head);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&head).ok()?.is_complete().then_some(())?;
        let mut request = Request::builder()
            .method(parsed.method?)
            .uri(parsed.path?)
            .body(())
            .ok()?;
        for header in parsed.headers {
            let name: HeaderName = header.name.parse().ok()?;
            let value = HeaderValue::from_bytes(header.value).ok()?;
            request.headers_mut().append(name, value);
        }
        Some(request)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_head_is_the_request_again() {
        let traffic = Traffic::default();
        traffic.begin(true, None, CAREFUL_READ_BYTES);
        let parts = [
            IoSlice::new(b"GET /a?b=c HTTP/1.1\r\nhost: a\r\nx: 1\r\n"),
            IoSlice::new(b"x: \xff\r\n\r\n"),
        ];
        traffic.write(&parts);
        traffic.write(&[IoSlice::new(b"what was not taken at first")]);
        let request = traffic.request().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("GET", "/a?b=c".to_owned())
        );
        let values = request.headers().get_all("x").iter();
        let values: Vec<_> = values.map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], b"\xff"]);
        traffic.begin(true, None, CAREFUL_READ_BYTES);
        assert!(traffic.request().is_none(), "nothing was written yet");
    }

    #[test]
    fn each_request_says_anew_how_much_is_read_at_once() {
        let traffic = Traffic::default();
        traffic.read_at_once(2 * CAREFUL_READ_BYTES);
        traffic.begin(false, None, CAREFUL_READ_BYTES);
        assert_eq!(traffic.at_once(), CAREFUL_READ_BYTES);
    }
}
