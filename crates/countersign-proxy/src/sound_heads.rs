//! The byte stream of a client's HTTP/2 connection for a server of another library: what that would end
//! the connection for is replaced on its way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    field_block::HeadFault,
    field_filter::{FieldFilter, Noted},
};

/// The byte stream of a client's HTTP/2 connection. A request in it that is whole but for a value is
/// replaced by one of which [`HeadFault::take`] knows, and which must be refused; one that is less is
/// made one that is reset.
#[derive(Debug)]
pub struct SoundHeads<S, N> {
    inner: S,
    filter: FieldFilter,
    note: N,
}

impl<S, N: FnMut(HeadFault)> SoundHeads<S, N> {
    /// Of a client whose header lists have up to so many bytes. Whatever is reset is noted.
    pub const fn new(inner: S, list_bytes: usize, note: N) -> Self {
        Self {
            inner,
            filter: FieldFilter::new(list_bytes),
            note,
        }
    }
}

impl<S: AsyncRead + Unpin, N: FnMut(HeadFault) + Unpin> AsyncRead for SoundHeads<S, N> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        loop {
            if this.filter.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
            let arrived = this.filter.take(buffer, before, |noted| {
                if let Noted::Reset(fault) = noted {
                    (this.note)(fault);
                }
            });
            if arrived.is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin, N: Unpin> AsyncWrite for SoundHeads<S, N> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
