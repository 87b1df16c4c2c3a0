//! Accepting connections: one listener for each thread on the same port, TLS, then HTTP/1.1 or
//! HTTP/2 as agreed in the handshake.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use countersign_tls::ReloadingServerConfig;
use countersign_verify::presented::Presented;
use metrics::{Counter, counter};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
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
    seldom::seldom,
    serving,
};
use crate::{
    connection::{Connection, ConnectionSlot},
    frontend::{Frontend, Latest},
    shared::Shared,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// How long to wait before accepting again when the process is out of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The most bytes that a client's socket keeps before they are sent, about. The kernel would keep 4 MiB for each
/// client that reads nothing. What is on its way to a client is not limited by this.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 512 * 1024;

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

/// Sets what the connections of a listener have from it.
pub(crate) fn prepare(listener: &StdListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    // Best effort: a system that knows no such limit serves all the same.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(MAX_UNSENT);
    Ok(())
}

/// Unauthenticated connections make room once less than this part of all slots is free.
const RESERVED: usize = 16;

/// Accepts connections on one thread.
#[derive(Debug)]
pub(crate) struct Acceptor {
    shared: Arc<Shared>,
    latest: Latest,
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
            shared: Arc::clone(&frontend.shared),
            latest: Arc::new(ArcSwap::new(frontend)),
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

    /// Serves requests that begin from now on with other routes. Those under way keep theirs.
    pub(crate) fn replace(&self, frontend: Arc<Frontend>) {
        self.latest.store(frontend);
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
        let grace = self.shared.options.limits.drain_timeout;
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
        let reserve = self.shared.options.limits.connections / RESERVED;
        if self.slots.available_permits() <= reserve {
            self.shared.unauthenticated.end_oldest();
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
        let (unauthenticated, ended) = self.shared.unauthenticated.enter();
        let serving = async {
            let Some((mut stream, peer)) = Box::pin(self.accept(stream, peer)).await else {
                return;
            };
            let (began, limit) = (Instant::now(), self.shared.options.limits.header_timeout);
            if !serving::begins(&mut stream, limit, &self.stop).await {
                return;
            }
            let tls = stream.get_ref().1;
            let chain = tls.peer_certificates();
            let presented = Presented::new(chain.unwrap_or_default().to_vec());
            let is_http2 = tls.alpn_protocol() == Some(b"h2");
            let connection =
                Connection::new(presented, peer, slot).not_authenticated_yet(unauthenticated);
            let connection = Arc::new(connection);
            if is_http2 {
                Box::pin(serving::http2(&self.latest, stream, connection, &self.stop)).await;
            } else {
                let serving = serving::http1(&self.latest, stream, connection, began, &self.stop);
                Box::pin(serving).await;
            }
        };
        tokio::select! {
            biased;
            () = seldom(ended.notified()) => tracing::debug!(%peer, "no request has passed, and others need the place"),
            () = serving => {}
        }
    }

    /// The handshake, within its time limit. Returns where the client really is, too.
    async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<(Box<TlsStream<TcpStream>>, SocketAddr)> {
        let shared = &self.shared;
        let limit = shared.options.limits.handshake_timeout;
        let tls = TlsAcceptor::from(self.tls.current());
        let begun = Instant::now();
        let shaken = timeout(limit, shake_hands(stream, peer, &shared.options, tls)).await;
        let timed_out = |elapsed| Err(Failure::new(Reason::TimedOut, elapsed));
        match shaken.unwrap_or_else(timed_out) {
            Ok((stream, client)) => {
                self.handshakes.done.increment(1);
                shared.durations.handshakes.note(begun.elapsed());
                // The future of the connection has room for each place that it is moved to.
                Some((Box::new(stream), client))
            }
            Err(failure) => {
                self.handshakes.failed.note(&failure, peer, shared.now());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_its_limits_from_the_listener() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        prepare(&listener).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            SockRef::from(&accepted).tcp_notsent_lowat().unwrap(),
            MAX_UNSENT
        );
    }
}
