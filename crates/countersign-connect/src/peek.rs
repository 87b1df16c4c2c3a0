//! Looking at the first bytes of a connection, which stay in the socket.

use std::{io, os::fd::AsFd as _};

use rustix::net::{RecvFlags, recv};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

/// How an HTTP/2 connection begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// A socket whose first bytes can be looked at.
pub(crate) trait Peek {
    /// Waits for bytes, and copies some of them.
    fn look(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Peek for TcpStream {
    async fn look(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.peek(buffer).await
    }
}

impl Peek for UnixStream {
    async fn look(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.async_io(Interest::READABLE, || {
            let (count, _) = recv(self.as_fd(), &mut *buffer, RecvFlags::PEEK)?;
            Ok(count)
        })
        .await
    }
}

/// Whether a connection without TLS begins as one of HTTP/2 does.
pub(crate) async fn is_http2(stream: &impl Peek) -> io::Result<bool> {
    // Enough to tell it from every method. Who sends less at first is taken for HTTP/1.1.
    let mut begin = [0; 4];
    let count = stream.look(&mut begin).await?;
    Ok(count == begin.len() && PREFACE.starts_with(&begin))
}
