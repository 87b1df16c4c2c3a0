//! `countersign serve`: the control plane as a server.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use countersign_server::{
    App, AppOptions, Limits, WebhookOptions, Webhooks, metrics, router, serve,
    store::{Location, Sources as StoreSources, Store, StoreError},
    watch_expiry,
};
use countersign_tls::CertificateFiles;
use tokio::net::TcpListener;

use crate::{
    config::{Database, Effective, Sources, process_env},
    failure::{Doing, Failure, Outcome},
    files, logs,
    signals::Signals,
};

/// The name of the database in the data directory.
const DATABASE_FILE: &str = "countersign.db";

/// How many days observations are kept where nobody says.
pub(crate) const OBSERVATION_DAYS: u32 = 90;

/// How often what was observed too long ago is removed. Every node does; each finds what is left.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

const TLS_HINT: &str =
    "`serve.tls_certificate` and `serve.tls_key` name PEM files that belong together";

#[derive(Args)]
pub(crate) struct Serve {
    /// Address of the listener [default: 127.0.0.1:8085]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the Prometheus listener [default: none]
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// PEM chain that the listener shows [default: plain HTTP]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// PEM private key of that chain
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Lines for people or for programs: auto, human or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// The least severe events that are written [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    #[command(flatten)]
    store: StoreOptions,
}

/// Where the store is: for whoever works on it directly.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreOptions {
    /// The configuration file [env: COUNTERSIGN_CONFIG] [default: countersign.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the SQLite database [default: /var/lib/countersign]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// PostgreSQL instead of SQLite; others on this machine can see a flag, so mind the password
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with = "database_url_file"
    )]
    database_url: Option<String>,
    /// File that holds the database URL
    #[arg(long, global = true, value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

impl StoreOptions {
    /// The configuration, with these and the command's own flags over it.
    pub(crate) fn effective(&self, own: Vec<(&'static str, Option<String>)>) -> Outcome<Effective> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let store = vec![
            ("data_dir", path(&self.data_dir)),
            ("database_url", self.database_url.clone()),
            ("database_url_file", path(&self.database_url_file)),
        ];
        let flags = store.into_iter().chain(own);
        Effective::load(Sources {
            file: self.config.as_deref(),
            env: &process_env,
            flags: flags
                .filter_map(|(key, value)| value.map(|value| (key, value)))
                .collect(),
        })
    }
}

impl Serve {
    pub(crate) fn run(self) -> Outcome {
        let text = |value: Option<SocketAddr>| value.map(|value| value.to_string());
        let path = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        let effective = self.store.effective(vec![
            ("serve.listen", text(self.listen)),
            ("serve.metrics_listen", text(self.metrics_listen)),
            ("serve.tls_certificate", path(self.tls_certificate)),
            ("serve.tls_key", path(self.tls_key)),
            ("log.format", self.log_format),
            ("log.level", self.log_level),
        ])?;
        logs::start(&effective)?;
        server_runtime()?.block_on(start(&effective))
    }
}

/// The runtime of the roles that serve: a thread for each core.
pub(crate) fn server_runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .doing("start")
}

async fn start(effective: &Effective) -> Outcome {
    let signals = Signals::listen()?;
    let listener = bind(effective.listen()?).await?;
    let metrics_listener = match effective.parsed("serve.metrics_listen") {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let plane = ControlPlane {
        store: open(&effective.database()?).await?,
        listener,
        metrics_listener,
        tls: tls_files(effective),
        webhooks: WebhookOptions {
            private_addresses: effective
                .parsed("webhooks.private_addresses")
                .unwrap_or_default(),
            ca_file: effective.path("webhooks.ca_file"),
        },
        grace: Duration::from_secs(effective.parsed("serve.drain_seconds").unwrap_or(30)),
        observation_days: effective
            .parsed("observations.days")
            .unwrap_or(OBSERVATION_DAYS),
    };
    let address = plane.address()?;
    tracing::info!(%address, tls = plane.tls.is_some(), "the control plane listens");
    plane.run(signals).await?;
    tracing::info!("stopped");
    Ok(())
}

fn tls_files(effective: &Effective) -> Option<CertificateFiles> {
    Some(CertificateFiles {
        certificate: effective.path("serve.tls_certificate")?,
        key: effective.path("serve.tls_key")?,
    })
}

/// A control plane, ready to run.
pub(crate) struct ControlPlane {
    pub(crate) store: Store,
    pub(crate) listener: TcpListener,
    pub(crate) metrics_listener: Option<TcpListener>,
    pub(crate) tls: Option<CertificateFiles>,
    pub(crate) webhooks: WebhookOptions,
    /// How long open requests may take once the end has begun.
    pub(crate) grace: Duration,
    /// How many days what gateways saw is kept.
    pub(crate) observation_days: u32,
}

impl ControlPlane {
    /// Where it listens.
    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        self.listener.local_addr().doing("read the own address")
    }

    /// Serves until the first signal, then drains.
    pub(crate) async fn run(self, signals: Signals) -> Outcome {
        let limits = Limits {
            grace: self.grace,
            ..Limits::default()
        };
        // The recorder comes first: what is measured before it is lost.
        let recorder = match self.metrics_listener {
            Some(listener) => Some((listener, metrics::install().doing("keep figures")?)),
            None => None,
        };
        let (store, sources) = (self.store.clone(), StoreSources::system());
        let options = AppOptions {
            observation_days: self.observation_days,
            private_webhooks: self.webhooks.private_addresses,
        };
        let app = App::with_options(store.clone(), &sources, options)?;
        let _forgetting = Forgetting::start(store.clone(), self.observation_days);
        tokio::spawn(watch_expiry(store.clone(), signals.ended()));
        let webhooks = Webhooks::new(store, sources, &self.webhooks)?;
        let webhooks = tokio::spawn(webhooks.run(signals.ended()));
        if let Some((listener, handle)) = recorder {
            let figures = metrics::router(handle, self.store.clone());
            tokio::spawn(serve(
                listener,
                figures,
                None,
                limits.clone(),
                signals.ended(),
            ));
        }
        let ending = {
            let app = app.clone();
            let ended = signals.ended();
            async move {
                ended.await;
                tracing::info!("stopping: open requests may end, a second signal stops at once");
                app.close();
            }
        };
        serve(
            self.listener,
            router(app),
            self.tls.as_ref(),
            limits,
            ending,
        )
        .await
        .doing("serve")
        .map_err(|failure| failure.hint(TLS_HINT))?;
        webhooks.await.doing("stop the webhooks")
    }
}

/// The task that removes what was observed too long ago; it ends with this.
struct Forgetting(tokio::task::JoinHandle<()>);

impl Forgetting {
    fn start(store: Store, days: u32) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(FORGET_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = store.forget_observations(days).await {
                    tracing::warn!(%error, "old observations could not be removed; the next hour tries again");
                }
            }
        }))
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Binds a listener, or says what is in the way.
pub(crate) async fn bind(address: SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format_args!("cannot listen on {address}: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.hint("another process listens there; choose another with `--listen`")
            }
            std::io::ErrorKind::PermissionDenied => {
                failure.hint("a port below 1024 needs a privilege; choose a higher one")
            }
            _ => failure.hint("name an address of this machine with `--listen`"),
        }
    })
}

/// Opens the store, making it when it is not there.
pub(crate) async fn open(database: &Database) -> Outcome<Store> {
    let (location, hint) = match database {
        Database::Sqlite(directory) => {
            files::private_directory(directory)?;
            (
                Location::Sqlite(directory.join(DATABASE_FILE)),
                "the data directory must be this user's; `--data-dir` names another",
            )
        }
        Database::Postgres(url) => (
            Location::Postgres(url.reveal().to_owned()),
            "check the host, the password and the database's name in the database URL",
        ),
    };
    open_location(&location)
        .await
        .map_err(|failure| failure.hint(hint))
}

/// Opens the store at a location.
pub(crate) async fn open_location(location: &Location) -> Outcome<Store> {
    let opened = Store::open(location, StoreSources::system()).await;
    opened.map_err(|error| match error {
        StoreError::Configuration(_) => Failure::usage(error),
        _ => Failure::new(format_args!("cannot open the store: {error}")),
    })
}

/// Whether there is a database in a data directory.
pub(crate) fn has_database(directory: &Path) -> bool {
    directory.join(DATABASE_FILE).exists()
}
