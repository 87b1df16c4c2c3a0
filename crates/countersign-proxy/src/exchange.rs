//! One request and its response, as long as either is under way.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, ready},
};

use futures_util::task::AtomicWaker;
use http::HeaderName;

use crate::{client_state::ClientState, progress::Progress};

/// One request and its response. Both bodies hold it until they end, so the exchange is over when
/// it is dropped; and both bodies end early when it is cut. While it is held, nothing is passed on
/// in either direction, and nothing is lost.
pub trait Exchange: Send + Sync + 'static {
    /// What ends both bodies early, or lets them go on.
    fn cut_signal(&self) -> &CutSignal;

    /// Whether nothing may be passed on for now. Whoever ends this calls [`CutSignal::wake`].
    fn is_held(&self) -> bool;

    /// How far it has come.
    fn progress(&self) -> &Progress;

    /// The connection that it arrived on.
    fn client(&self) -> &ClientState;

    /// Whether clients may not send this header, nor this trailer: only the proxy itself sets it.
    fn is_reserved(name: &HeaderName) -> bool;

    /// Waits while the exchange is held, for the task that carries the response.
    fn poll_response(&self, context: &Context<'_>) -> Poll<Result<(), Cut>> {
        let signal = self.cut_signal();
        signal.poll(&signal.response, context, || self.is_held())
    }

    /// Waits while the exchange is held, for the task that carries the request's body.
    fn poll_upload(&self, context: &Context<'_>) -> Poll<Result<(), Cut>> {
        let signal = self.cut_signal();
        signal.poll(&signal.upload, context, || self.is_held())
    }

    /// Does work of the task that carries the response, for as long as the exchange is not cut. It
    /// rests while the exchange is held.
    fn carry<W: Future + Send>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<W::Output, Cut>> + Send {
        async move {
            let mut work = pin!(work);
            poll_fn(|context| match ready!(self.poll_response(context)) {
                Ok(()) => work.as_mut().poll(context).map(Ok),
                Err(cut) => Poll::Ready(Err(cut)),
            })
            .await
        }
    }
}

/// The exchange was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;

/// Ends an exchange early, wherever it is, and wakes it when it is no longer held.
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
        self.wake();
    }

    /// Whether the exchange was cut.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Lets both directions look again whether they may go on.
    pub fn wake(&self) {
        self.response.wake();
        self.upload.wake();
    }

    /// A waker wakes one task only, so there is one for each direction.
    fn poll(
        &self,
        waker: &AtomicWaker,
        context: &Context<'_>,
        is_held: impl Fn() -> bool,
    ) -> Poll<Result<(), Cut>> {
        // Before the look: a change that comes after it wakes this task.
        waker.register(context.waker());
        if self.is_cut() {
            Poll::Ready(Err(Cut))
        } else if is_held() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::{future::pending, sync::Arc, time::Instant};

    struct Held {
        signal: CutSignal,
        held: AtomicBool,
        progress: Progress,
        client: ClientState,
    }

    impl Exchange for Held {
        fn cut_signal(&self) -> &CutSignal {
            &self.signal
        }

        fn is_held(&self) -> bool {
            self.held.load(Ordering::Acquire)
        }

        fn progress(&self) -> &Progress {
            &self.progress
        }

        fn client(&self) -> &ClientState {
            &self.client
        }

        fn is_reserved(_: &HeaderName) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn what_is_held_rests_until_it_is_woken_and_what_is_cut_ends() {
        let exchange = Arc::new(Held {
            signal: CutSignal::default(),
            held: AtomicBool::default(),
            progress: Progress::since(Instant::now()),
            client: ClientState::default(),
        });
        exchange.held.store(true, Ordering::Release);
        let steps = AtomicBool::new(false);
        let mut work = pin!(exchange.carry(async { steps.store(true, Ordering::Release) }));
        assert_eq!(work.as_mut().now_or_never(), None);
        assert!(
            !steps.load(Ordering::Acquire),
            "nothing may be done while held"
        );
        let carried = Arc::clone(&exchange);
        let upload = tokio::spawn(poll_fn(move |context| carried.poll_upload(context)));
        tokio::task::yield_now().await;
        assert!(!upload.is_finished());
        exchange.held.store(false, Ordering::Release);
        exchange.signal.wake();
        assert_eq!(work.await, Ok(()));
        assert_eq!(upload.await.unwrap(), Ok(()));
        exchange.signal.cut();
        assert_eq!(
            exchange.carry(pending::<()>()).now_or_never(),
            Some(Err(Cut))
        );
    }
}
