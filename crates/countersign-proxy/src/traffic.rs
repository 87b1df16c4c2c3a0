//! What has passed over an HTTP/1.1 connection since its present request began.

use std::{
    io::IoSlice,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderName, HeaderValue, Request};

/// The most headers of a request that is sent again: clients send at most 100.
const MAX_HEADERS: usize = 256;

/// What has passed over a connection since its present request began. The bytes of a head are a
/// small part of what a copy of its headers would cost, and a head is seldom needed twice.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicBool,
    records: AtomicBool,
    /// The head as it was written. The next request uses the memory again.
    head: Mutex<Vec<u8>>,
}

impl Traffic {
    /// Begins a request; its head is recorded where nothing follows it, and it may be sent again.
    pub(crate) fn begin(&self, records: bool) {
        self.received.store(false, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
        if records {
            self.head().clear();
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
        if self.records.swap(false, Ordering::Relaxed) {
            let mut head = self.head();
            parts.iter().for_each(|part| head.extend_from_slice(part));
        }
    }

    /// The recorded head as a request.
    pub(crate) fn request(&self) -> Option<Request<()>> {
        let head = self.head();
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

    fn head(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_head_is_the_request_again() {
        let traffic = Traffic::default();
        traffic.begin(true);
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
        traffic.begin(true);
        assert!(traffic.request().is_none(), "nothing was written yet");
    }
}
