//! `countersign dev`: everything on this machine, with nothing to set up: an organization, a
//! project, keys, a CA and a client certificate, and a file that tells a shell about them.

mod door;
mod echo;
mod identity;
mod keys;
mod welcome;

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use countersign_gateway::Gateway;
use countersign_server::{
    WebhookOptions,
    store::{Location, Store},
};
use tracing::level_filters::LevelFilter;

use crate::{
    cli::gateway,
    clock,
    config::Database,
    failure::{Doing, Failure, Outcome},
    files::{self, Held},
    logs,
    output::Output,
    serve::{self, ControlPlane},
    signals::Signals,
};
use identity::Identity;
use keys::Keys;

/// Open requests of a developer's own tools need no longer.
const GRACE: Duration = Duration::from_secs(5);
const GATEWAY_PORT: u16 = 8443;

#[derive(Args)]
pub(crate) struct Dev {
    /// Directory of the data, the keys and the certificates [default: countersign-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the data in memory, and the files in a temporary directory unless one is named
    #[arg(long)]
    memory: bool,
    /// Loopback address of the listener; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8085")]
    listen: SocketAddr,
    /// Loopback address of the gateway [default: 127.0.0.1:8443, or a free port where `--listen` has port 0]
    #[arg(long, value_name = "ADDRESS")]
    gateway_listen: Option<SocketAddr>,
    /// URL that the gateway stands in front of [default: an upstream of our own that echoes]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// The directory of one `dev`, held for this process.
struct Room {
    path: PathBuf,
    _held: Held,
    /// Whether it goes when the process ends.
    temporary: bool,
}

impl Dev {
    pub(crate) fn run(self, output: Output) -> Outcome {
        if !(self.listen.ip().is_loopback() && self.gateway_listen().ip().is_loopback()) {
            return Err(
                Failure::usage("`dev` has throw-away keys and listens on loopback only")
                    .hint("`countersign serve --listen` serves others"),
            );
        }
        logs::start_with(LevelFilter::INFO, false)?;
        let room = Room::enter(self.data_dir.as_deref(), self.memory)?;
        let served = serve::server_runtime()?.block_on(self.start(&room, output));
        served.and(room.leave())
    }

    async fn start(&self, room: &Room, output: Output) -> Outcome {
        let signals = Signals::listen()?;
        let plane = ControlPlane {
            listener: serve::bind(self.listen).await?,
            store: self.open(&room.path).await?,
            metrics_listener: None,
            tls: None,
            // What a developer tries webhooks with is on this machine.
            webhooks: WebhookOptions {
                private_addresses: true,
                ca_file: None,
            },
            grace: GRACE,
            observation_days: serve::OBSERVATION_DAYS,
        };
        let address = plane.address()?;
        let store = plane.store.clone();
        let identity = identity::prepare(&room.path, clock::now())?;
        let keys = self.keys(&store, room).await?;
        let parts = door::prepare(&room.path, &store, clock::now()).await?;
        let upstream = match &self.upstream {
            Some(url) => url.clone(),
            None => echo::start().await?,
        };
        let behind = (self.gateway_listen(), upstream);
        let options = door::options(&room.path, &parts, base_url("http", address), behind);
        let gateway = gateway::start(options)?;

        let serving = plane.run(signals.clone());
        let serving = async {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                served = &mut serving => return served,
                () = gateway.ready() => {}
            }
            // Everything answers from here on, so that who reads the file is served.
            let ready = Ready {
                address,
                gateway: &gateway,
                identity,
                keys,
                parts,
            };
            files::write_private(&room.env_file(), &files::shell_exports(&ready.variables()))?;
            output.text(&welcome::text(room, &ready))?;
            serving.await
        };
        let served = serving.await;
        tokio::task::spawn_blocking(move || gateway.stop())
            .await
            .doing("stop the gateway")?;
        served
    }

    fn gateway_listen(&self) -> SocketAddr {
        let port = if self.listen.port() == 0 {
            0
        } else {
            GATEWAY_PORT
        };
        self.gateway_listen
            .unwrap_or_else(|| SocketAddr::new(self.listen.ip(), port))
    }

    /// What is in memory only has keys that nobody can use again: they are not kept, and do not
    /// replace those that are.
    async fn keys(&self, store: &Store, room: &Room) -> Outcome<Keys> {
        if self.memory {
            return keys::make(store).await;
        }
        keys::find_or_make(store, &room.keys_file()).await
    }

    async fn open(&self, directory: &Path) -> Outcome<Store> {
        if self.memory {
            return serve::open_location(&Location::Memory).await;
        }
        serve::open(&Database::Sqlite(directory.to_owned())).await
    }
}

impl Room {
    /// Takes the directory and removes what an earlier process left that is no longer so.
    fn enter(named: Option<&Path>, memory: bool) -> Outcome<Self> {
        let temporary = memory && named.is_none();
        let path = match named {
            Some(path) => path.to_owned(),
            None if memory => {
                std::env::temp_dir().join(format!("countersign-dev-{}", std::process::id()))
            }
            None => PathBuf::from("countersign-data"),
        };
        let path = files::private_directory(&path)?;
        files::refuse_shared(&path)?;
        let room = Self {
            _held: files::hold(&path)?,
            path,
            temporary,
        };
        room.forget_env()?;
        Ok(room)
    }

    fn env_file(&self) -> PathBuf {
        self.path.join("dev.env")
    }

    fn keys_file(&self) -> PathBuf {
        self.path.join("dev-keys.json")
    }

    fn forget_env(&self) -> Outcome {
        files::remove_if_there(&self.env_file()).doing("remove the old `dev.env`")
    }

    /// `dev.env` must not name a port that nobody listens on.
    fn leave(self) -> Outcome {
        if self.temporary {
            return fs::remove_dir_all(&self.path).doing("remove the temporary directory");
        }
        self.forget_env()
    }
}

/// What a client needs to know.
struct Ready<'a> {
    address: SocketAddr,
    gateway: &'a Gateway,
    identity: Identity,
    keys: Keys,
    parts: door::Parts,
}

/// The base URL of the API at an address.
fn base_url(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("{scheme}://{host}:{}/v1", address.port())
}

impl Ready<'_> {
    fn base_url(&self) -> String {
        base_url("http", self.address)
    }

    fn gateway_url(&self) -> String {
        base_url("https", self.gateway.address())
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let mut variables = vec![
            ("OPENAI_BASE_URL", self.base_url()),
            ("OPENAI_ADMIN_KEY", self.keys.admin_key.reveal().to_owned()),
            ("OPENAI_PROJECT_ID", self.keys.project_id.to_string()),
            ("OPENAI_API_KEY", self.keys.api_key.reveal().to_owned()),
            ("COUNTERSIGN_CLIENT_CA", path(&self.identity.ca)),
            (
                "OPENAI_MTLS_CLIENT_CERT_FILE",
                path(&self.identity.certificate),
            ),
            ("OPENAI_MTLS_CLIENT_KEY_FILE", path(&self.identity.key)),
            ("COUNTERSIGN_GATEWAY_URL", self.gateway_url()),
            ("COUNTERSIGN_SERVER_CA", path(&self.parts.server_ca)),
        ];
        if let Some(address) = self.gateway.admin_address() {
            variables.push(("COUNTERSIGN_GATEWAY_ADMIN_URL", format!("http://{address}")));
        }
        variables
    }
}
