//! Taking connections: one listener a thread on the same port, TLS, then HTTP/1.1 or HTTP/2 as
//! was agreed in the handshake.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use countersign_tls::ReloadingServerConfig;
use countersign_verify::presented::Presented;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use metrics::{Counter, counter};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    body::ResponseBody,
    connection::{Connection, Place},
    proxy_protocol,
    serve::Door,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// How long to wait before accepting again when the process is out of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds one more listener on a port: the kernel spreads connections over them.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// How long an HTTP/2 connection that is told to end may stay without a request under way.
const CLOSING: Duration = Duration::from_secs(1);

/// A connection whose handshake is done.
type Greeted = (TlsStream<TcpStream>, Arc<Connection>);

/// What taking connections needs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) door: Arc<Door>,
    pub(crate) tls: Arc<ReloadingServerConfig>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    pub(crate) connections: TaskTracker,
    handshakes: Handshakes,
}

#[derive(Debug)]
struct Handshakes {
    done: Counter,
    failed: Counter,
}

impl Acceptor {
    pub(crate) fn new(
        door: Arc<Door>,
        tls: Arc<ReloadingServerConfig>,
        places: Arc<Semaphore>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let handshakes =
            |result| counter!("countersign_gateway_handshakes_total", "result" => result);
        Arc::new(Self {
            door,
            tls,
            places,
            stop,
            connections: TaskTracker::new(),
            handshakes: Handshakes {
                done: handshakes("done"),
                failed: handshakes("failed"),
            },
        })
    }

    /// Takes connections until told to stop.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        let taker = Arc::clone(&self);
        // It takes the listener along: once told to stop, new clients are refused, not left waiting.
        let accepting = async move {
            loop {
                // No place, no accept: connections wait in the kernel's queue.
                let Ok(place) = Arc::clone(&taker.places).acquire_owned().await else {
                    return;
                };
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let place = Place::new(place, taker.connections.token());
                        tokio::spawn(Arc::clone(&taker).connection(stream, peer, place));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        self.stop.run_until_cancelled(accepting).await;
        self.connections.close();
        let grace = self.door.shared.options.limits.drain_timeout;
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(
                left = self.connections.len(),
                "ended before every connection did"
            );
        }
    }

    /// The life of a connection. Each part of it lies apart, so that an idle connection holds
    /// neither what its handshake needed nor what its requests will.
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let Some((stream, connection)) = Box::pin(self.greet(stream, peer, place)).await else {
            return;
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.http2(stream, connection)).await;
        } else {
            Box::pin(self.http1(stream, connection)).await;
        }
    }

    async fn greet(&self, stream: TcpStream, peer: SocketAddr, place: Place) -> Option<Greeted> {
        let limit = self.door.shared.options.limits.handshake_timeout;
        let (stream, peer) = match timeout(limit, self.handshake(stream, peer)).await {
            Ok(Ok(done)) => done,
            failed => {
                self.handshakes.failed.increment(1);
                tracing::debug!(%peer, failed = ?failed.map(|each| each.map(|_| ())), "no TLS");
                return None;
            }
        };
        self.handshakes.done.increment(1);
        let chain = stream.get_ref().1.peer_certificates();
        let presented = Presented::new(chain.unwrap_or_default().to_vec());
        let connection = Connection::new(presented, peer).holding(place);
        Some((stream, Arc::new(connection)))
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<(TlsStream<TcpStream>, SocketAddr)> {
        stream.set_nodelay(true)?;
        let peer = if self.door.shared.options.proxy_protocol {
            proxy_protocol::read(&mut stream, peer).await?
        } else {
            peer
        };
        let stream = TlsAcceptor::from(self.tls.current()).accept(stream).await?;
        Ok((stream, peer))
    }

    /// Serves a connection's requests, each in a place of its own.
    fn service(
        &self,
        connection: Arc<Connection>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<> {
        let door = Arc::clone(&self.door);
        service_fn(move |request| Box::pin(door.serve(&connection, request)))
    }

    fn http1(
        &self,
        stream: TlsStream<TcpStream>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = ()> {
        let limits = &self.door.shared.options.limits;
        let service = self.service(connection);
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes.max(8 * 1024))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        async move {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                biased;
                _ = &mut serving => return,
                () = self.stop.cancelled() => serving.as_mut().graceful_shutdown(),
            }
            let _ = serving.await;
        }
    }

    fn http2(
        &self,
        stream: TlsStream<TcpStream>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = ()> {
        let limits = &self.door.shared.options.limits;
        let watched = Arc::downgrade(&connection);
        let service = self.service(connection);
        let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.concurrent_streams)
            .max_header_list_size(header_bytes)
            .keep_alive_interval(limits.header_timeout)
            .serve_connection(TokioIo::new(stream), service);
        async move {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                biased;
                _ = &mut serving => return,
                () = self.stop.cancelled() => {}
                () = idled(&watched, limits.header_timeout) => {}
            }
            serving.as_mut().graceful_shutdown();
            // A client that does not answer keeps nothing open but what it has under way.
            tokio::select! {
                biased;
                _ = serving => {}
                () = idled(&watched, CLOSING) => {}
            }
        }
    }
}

/// Ready once no request came or was under way on a connection for so long. HTTP/2 alone has no
/// such limit: neither before its first bytes nor between requests.
async fn idled(connection: &Weak<Connection>, limit: Duration) {
    let requests = || {
        let connection = connection.upgrade()?;
        Some(connection.requests.load(Ordering::Relaxed))
    };
    let mut known = requests();
    loop {
        tokio::time::sleep(limit).await;
        // The service holds one; each request under way holds more.
        let busy = connection.strong_count() > 1;
        let now = requests();
        if !busy && now == known {
            return;
        }
        known = now;
    }
}
