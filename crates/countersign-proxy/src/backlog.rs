//! What waits to be written to a client over HTTP/2. The streams of a connection share a bound: what
//! a client does not read is left with the upstream, and not kept here for each stream.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};

/// How many bytes of all streams of a connection may wait. A stream that begins below it may go
/// beyond it by what it has in hand.
const MAX_BYTES: usize = 256 * 1024;

/// What waits to be written on one connection.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Backlog {
    /// Waits until there is room.
    pub(crate) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting();
        if !waiting.iter().any(|each| each.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        drop(waiting);
        // There may be since: whoever made it found nobody waiting.
        if self.has_room() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Acquire) < MAX_BYTES
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, count: usize) {
        let before = self.bytes.fetch_sub(count, Ordering::AcqRel);
        if before >= MAX_BYTES && before - count < MAX_BYTES {
            let waiting = std::mem::take(&mut *self.waiting());
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// A piece of a body that waits to be written; dropped when it is.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    counted: Option<(Arc<Backlog>, usize)>,
}

impl Piece {
    pub(crate) fn new(bytes: Bytes, backlog: &Arc<Backlog>) -> Self {
        let count = bytes.len();
        backlog.bytes.fetch_add(count, Ordering::AcqRel);
        Self {
            bytes,
            counted: Some((Arc::clone(backlog), count)),
        }
    }

    /// Nothing, which takes no room.
    pub(crate) const fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            counted: None,
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some((backlog, count)) = self.counted.take() {
            backlog.written(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::poll_fn;

    #[tokio::test]
    async fn whoever_waits_for_room_goes_on_when_there_is() {
        let backlog = Arc::new(Backlog::default());
        let room = || poll_fn(|context| backlog.poll_room(context));
        let first = Piece::new(Bytes::from(vec![0; MAX_BYTES - 1]), &backlog);
        assert!(room().now_or_never().is_some());
        let second = Piece::new(Bytes::from(vec![0; 10]), &backlog);
        assert!(room().now_or_never().is_none());
        let waited = Arc::clone(&backlog);
        let waiting =
            tokio::spawn(async move { poll_fn(|context| waited.poll_room(context)).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        drop((first, Piece::empty()));
        assert_eq!(backlog.bytes.load(Ordering::Acquire), 0);
    }
}
