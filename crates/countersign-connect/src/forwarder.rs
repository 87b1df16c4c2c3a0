//! The forwarder: listeners on one side, servers on the other.

use std::{io, sync::Arc, time::Duration};

use countersign_proxy::OverSocket;
use time::OffsetDateTime;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{Admission, OwnHosts},
    api_key::ApiKey,
    connection::{Connection, Way},
    http_proxy::{HttpProxy, Intercepted},
    listening::Listener,
    local_ca::{Clock, LocalCa, LocalCaError},
    operator::ACCEPT_PAUSE,
    peek::{Peek, is_http2},
    server::Server,
    serving,
    token::Token,
    via::Via,
};

/// How long requests under way may take once the end has begun.
const DRAIN: Duration = Duration::from_secs(5);

/// How tools find the forwarder.
#[derive(Debug)]
pub enum Mode {
    /// They are told that it is the server.
    BaseUrl {
        /// The server.
        server: Arc<Server>,
        /// The names that it may be called by.
        hosts: OwnHosts,
    },
    /// They are told that it is their proxy.
    Proxy {
        /// The hosts that a certificate is added for.
        servers: Vec<Arc<Server>>,
        /// What ends TLS for them.
        ca: Arc<LocalCa>,
        /// Whether tunnels lead to other hosts, too.
        others: bool,
        /// How those are reached.
        via: Arc<Via>,
    },
}

/// What a forwarder does.
#[derive(Debug)]
pub struct Options {
    /// How tools find it.
    pub mode: Mode,
    /// What they must know.
    pub token: Option<Token>,
    /// The API key that is set in each request.
    pub key: Option<ApiKey>,
    /// Tells the time.
    pub clock: fn() -> OffsetDateTime,
}

#[derive(Debug)]
enum Door {
    BaseUrl(Arc<Way>),
    Proxy(HttpProxy),
}

/// A local forwarder.
#[derive(Debug, Clone)]
pub struct Forwarder {
    door: Arc<Door>,
    servers: Arc<[Arc<Server>]>,
    key: Option<ApiKey>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Forwarder {
    /// Makes what is needed, and listens to nobody yet.
    ///
    /// # Errors
    /// When the local CA can issue no certificate for a host.
    pub fn new(options: Options) -> Result<Self, LocalCaError> {
        let Options {
            mode,
            token,
            key,
            clock,
        } = options;
        let (door, servers) = match mode {
            Mode::BaseUrl { server, hosts } => {
                let admission = Admission::BaseUrl {
                    hosts,
                    token,
                    sets_key: key.is_some(),
                };
                let way = way(&server, admission, &key, clock);
                (Door::BaseUrl(way), vec![server])
            }
            Mode::Proxy {
                servers,
                ca,
                others,
                via,
            } => {
                let hosts = servers.iter().map(|server| {
                    Intercepted::new(way(server, Admission::Tunnel, &key, clock), &ca, clock)
                });
                let proxy = HttpProxy {
                    hosts: hosts.collect::<Result<_, _>>()?,
                    others,
                    token,
                    via,
                };
                (Door::Proxy(proxy), servers)
            }
        };
        Ok(Self {
            door: Arc::new(door),
            servers: servers.into(),
            key,
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Whether it sets the API key in requests.
    #[must_use]
    pub const fn sets_key(&self) -> bool {
        self.key.is_some()
    }

    /// The servers that requests are carried to with a certificate.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Reads certificates, keys and roots again that have changed: the hosts whose new ones are used now, and
    /// why others cannot be.
    pub fn reload_if_changed(&self) -> (Vec<&str>, Vec<countersign_tls::Error>) {
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for server in &*self.servers {
            match server.reload_if_changed() {
                Ok(true) => changed.push(server.host()),
                Ok(false) => {}
                Err(error) => failed.push(error),
            }
        }
        failed.extend(
            self.key
                .as_ref()
                .and_then(|key| key.reload_if_changed().err()),
        );
        (changed, failed)
    }

    /// Serves a listener until [`stop`](Self::stop).
    pub async fn serve(&self, listener: Listener) {
        let accepting = async {
            match &listener {
                Listener::Port(listener) => loop {
                    let accepted = listener.accept().await.and_then(|(stream, _)| {
                        stream.set_nodelay(true)?;
                        Ok(stream)
                    });
                    match accepted {
                        Ok(stream) => self.begin_on_port(stream),
                        Err(error) => pause(&error).await,
                    }
                },
                Listener::Unix(socket) => loop {
                    match socket.listener.accept().await {
                        Ok((stream, _)) => self.begin_on_socket(stream),
                        Err(error) => pause(&error).await,
                    }
                },
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    /// Lets nobody in any more, and waits a while for the requests under way.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.connections.close();
        if timeout(DRAIN, self.connections.wait()).await.is_err() {
            tracing::warn!("ended before every request had");
        }
    }

    fn begin_on_port(&self, stream: tokio::net::TcpStream) {
        let (door, stop) = (Arc::clone(&self.door), self.stop.clone());
        self.connections.spawn(async move {
            match &*door {
                Door::BaseUrl(way) => serve_plain(way, stream, stop).await,
                // What has no end of its own ends with the process.
                Door::Proxy(proxy) => proxy.serve(stream, stop).await,
            }
        });
    }

    /// A tool has no way to use a proxy on a Unix socket, so there is none.
    fn begin_on_socket(&self, stream: tokio::net::UnixStream) {
        let (door, stop) = (Arc::clone(&self.door), self.stop.clone());
        self.connections.spawn(async move {
            if let Door::BaseUrl(way) = &*door {
                serve_plain(way, stream, stop).await;
            }
        });
    }
}

fn way(server: &Arc<Server>, admission: Admission, key: &Option<ApiKey>, clock: Clock) -> Arc<Way> {
    Arc::new(Way {
        server: Arc::clone(server),
        admission,
        key: key.clone(),
        clock,
    })
}

async fn serve_plain<S>(way: &Arc<Way>, stream: S, stop: CancellationToken)
where
    S: OverSocket + Peek + Send + Sync + 'static,
{
    let Some(Ok(is_http2)) = stop.run_until_cancelled(is_http2(&stream)).await else {
        return;
    };
    let connection = Connection::new(way);
    if is_http2 {
        serving::http2(stream, connection, stop).await;
    } else {
        serving::http1(stream, connection, stop).await;
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
