//! The connections to one upstream.

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
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    error::ForwardError,
    exchange::Exchange,
    request_body::RequestBody,
    target::Target,
    upstream_stream::{Transport, UpstreamStream},
};

/// How long a connection may have idled and still be used: less than servers commonly keep one.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// How often an HTTP/2 upstream with requests under way is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The most bytes that are read at once, and that a response's head may have. hyper would read up
/// to 400 KiB, which has left the CPU's cache before it is encrypted.
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Idle<E: Exchange> {
    sender: http1::SendRequest<RequestBody<E>>,
    since: Instant,
}

/// The head of a response, and the connection to give back after its body.
pub(crate) type Head<E> = (Response<Incoming>, Option<Lease<E>>);

/// A future of the head of a response. Boxed: it is large, and would be copied with everything that
/// holds it.
pub(crate) type Awaited<E> = Pin<Box<dyn Future<Output = Result<Head<E>, ForwardError>> + Send>>;

/// The connections to one upstream.
#[derive(Debug)]
pub(crate) struct Connections<E: Exchange> {
    target: Target,
    idle: Mutex<Vec<Idle<E>>>,
    /// The one HTTP/2 connection, which all requests share.
    shared: Mutex<Option<http2::SendRequest<RequestBody<E>>>>,
}

/// A borrowed HTTP/1.1 connection, to give back when its response was read to its end.
#[derive(Debug)]
pub(crate) struct Lease<E: Exchange> {
    connections: Arc<Connections<E>>,
    sender: http1::SendRequest<RequestBody<E>>,
}

impl<E: Exchange> Lease<E> {
    /// Puts the connection among the idle ones.
    pub(crate) fn give_back(self) {
        let mut idle = lock(&self.connections.idle);
        if !self.sender.is_closed()
            && idle.len() < self.connections.target.limits.max_idle_connections
        {
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

impl<E: Exchange> Connections<E> {
    pub(crate) fn new(target: Target) -> Arc<Self> {
        Arc::new(Self {
            target,
            idle: Mutex::default(),
            shared: Mutex::default(),
        })
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request; the future awaits the head of the response, within the time limit. If an
    /// idle connection takes the request, it is under way when this returns.
    pub(crate) fn send(self: &Arc<Self>, request: Request<RequestBody<E>>) -> Awaited<E> {
        let connections = Arc::clone(self);
        let idle = if self.target.http2 {
            None
        } else {
            self.take_idle()
        };
        match idle {
            None => Box::pin(connections.send_within_limit(request)),
            Some(mut sender) => {
                let sent = sender.try_send_request(request);
                Box::pin(connections.head_of(sent, sender))
            }
        }
    }

    /// The response on an idle connection. The upstream may have closed it just now: then nothing
    /// was sent, the request comes back whole, and another connection is tried.
    async fn head_of(
        self: Arc<Self>,
        sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody<E>>>>>,
        sender: http1::SendRequest<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
        let limit = self.target.limits.response_timeout;
        match timeout(limit, sent).await {
            Ok(Ok(response)) => Ok((response, Some(self.lease(sender)))),
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => Box::pin(self.send_within_limit(unsent)).await,
                None => Err(error.into_error().into()),
            },
            Err(_) => Err(ForwardError::ResponseTimeout(limit)),
        }
    }

    async fn send_within_limit(
        self: Arc<Self>,
        request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
        let limit = self.target.limits.response_timeout;
        let sent = async {
            if self.target.http2 {
                Ok((self.send_http2(request).await?, None))
            } else {
                self.send_http1(request).await
            }
        };
        timeout(limit, sent)
            .await
            .map_err(|_| ForwardError::ResponseTimeout(limit))?
    }

    async fn send_http1(
        self: &Arc<Self>,
        mut request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
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

    fn lease(self: &Arc<Self>, sender: http1::SendRequest<RequestBody<E>>) -> Lease<E> {
        Lease {
            connections: Arc::clone(self),
            sender,
        }
    }

    async fn send_http2(
        &self,
        request: Request<RequestBody<E>>,
    ) -> Result<Response<Incoming>, ForwardError> {
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

    fn take_idle(&self) -> Option<http1::SendRequest<RequestBody<E>>> {
        let mut idle = lock(&self.idle);
        while let Some(candidate) = idle.pop() {
            if candidate.sender.is_ready() && candidate.since.elapsed() < MAX_IDLE {
                return Some(candidate.sender);
            }
        }
        None
    }

    async fn connect_http1(&self) -> Result<http1::SendRequest<RequestBody<E>>, ForwardError> {
        let stream = self.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<RequestBody<E>>, ForwardError> {
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

    async fn connect(&self) -> Result<UpstreamStream, ForwardError> {
        let limit = self.target.limits.connect_timeout;
        let connected = async {
            let stream = TcpStream::connect(&self.target.address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(match &self.target.tls {
                None => Transport::Plain(stream),
                Some((config, name)) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    Transport::Tls(Box::new(connector.connect(name.clone(), stream).await?))
                }
            })
        };
        let stream = timeout(limit, connected)
            .await
            .map_err(|_| ForwardError::ConnectTimeout(limit))??;
        self.target.connections.increment(1);
        Ok(UpstreamStream::new(stream))
    }
}
