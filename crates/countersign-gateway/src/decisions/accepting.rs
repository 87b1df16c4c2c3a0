//! Accepting connections of proxies, which prove themselves where the connection can show it.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{deciding::Deciding, door::Door, listening::DoorSocket, serving};
use crate::{accepting::listener::ACCEPT_PAUSE, shared::Shared};

/// How a proxy on a Unix socket is logged.
const UNIX: &str = "unix";

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    fn new(socket: DoorSocket) -> io::Result<Self> {
        Ok(match socket {
            DoorSocket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket)?),
            DoorSocket::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // An answer is small, and waited for.
                stream.set_nodelay(true)?;
                Accepted::Tcp(stream, peer)
            }
            Self::Unix(socket) => Accepted::Unix(socket.accept().await?.0),
        })
    }
}

/// Serves proxies on one thread until told to stop, and lets what is under way end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    thread: usize,
    door: Arc<Door>,
    socket: DoorSocket,
    stop: CancellationToken,
) {
    let deciding = Arc::new(Deciding::new(thread, shared, door));
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve decisions");
            return;
        }
    };
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            // Without a free slot, further connections wait in the kernel's queue.
            let Ok(slot) = Arc::clone(&deciding.door.slots).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok(accepted) => {
                    let (deciding, stop) = (Arc::clone(&deciding), stop.clone());
                    connections.spawn(async move {
                        connection(&deciding, accepted, &stop).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of a proxy");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
    connections.close();
    connections.wait().await;
}

/// The life of a connection.
async fn connection(deciding: &Arc<Deciding>, accepted: Accepted, stop: &CancellationToken) {
    match accepted {
        Accepted::Unix(stream) => {
            let user = stream.peer_cred().map(|peer| peer.uid());
            match user {
                Ok(user) if deciding.door.asker.is_user(user) => {
                    serving::serve(deciding, stream, UNIX.into(), stop).await;
                }
                Ok(user) => {
                    deciding.door.count_unproven();
                    tracing::warn!(user, "not the proxy: its user is not among `unix_users`");
                }
                Err(error) => tracing::warn!(%error, "cannot tell who asks on a Unix socket"),
            }
        }
        Accepted::Tcp(stream, peer) => {
            let text = Arc::from(peer.to_string());
            match &deciding.door.tls {
                None => serving::serve(deciding, stream, text, stop).await,
                Some(tls) => {
                    let acceptor = TlsAcceptor::from(tls.current());
                    if let Some(stream) =
                        Box::pin(handshake(deciding, acceptor, stream, peer)).await
                    {
                        serving::serve(deciding, stream, text, stop).await;
                    }
                }
            }
        }
    }
}

/// The handshake, within its time limit. Who comes without the proxy's certificate gets no further.
async fn handshake(
    deciding: &Deciding,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    let limit = deciding.limits().handshake_timeout;
    let shaken = timeout(limit, acceptor.accept(stream)).await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            deciding.door.count_unproven();
            tracing::info!(%peer, %error, "no TLS connection with a proxy that asks");
            return None;
        }
        Err(_) => {
            tracing::info!(%peer, "no TLS connection with a proxy that asks, in time");
            return None;
        }
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let leaf = certificates.and_then(<[_]>::first);
    if deciding.door.asker.has_name(leaf.map_or(&[], |leaf| leaf)) {
        return Some(stream);
    }
    deciding.door.count_unproven();
    tracing::warn!(%peer, "not the proxy: its certificate has none of the names in `asked_by`");
    None
}
