//! Interim responses (1xx), on their way to a client that can take them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    task::Context,
};

use futures_util::task::AtomicWaker;
use http::{HeaderMap, Response, StatusCode};

use crate::headers;

/// The most interim responses that wait at once: one that comes on top of these is dropped, as any
/// interim response may be.
const MAX_WAITING: usize = 8;

/// Interim responses of one request over HTTP/2, or of the present request of an HTTP/1.1 connection.
#[derive(Debug, Default)]
pub(crate) struct Interims {
    waiting: Mutex<VecDeque<Response<()>>>,
    waker: AtomicWaker,
}

impl Interims {
    /// Sends one on, ahead of the response.
    pub(crate) fn push(&self, status: StatusCode, mut headers: HeaderMap) {
        headers::to_client(&mut headers, status);
        let mut interim = Response::new(());
        *interim.status_mut() = status;
        *interim.headers_mut() = headers;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push_back(interim);
            self.waker.wake();
        }
    }

    /// Sends one on that an upstream sent. `100` is not: it answers an `expect` that is answered here.
    /// Nor is `101`, which is no interim response.
    pub(crate) fn pass_on(&self, status: StatusCode, headers: &HeaderMap) {
        if !matches!(
            status,
            StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS
        ) {
            self.push(status, headers.clone());
        }
    }

    /// The next one, if there is any; otherwise the task is woken when there is.
    pub(crate) fn next(&self, context: &Context<'_>) -> Option<Response<()>> {
        self.waker.register(context.waker());
        self.take()
    }

    /// The next one, if there is any.
    pub(crate) fn take(&self) -> Option<Response<()>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }

    /// Drops those that wait: they are of a request that is over.
    pub(crate) fn clear(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.clear();
    }
}

/// Has the interim responses of an HTTP/1.1 upstream passed on.
pub(crate) fn pass_on<B>(request: &mut http::Request<B>, interims: Arc<Interims>) {
    hyper::ext::on_informational(request, move |response| {
        interims.pass_on(response.status(), response.headers());
    });
}

/// An interim response as HTTP/1.1 writes it.
pub(crate) fn written(interim: &Response<()>) -> Vec<u8> {
    let status = interim.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    headers::write(interim.headers(), &mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes
}
