//! What is under way: every stream is registered here before it is judged, so that a change of
//! trust in between cannot be missed, and can be cut when what let it in no longer holds.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use slab::Slab;

use crate::connection::Connection;
use crate::identify::Credential;

/// One request under way: it stays among the live ones until both its bodies are at their end.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The connection that it came on.
    pub(crate) connection: Arc<Connection>,
    /// What its identity is looked up by, each time it is judged.
    pub(crate) credential: Credential,
    cut: AtomicBool,
    answer: AtomicWaker,
    upload: AtomicWaker,
    live: Arc<Live>,
    place: usize,
}

impl Stream {
    /// Ends the stream, wherever it is.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.answer.wake();
        self.upload.wake();
    }

    /// Ready once the stream has been cut, for the task that brings the answer.
    pub(crate) fn poll_cut(&self, context: &Context<'_>) -> Poll<()> {
        self.poll(&self.answer, context)
    }

    /// Ready once the stream has been cut, for the task that brings the request's body.
    pub(crate) fn poll_upload_cut(&self, context: &Context<'_>) -> Poll<()> {
        self.poll(&self.upload, context)
    }

    /// One task at a time may wait at each waker.
    fn poll(&self, waker: &AtomicWaker, context: &Context<'_>) -> Poll<()> {
        if self.cut.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        waker.register(context.waker());
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

impl Drop for Stream {
    fn drop(&mut self) {
        self.live.lock().try_remove(self.place);
    }
}

/// The streams of one thread.
#[derive(Debug, Default)]
pub(crate) struct Live {
    streams: Mutex<Slab<Weak<Stream>>>,
}

impl Live {
    /// Registers a stream; it stays for as long as anyone keeps it.
    pub(crate) fn register(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        credential: Credential,
    ) -> Arc<Stream> {
        let mut streams = self.lock();
        let place = streams.vacant_entry();
        let stream = Arc::new(Stream {
            connection,
            credential,
            cut: AtomicBool::new(false),
            answer: AtomicWaker::new(),
            upload: AtomicWaker::new(),
            live: Arc::clone(self),
            place: place.key(),
        });
        place.insert(Arc::downgrade(&stream));
        stream
    }

    /// The streams under way, to judge them again.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.lock()
            .iter()
            .filter_map(|(_, stream)| stream.upgrade())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Weak<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
