//! The byte stream to an upstream. What an upstream answered is read even when it no longer takes
//! what is sent: a server that refuses an upload answers, and closes.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use bytes::{Buf as _, Bytes};

use crate::{interim_heads::InterimHeads, traffic::Traffic, trailers::Parts};

/// A byte stream to an upstream.
#[derive(Debug)]
pub(crate) struct UpstreamStream {
    inner: Transport,
    /// The upstream takes no more.
    closed_for_writing: bool,
    traffic: Arc<Traffic>,
    interim_heads: InterimHeads,
    /// What is left to write of the end of a body, with its trailers.
    end: Bytes,
}

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Within the TLS to a proxy on the way.
    TlsInTls(Box<TlsStream<Box<TlsStream<TcpStream>>>>),
}

impl UpstreamStream {
    pub(crate) fn new(inner: Transport) -> Self {
        Self {
            inner,
            closed_for_writing: false,
            traffic: Arc::default(),
            interim_heads: InterimHeads::default(),
            end: Bytes::new(),
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
            Transport::TlsInTls(stream) => poll(Pin::new(&mut **stream)),
        }
    }

    /// Writes; once the upstream takes no more, that stays pending, and hyper goes on by what it
    /// reads: a response, or the end of the connection.
    fn poll_writing<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = if self.closed_for_writing {
            Poll::Pending
        } else {
            self.poll_with(poll)
        };
        let polled = match polled {
            Poll::Ready(Err(error))
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                self.closed_for_writing = true;
                Poll::Pending
            }
            polled => polled,
        };
        self.traffic.block(polled.is_pending());
        if polled.is_pending() && self.traffic.is_abandoned() {
            // hyper ends the connection only when all is written, or this fails.
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        polled
    }

    /// Writes the end of a body that has trailers.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.end.is_empty() {
            let end = self.end.clone();
            let count = ready!(self.poll_writing(|stream| stream.poll_write(context, &end)))?;
            if count == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.end.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Looks for interim responses before the response itself.
    fn note(&mut self, bytes: &[u8]) {
        self.traffic.receive();
        if self.traffic.is_awaiting() && self.interim_heads.read(bytes, &self.traffic) {
            self.traffic.answer();
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
        ready!(self.traffic.poll_unpaused(context));
        let before = buffer.filled().len();
        let limit = u64::try_from(self.traffic.at_once()).unwrap_or(u64::MAX);
        let done = ready!(
            self.poll_with(|stream| Pin::new(&mut stream.take(limit)).poll_read(context, buffer))
        );
        match buffer.filled().get(before..) {
            None | Some([]) => {}
            Some(bytes) => self.note(bytes),
        }
        Poll::Ready(done)
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.traffic.write(parts);
        match self.traffic.trailers().find_end(parts) {
            Parts::These(parts) => {
                self.poll_writing(|stream| stream.poll_write_vectored(context, parts))
            }
            Parts::Instead(end, count) => {
                self.end = end;
                Poll::Ready(Ok(count))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
            Transport::TlsInTls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_end(context))?;
        self.poll_writing(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{CAREFUL_READ_BYTES, READ_BYTES};
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    #[tokio::test]
    async fn no_more_is_read_at_once_than_is_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = TcpStream::connect(address);
        let (sent, connected) = tokio::join!(listener.accept(), connecting);
        let mut sent = sent.unwrap().0;
        let mut stream = UpstreamStream::new(Transport::Plain(connected.unwrap()));
        sent.write_all(&vec![b'x'; 2 * READ_BYTES]).await.unwrap();
        drop(sent);
        let mut buffer = vec![0; 2 * READ_BYTES];
        let (mut total, mut most) = (0, 0);
        while let count @ 1.. = stream.read(&mut buffer).await.unwrap() {
            assert!(count <= CAREFUL_READ_BYTES || total > READ_BYTES, "{count}");
            assert!(count <= READ_BYTES, "{count}");
            total += count;
            most = most.max(count);
            if total > READ_BYTES {
                stream.traffic().read_at_once(READ_BYTES);
            }
        }
        assert_eq!(total, 2 * READ_BYTES);
        assert!(most > CAREFUL_READ_BYTES, "{most}");
    }
}
