//! What is under way: every stream is registered here before it is judged, so that a change of
//! trust in between cannot be missed, and can be cut when what let it in no longer holds.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use slab::Slab;

use crate::connection::Connection;
use crate::identify::Credential;

/// One request under way, until its last byte.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The connection that it came on.
    pub(crate) connection: Arc<Connection>,
    /// What its identity is looked up by, each time it is judged.
    pub(crate) credential: Credential,
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Stream {
    /// Ends the stream, wherever it is.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready once the stream has been cut. One task at a time may wait.
    pub(crate) fn poll_cut(&self, context: &Context<'_>) -> Poll<()> {
        if self.cut.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // A cut between the look and the registration must not be missed.
        if self.cut.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Waits for the cut.
    pub(crate) async fn until_cut(&self) {
        std::future::poll_fn(|context| self.poll_cut(context)).await;
    }
}

/// The streams of one thread.
#[derive(Debug, Default)]
pub(crate) struct Live {
    streams: Mutex<Slab<Arc<Stream>>>,
}

impl Live {
    /// Registers a stream; it stays until the guard is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        credential: Credential,
    ) -> Registered {
        let stream = Arc::new(Stream {
            connection,
            credential,
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let place = self.lock().insert(Arc::clone(&stream));
        Registered {
            live: Arc::clone(self),
            stream,
            place,
        }
    }

    /// The streams under way, to judge them again.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.lock()
            .iter()
            .map(|(_, stream)| Arc::clone(stream))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place among the live ones, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Registered {
    live: Arc<Live>,
    stream: Arc<Stream>,
    place: usize,
}

impl std::ops::Deref for Registered {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.live.lock().try_remove(self.place);
    }
}
