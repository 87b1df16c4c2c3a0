//! Accepting connections: one listener for each thread on the same port, TLS, then HTTP/1.1 or
//! HTTP/2 as agreed in the handshake.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use countersign_proxy::{ClientStream, RefuseHead, ResponseBody};
use countersign_tls::ReloadingServerConfig;
use countersign_verify::presented::Presented;
use http::{Request, Response, StatusCode};
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
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    failures::{Failure, Failures, Reason},
    handshake::shake_hands,
};
use crate::{
    connection::{Connection, ConnectionSlot},
    frontend::Frontend,
    live::stream::Stream,
    unauthenticated::UnauthenticatedConnection,
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

/// How long an HTTP/2 connection that was told to close may stay open without a request under way.
const CLOSING: Duration = Duration::from_secs(1);

/// Unauthenticated connections make room once less than this part of all slots is free.
const RESERVED: usize = 16;

/// A connection whose handshake is done.
type Accepted = (TlsStream<TcpStream>, Arc<Connection>);

/// Accepts connections on one thread.
#[derive(Debug)]
pub(crate) struct Acceptor {
    frontend: Arc<Frontend>,
    tls: Arc<ReloadingServerConfig>,
    /// Over all threads.
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    connections: TaskTracker,
    handshakes: Handshakes,
}

#[derive(Debug)]
struct Handshakes {
    done: Counter,
    failed: Failures,
}

impl Acceptor {
    pub(crate) fn new(
        frontend: Arc<Frontend>,
        tls: Arc<ReloadingServerConfig>,
        slots: Arc<Semaphore>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            frontend,
            tls,
            slots,
            stop,
            connections: TaskTracker::new(),
            handshakes: Handshakes {
                done: counter!("countersign_gateway_handshakes_total", "result" => "done"),
                failed: Failures::new(),
            },
        })
    }

    /// Accepts connections until told to stop, then waits for those under way to end.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        let acceptor = Arc::clone(&self);
        // The future owns the listener: once told to stop, new clients are refused, not left
        // waiting.
        let accepting = async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        // Without a free slot, further connections wait in the kernel's queue.
                        let Some(permit) = acceptor.slot().await else {
                            return;
                        };
                        let slot = ConnectionSlot::new(permit, acceptor.connections.token());
                        tokio::spawn(Arc::clone(&acceptor).connection(stream, peer, slot));
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
        let grace = self.frontend.shared.options.limits.drain_timeout;
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(
                left = self.connections.len(),
                "stopped before every connection had ended"
            );
        }
    }

    /// Waits for a slot. Near the limit, each new connection is one more than there should be, and an
    /// unauthenticated one makes room for it.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let reserve = self.frontend.shared.options.limits.connections / RESERVED;
        if self.slots.available_permits() <= reserve {
            self.frontend.shared.unauthenticated.end_oldest();
        }
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// The life of a connection. Each part is boxed, so that an idle connection holds neither the
    /// memory of its handshake nor that of its requests.
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        slot: ConnectionSlot,
    ) {
        let (unauthenticated, ended) = self.frontend.shared.unauthenticated.enter();
        let serving = async {
            let accepting = Box::pin(self.accept(stream, peer, slot, unauthenticated));
            let Some((stream, connection)) = accepting.await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                Box::pin(self.http2(stream, connection)).await;
            } else {
                Box::pin(self.http1(stream, connection)).await;
            }
        };
        tokio::select! {
            biased;
            () = ended.notified() => tracing::debug!(%peer, "no request has passed, and others need the place"),
            () = serving => {}
        }
    }

    /// The handshake, within its time limit.
    async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: ConnectionSlot,
        unauthenticated: UnauthenticatedConnection,
    ) -> Option<Accepted> {
        let shared = &self.frontend.shared;
        let limit = shared.options.limits.handshake_timeout;
        let tls = TlsAcceptor::from(self.tls.current());
        let shaken = timeout(limit, shake_hands(stream, peer, &shared.options, tls)).await;
        let timed_out = |elapsed| Err(Failure::new(Reason::TimedOut, elapsed));
        let (stream, peer) = match shaken.unwrap_or_else(timed_out) {
            Ok(done) => done,
            Err(failure) => {
                self.handshakes.failed.note(&failure, peer, shared.now());
                return None;
            }
        };
        self.handshakes.done.increment(1);
        let chain = stream.get_ref().1.peer_certificates();
        let presented = Presented::new(chain.unwrap_or_default().to_vec());
        let connection =
            Connection::new(presented, peer, slot).not_authenticated_yet(unauthenticated);
        Some((stream, Arc::new(connection)))
    }

    /// Serves a connection's requests, each in a box of its own.
    fn service(
        &self,
        connection: Arc<Connection>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody<Stream>>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<> {
        let frontend = Arc::clone(&self.frontend);
        service_fn(move |request| Box::pin(frontend.serve(&connection, request)))
    }

    fn http1(
        &self,
        stream: TlsStream<TcpStream>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = ()> {
        let limits = &self.frontend.shared.options.limits;
        let refusals = UnreadableHeads {
            frontend: Arc::clone(&self.frontend),
            connection: Arc::clone(&connection),
        };
        let stream = ClientStream::new(stream, Arc::clone(&connection.client), refusals);
        let service = self.service(connection);
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client that has sent its request may close its side: it is answered all the same.
            .half_close(true)
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
        let limits = &self.frontend.shared.options.limits;
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
                () = idle(&watched, limits.header_timeout) => {}
            }
            serving.as_mut().graceful_shutdown();
            // A client that ignores the shutdown keeps only its requests under way open.
            tokio::select! {
                biased;
                _ = serving => {}
                () = idle(&watched, CLOSING) => {}
            }
        }
    }
}

/// Refuses heads that hyper cannot read.
#[derive(Debug)]
struct UnreadableHeads {
    frontend: Arc<Frontend>,
    connection: Arc<Connection>,
}

impl RefuseHead for UnreadableHeads {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        self.frontend.refuse_unreadable(status, &self.connection)
    }
}

/// Ready once no request arrived or was under way on a connection for that long. HTTP/1.1 has its
/// header timeout for this; hyper has none for HTTP/2, neither before its first bytes nor between
/// requests.
async fn idle(connection: &Weak<Connection>, limit: Duration) {
    let requests = || {
        let connection = connection.upgrade()?;
        Some(connection.requests.load(Ordering::Relaxed))
    };
    let mut known = requests();
    loop {
        tokio::time::sleep(limit).await;
        // The service holds one reference; each request under way holds more.
        let busy = connection.strong_count() > 1;
        let now = requests();
        if !busy && now == known {
            return;
        }
        known = now;
    }
}
