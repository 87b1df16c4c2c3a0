//! Interim responses (1xx), on their way to a client that can take them.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
    /// Whether any may wait: most requests need no lock to know that there is none.
    any: AtomicBool,
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
        let mut waiting = self.waiting();
        if waiting.len() < MAX_WAITING {
            waiting.push_back(interim);
            self.any.store(true, Ordering::Release);
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
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut waiting = self.waiting();
        let next = waiting.pop_front();
        self.any.store(!waiting.is_empty(), Ordering::Release);
        next
    }

    /// Drops those that wait: they are of a request that is over.
    pub(crate) fn clear(&self) {
        if self.any.load(Ordering::Acquire) {
            let mut waiting = self.waiting();
            waiting.clear();
            self.any.store(false, Ordering::Release);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Response<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
