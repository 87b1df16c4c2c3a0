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
    frame_budget::{Budget, FRAME_HEAD, Frames, Worth},
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

    /// Takes note of bytes; where in them there are frames that might as well not be there.
    fn note(&mut self, bytes: &[u8]) -> Vec<usize> {
        let Self {
            frames,
            budget,
            traffic,
            ..
        } = self;
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        traffic.received.fetch_add(count, Ordering::Relaxed);
        let mut needless = Vec::new();
        let heads = frames.read(bytes, |worth, begin| {
            needless.extend(begin);
            match worth {
                Worth::Earns(count) => budget.earn(count),
                Worth::Costs(cost) if budget.spend(cost, Instant::now) => {}
                Worth::Costs(cost) => {
                    budget.earn(traffic.earned.swap(0, Ordering::Relaxed));
                    if !budget.spend(cost, Instant::now) {
                        traffic.flooded.store(true, Ordering::Relaxed);
                    }
                }
            }
        });
        traffic.arrived.fetch_add(heads.into(), Ordering::Relaxed);
        needless
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
            let read = Pin::new(&mut self.inner).poll_read(context, buffer);
            if read.is_pending() {
                // More is asked for only once all that came before was read.
                let arrived = self.traffic.arrived.load(Ordering::Relaxed);
                self.traffic.heads.store(arrived, Ordering::Relaxed);
                return read;
            }
            let needless = self.note(buffer.filled().get(before..).unwrap_or_default());
            for begin in needless.iter().rev() {
                leave_out(buffer, before + begin);
            }
            // Nothing at all would be the end of the stream.
            if needless.is_empty() || buffer.filled().len() > before {
                return read;
            }
        }
    }
}

/// Leaves out a frame without payload: `h2` ends a connection on which there were more than a
/// hundred, however long it lived and whatever else passed on it.
fn leave_out(buffer: &mut ReadBuf<'_>, begin: usize) {
    let filled = buffer.filled_mut();
    let rest = begin + FRAME_HEAD..filled.len();
    if rest.start <= rest.end {
        filled.copy_within(rest, begin);
        let left = filled.len() - FRAME_HEAD;
        buffer.set_filled(left);
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
