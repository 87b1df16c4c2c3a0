//! The byte stream of a client's HTTP/2 connection. It counts the frames that arrive, and ends a
//! connection whose client takes nothing.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    frame_budget::{Budget, Frames, Worth},
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
}

impl Traffic {
    /// Whether nothing arrived since this was asked last.
    pub(crate) fn is_silent(&self) -> bool {
        let received = self.received.load(Ordering::Relaxed);
        self.looked_at.swap(received, Ordering::Relaxed) == received
    }
}

/// The byte stream of a client's HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2Io<S> {
    inner: S,
    frames: Frames,
    budget: Budget,
    stall: Stall,
    traffic: Arc<Traffic>,
}

impl<S> Http2Io<S> {
    pub(crate) fn new(inner: S, send_timeout: Duration, traffic: Arc<Traffic>) -> Self {
        Self {
            inner,
            frames: Frames::new(),
            budget: Budget::of_frames(Instant::now()),
            stall: Stall::new(send_timeout),
            traffic,
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        let Self {
            frames,
            budget,
            traffic,
            ..
        } = self;
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        traffic.received.fetch_add(count, Ordering::Relaxed);
        let heads = frames.read(bytes, |worth| match worth {
            Worth::Earns(count) => budget.earn(count),
            Worth::Costs(cost) => {
                if !budget.spend(cost, Instant::now) {
                    budget.earn(traffic.earned.swap(0, Ordering::Relaxed));
                    if !budget.spend(cost, Instant::now) {
                        traffic.flooded.store(true, Ordering::Relaxed);
                    }
                }
            }
        });
        traffic.arrived.fetch_add(heads.into(), Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Nothing more is taken of a flood; the connection is about to be closed.
        if self.traffic.flooded.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_pending() {
            // More is asked for only once all that came before was read.
            let arrived = self.traffic.arrived.load(Ordering::Relaxed);
            self.traffic.heads.store(arrived, Ordering::Relaxed);
        } else {
            self.note(buffer.filled().get(before..).unwrap_or_default());
        }
        read
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
