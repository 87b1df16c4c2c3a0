//! Byte streams over sockets: TCP, TLS on it, and Unix sockets.

use std::{
    io,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// A byte stream over a socket.
pub trait OverSocket: AsyncRead + AsyncWrite + Unpin {
    /// What kind of socket.
    type Socket: AsyncRead + Unpin;

    /// The socket itself.
    fn socket(&mut self) -> &mut Self::Socket;

    /// Ready once there is something to read in the socket.
    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether something that was written waits here, and not in the socket.
    fn has_backlog(&self) -> bool;
}

impl OverSocket for TcpStream {
    type Socket = Self;

    fn socket(&mut self) -> &mut Self {
        self
    }

    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_read_ready(self, context)
    }

    fn has_backlog(&self) -> bool {
        false
    }
}

impl OverSocket for UnixStream {
    type Socket = Self;

    fn socket(&mut self) -> &mut Self {
        self
    }

    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_read_ready(self, context)
    }

    fn has_backlog(&self) -> bool {
        false
    }
}

impl OverSocket for TlsStream<TcpStream> {
    type Socket = TcpStream;

    fn socket(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }

    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_read_ready(context)
    }

    fn has_backlog(&self) -> bool {
        self.get_ref().1.wants_write()
    }
}

impl<S: OverSocket> OverSocket for Box<S> {
    type Socket = S::Socket;

    fn socket(&mut self) -> &mut S::Socket {
        (**self).socket()
    }

    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_read_ready(context)
    }

    fn has_backlog(&self) -> bool {
        (**self).has_backlog()
    }
}
