//! One request and its response, as long as either is under way.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use http::HeaderName;

/// One request and its response. Both bodies hold it until they end, so the exchange is over when
/// it is dropped; and both bodies end early when it is cut.
pub trait Exchange: Send + Sync + 'static {
    /// What ends both bodies early.
    fn cut_signal(&self) -> &CutSignal;

    /// Whether clients may not send this header, nor this trailer: only the proxy itself sets it.
    fn is_reserved(name: &HeaderName) -> bool;
}

/// Ends an exchange early, wherever it is.
#[derive(Debug, Default)]
pub struct CutSignal {
    cut: AtomicBool,
    response: AtomicWaker,
    upload: AtomicWaker,
}

impl CutSignal {
    /// Ends the exchange.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.response.wake();
        self.upload.wake();
    }

    /// Ready once the exchange has been cut, for the task that carries the response.
    pub fn poll_response(&self, context: &Context<'_>) -> Poll<()> {
        self.poll(&self.response, context)
    }

    /// Ready once the exchange has been cut, for the task that carries the request's body.
    pub fn poll_upload(&self, context: &Context<'_>) -> Poll<()> {
        self.poll(&self.upload, context)
    }

    /// A waker wakes one task only: hence one for each direction.
    fn poll(&self, waker: &AtomicWaker, context: &Context<'_>) -> Poll<()> {
        if self.cut.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        waker.register(context.waker());
        // A cut between the first look and the registration woke nobody: look again.
        if self.cut.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Waits for the cut, in the task that carries the response.
    pub async fn until_cut(&self) {
        std::future::poll_fn(|context| self.poll_response(context)).await;
    }
}
