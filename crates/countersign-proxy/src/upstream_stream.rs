//! The byte stream to an upstream. What an upstream answered is read even when it no longer takes
//! what is sent: a server that refuses an upload answers, and closes.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::traffic::Traffic;

/// A byte stream to an upstream.
#[derive(Debug)]
pub(crate) struct UpstreamStream {
    inner: Transport,
    /// The upstream takes no more.
    closed_for_writing: bool,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl UpstreamStream {
    pub(crate) fn new(inner: Transport) -> Self {
        Self {
            inner,
            closed_for_writing: false,
            traffic: Arc::default(),
        }
    }

    pub(crate) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    fn poll_with<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.inner {
            Transport::Plain(stream) => poll(Pin::new(stream)),
            Transport::Tls(stream) => poll(Pin::new(&mut **stream)),
        }
    }

    /// Writes; once the upstream takes no more, that stays pending, and hyper goes on by what it
    /// reads: a response, or the end of the connection.
    fn poll_writing<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.closed_for_writing {
            return Poll::Pending;
        }
        match ready!(self.poll_with(poll)) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                self.closed_for_writing = true;
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = ready!(self.poll_with(|stream| stream.poll_read(context, buffer)));
        if buffer.filled().len() > before {
            self.traffic.receive();
        }
        Poll::Ready(done)
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.traffic.write(&[io::IoSlice::new(bytes)]);
        self.poll_writing(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.traffic.write(parts);
        self.poll_writing(|stream| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_shutdown(context))
    }
}
