//! One upstream as one thread sees it: how to reach it, and its idle connections.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use metrics::counter;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::body::RequestBody;

/// How long a connection may have idled and still be used: less than servers commonly keep one.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// How often an HTTP/2 upstream with requests under way is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The most bytes that are read at once, and that a response's head may have. hyper would read up
/// to 400 KiB, which is gone from the cache before it is encrypted.
const READ_BYTES: usize = 64 * 1024;

/// Where an upstream is and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `HOST:PORT`, as it is connected to.
    pub(crate) address: String,
    /// TLS to it, and the name that its certificate must carry.
    pub(crate) tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    pub(crate) http2: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) max_idle_connections: usize,
}

/// Why the upstream gave no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    #[error("no response within {0:?}")]
    ResponseTimeout(Duration),
    #[error("broken response: {0}")]
    Broken(#[from] hyper::Error),
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// The head of a response, and the connection to give back after its body.
pub(crate) type Head = (Response<Incoming>, Option<Lease>);

/// The head of a response, awaited. In a place of its own: it is large, and would be copied with
/// everything that holds it.
pub(crate) type Awaited = Pin<Box<dyn Future<Output = Result<Head, UpstreamError>> + Send>>;

/// An upstream's connections on one thread.
#[derive(Debug)]
pub(crate) struct Upstream {
    target: Target,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<http2::SendRequest<RequestBody>>>,
}

/// A borrowed HTTP/1.1 connection, to give back when its response was read to its end.
#[derive(Debug)]
pub(crate) struct Lease {
    upstream: Arc<Upstream>,
    sender: http1::SendRequest<RequestBody>,
}

impl Lease {
    /// Puts the connection among the idle ones.
    pub(crate) fn give_back(self) {
        let mut idle = lock(&self.upstream.idle);
        if !self.sender.is_closed() && idle.len() < self.upstream.target.max_idle_connections {
            idle.push(Idle {
                sender: self.sender,
                since: Instant::now(),
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    pub(crate) fn new(target: Target) -> Arc<Self> {
        Arc::new(Self {
            target,
            idle: Mutex::default(),
            shared: Mutex::default(),
        })
    }

    /// Sends a request; what it answers awaits the head of the response, as long as is allowed. A
    /// request that an idle connection takes is under way when this returns.
    pub(crate) fn send(self: &Arc<Self>, request: Request<RequestBody>) -> Awaited {
        let upstream = Arc::clone(self);
        let idle = if self.target.http2 {
            None
        } else {
            self.take_idle()
        };
        match idle {
            None => Box::pin(upstream.send_within_limit(request)),
            Some(mut sender) => {
                let sent = sender.try_send_request(request);
                Box::pin(upstream.head_of(sent, sender))
            }
        }
    }

    /// An idle connection may have been closed just now: then nothing was sent, the request comes
    /// back whole, and goes another way.
    async fn head_of(
        self: Arc<Self>,
        sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>,
        sender: http1::SendRequest<RequestBody>,
    ) -> Result<Head, UpstreamError> {
        let limit = self.target.response_timeout;
        match timeout(limit, sent).await {
            Ok(Ok(response)) => Ok((response, Some(self.lease(sender)))),
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => Box::pin(self.send_within_limit(unsent)).await,
                None => Err(error.into_error().into()),
            },
            Err(_) => Err(UpstreamError::ResponseTimeout(limit)),
        }
    }

    async fn send_within_limit(
        self: Arc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Head, UpstreamError> {
        let limit = self.target.response_timeout;
        let sent = async {
            if self.target.http2 {
                Ok((self.send_http2(request).await?, None))
            } else {
                self.send_http1(request).await
            }
        };
        timeout(limit, sent)
            .await
            .map_err(|_| UpstreamError::ResponseTimeout(limit))?
    }

    async fn send_http1(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Head, UpstreamError> {
        while let Some(mut sender) = self.take_idle() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Some(self.lease(sender)))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = self.connect_http1().await?;
        let response = sender.send_request(request).await?;
        Ok((response, Some(self.lease(sender))))
    }

    fn lease(self: &Arc<Self>, sender: http1::SendRequest<RequestBody>) -> Lease {
        Lease {
            upstream: Arc::clone(self),
            sender,
        }
    }

    async fn send_http2(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let known = lock(&self.shared)
            .clone()
            .filter(|sender| !sender.is_closed());
        let mut sender = match known {
            Some(sender) => sender,
            None => self.connect_http2().await?,
        };
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }

    fn take_idle(&self) -> Option<http1::SendRequest<RequestBody>> {
        let mut idle = lock(&self.idle);
        while let Some(candidate) = idle.pop() {
            if candidate.sender.is_ready() && candidate.since.elapsed() < MAX_IDLE {
                return Some(candidate.sender);
            }
        }
        None
    }

    async fn connect_http1(&self) -> Result<http1::SendRequest<RequestBody>, UpstreamError> {
        let stream = self.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<RequestBody>, UpstreamError> {
        let stream = self.connect().await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection);
        *lock(&self.shared) = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self) -> Result<Box<dyn Io>, UpstreamError> {
        let limit = self.target.connect_timeout;
        let connected = async {
            let stream = TcpStream::connect(&self.target.address).await?;
            stream.set_nodelay(true)?;
            Ok::<Box<dyn Io>, std::io::Error>(match &self.target.tls {
                None => Box::new(stream),
                Some((config, name)) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    Box::new(connector.connect(name.clone(), stream).await?)
                }
            })
        };
        let stream = timeout(limit, connected)
            .await
            .map_err(|_| UpstreamError::ConnectTimeout(limit))??;
        counter!("countersign_gateway_upstream_connections_total").increment(1);
        Ok(stream)
    }
}

/// A byte stream to an upstream, plain or TLS.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
