//! The byte stream of a client's HTTP/2 connection. It counts the frames that arrive, has those that
//! `h2` should not see replaced, and ends a connection whose client takes nothing.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    client_frames::Worth,
    field_block::HeadFault,
    field_filter::{FieldFilter, Noted},
    frame_budget::Budget,
    stall::Stall,
};

/// What the byte stream and the requests of a connection know of each other.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes that arrived.
    pub(crate) received: AtomicU64,
    /// How many that were when this was looked at last.
    looked_at: AtomicU64,
    /// Heads of requests that arrived.
    pub(crate) arrived: AtomicU64,
    /// Those of them that were read too.
    pub(crate) heads: AtomicU64,
    /// What sending bodies has earned, and was not taken into account yet.
    pub(crate) earned: AtomicU32,
    /// More frames arrived than the client can have reason to send.
    pub(crate) flooded: AtomicBool,
    /// Why the last request that was none was none.
    fault: Mutex<Option<HeadFault>>,
}

impl Traffic {
    /// Whether nothing arrived since this was asked last.
    pub(crate) fn is_silent(&self) -> bool {
        let received = self.received.load(Ordering::Relaxed);
        self.looked_at.swap(received, Ordering::Relaxed) == received
    }

    /// Why the last request that was none was none, where this was not asked since.
    pub(crate) fn take_fault(&self) -> Option<HeadFault> {
        self.fault().take()
    }

    fn fault(&self) -> MutexGuard<'_, Option<HeadFault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The byte stream of a client's HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2Io<S> {
    inner: S,
    filter: FieldFilter,
    budget: Budget,
    stall: Stall,
    traffic: Arc<Traffic>,
}

impl<S> Http2Io<S> {
    /// Of a client whose header lists have up to so many bytes.
    pub(crate) fn new(
        inner: S,
        send_timeout: Duration,
        list_bytes: usize,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self {
            inner,
            filter: FieldFilter::new(list_bytes),
            budget: Budget::of_frames(Instant::now()),
            stall: Stall::new(send_timeout),
            traffic,
        }
    }

    /// Takes note of the bytes that arrived, which begin there in the buffer, and leaves in it those that
    /// are to be read now. Pending if there are none yet.
    fn take(&mut self, buffer: &mut ReadBuf<'_>, begin: usize) -> Poll<()> {
        let Self {
            filter,
            budget,
            traffic,
            ..
        } = self;
        let count = u64::try_from(buffer.filled().len() - begin).unwrap_or(u64::MAX);
        traffic.received.fetch_add(count, Ordering::Relaxed);
        filter.take(buffer, begin, |noted| match noted {
            Noted::Frame(Worth::Earns(count)) => budget.earn(count),
            Noted::Frame(Worth::Costs(cost)) if budget.spend(cost, Instant::now) => {}
            Noted::Frame(Worth::Costs(cost)) => {
                budget.earn(traffic.earned.swap(0, Ordering::Relaxed));
                if !budget.spend(cost, Instant::now) {
                    traffic.flooded.store(true, Ordering::Relaxed);
                }
            }
            Noted::Head => {
                traffic.arrived.fetch_add(1, Ordering::Relaxed);
            }
            Noted::Reset(fault) => *traffic.fault() = Some(fault),
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            // Nothing more is taken of a flood; the connection is about to be closed.
            if self.traffic.flooded.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            if self.filter.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            let read = Pin::new(&mut self.inner).poll_read(context, buffer);
            match read {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return read,
                Poll::Pending => {
                    // More is asked for only once all that came before was read.
                    let arrived = self.traffic.arrived.load(Ordering::Relaxed);
                    self.traffic.heads.store(arrived, Ordering::Relaxed);
                    return read;
                }
            }
            if self.take(buffer, before).is_ready() {
                return read;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.stall.watch_io(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.stall.watch_io(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.stall.watch_io(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(context);
        self.stall.watch_io(context, polled)
    }
}
