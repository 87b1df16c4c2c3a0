//! Opening a connection to one address of an upstream.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    error::ForwardError,
    exchange::Exchange,
    http_tunnel::Tunnelled,
    request_body::RequestBody,
    target::Target,
    traffic::{READ_BYTES, Traffic},
    upstream_stream::{Transport, UpstreamStream},
};

/// The most header lines of a response. hyper keeps their places on the heap for each head where there may be
/// more than 100: with 512 that is 32 KiB, with these the allocator has them at hand.
const MAX_HEADERS: usize = 256;

/// Why there is no connection. Several requests may wait for the same one.
#[derive(Debug, Clone)]
pub(crate) enum Unconnected {
    Failed(Arc<io::Error>),
    TimedOut(Duration),
}

impl From<io::Error> for Unconnected {
    fn from(error: io::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<hyper::Error> for Unconnected {
    fn from(error: hyper::Error) -> Self {
        io::Error::other(error).into()
    }
}

impl From<h2::Error> for Unconnected {
    fn from(error: h2::Error) -> Self {
        io::Error::other(error).into()
    }
}

impl From<Unconnected> for ForwardError {
    fn from(error: Unconnected) -> Self {
        match error {
            Unconnected::Failed(error) => Self::Connect(error),
            Unconnected::TimedOut(limit) => Self::ConnectTimeout(limit),
        }
    }
}

/// Why there is no connection if there is nothing to connect to.
pub(crate) fn no_address() -> ForwardError {
    Unconnected::from(io::Error::other("it has no address")).into()
}

/// An HTTP/1.1 connection on which no request is under way.
#[derive(Debug)]
pub(crate) struct Http1<E: Exchange> {
    pub(crate) sender: http1::SendRequest<RequestBody<E>>,
    pub(crate) traffic: Arc<Traffic>,
    /// The TLS configuration that it was opened with.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Whether it has served a request before.
    pub(crate) reused: bool,
}

pub(crate) async fn open_http1<E: Exchange>(
    target: &Target,
    address: SocketAddr,
) -> Result<Http1<E>, Unconnected> {
    let tls = target.tls_now();
    let stream = connect(target, address, tls.as_ref()).await?;
    let traffic = Arc::clone(stream.traffic());
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection.with_upgrades());
    Ok(Http1 {
        sender,
        traffic,
        tls,
        reused: false,
    })
}

/// A byte stream to an address. Whoever drops the future ends the attempt.
pub(crate) async fn connect(
    target: &Target,
    address: SocketAddr,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<UpstreamStream, Unconnected> {
    let limit = target.options.limits.connect_timeout;
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = match &target.tunnel {
            Some(tunnel) => tunnel.through(stream).await?,
            None => Tunnelled::Plain(stream),
        };
        let tls = tls.zip(target.tls.as_ref());
        let tls = tls.map(|(config, tls)| (TlsConnector::from(Arc::clone(config)), &tls.name));
        Ok::<_, io::Error>(match (stream, tls) {
            (Tunnelled::Plain(stream), Some((connector, name))) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Transport::Tls(Box::new(stream))
            }
            (Tunnelled::Tls(stream), Some((connector, name))) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Transport::TlsInTls(Box::new(stream))
            }
            (Tunnelled::Plain(stream), None) => Transport::Plain(stream),
            (Tunnelled::Tls(stream), None) => Transport::Tls(stream),
        })
    };
    let stream = timeout(limit, connected)
        .await
        .map_err(|_| Unconnected::TimedOut(limit))??;
    target.options.counters.connections.increment(1);
    Ok(UpstreamStream::new(stream))
}
