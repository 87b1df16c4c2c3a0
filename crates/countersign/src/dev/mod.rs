//! `countersign dev`: a control plane and a gateway on this machine, without any set-up: an
//! organization, a project, keys, a CA and a client certificate, and a file that exports them to a
//! shell.

mod directory;
mod echo;
mod gateway;
mod identity;
mod keys;
mod ready;
mod requests;
mod welcome;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use countersign_gateway::{Sockets, options::ReceiptPlace};
use countersign_server::{
    WebhookOptions,
    store::{FORGET_GATEWAYS_AFTER, OBSERVATION_DAYS, Store},
};

use self::{
    directory::DevDirectory,
    keys::Keys,
    ready::{Ready, base_url},
};
use crate::{
    clock,
    config::{Database, LogFlags, LogSettings, listen_address, process_env},
    database,
    failure::{CommandResult, Doing, Failure},
    files, logs,
    output::Output,
    serve::{self, ControlPlane},
    signals::Signals,
    telemetry::Telemetry,
};

/// How long open requests may take at the end; a developer's own tools need no longer.
const DRAIN: Duration = Duration::from_secs(5);
const GATEWAY_PORT: u16 = 8443;
/// Where `countersign explain` looks by itself.
const OPERATOR_PORT: u16 = 9090;

#[derive(Args)]
pub(crate) struct Dev {
    /// Directory for data, keys and certificates [default: countersign-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the data in memory, and files in a temporary directory unless `--data-dir` is given
    #[arg(long)]
    memory: bool,
    /// Loopback address of the control plane; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8085", value_parser = listen_address)]
    listen: SocketAddr,
    /// Loopback address of the gateway [default: 127.0.0.1:8443, or a free port if `--listen` has port 0]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    gateway_listen: Option<SocketAddr>,
    /// Loopback address where the gateway answers its operator: health, metrics, `explain` [default: 127.0.0.1:9090, or a free port if `--listen` has port 0]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    operator_listen: Option<SocketAddr>,
    /// URL of the upstream behind the gateway [default: a built-in echo server]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Give receipts of all verdicts, to the upstream and in the access log
    #[arg(long)]
    receipts: bool,
    #[command(flatten)]
    log: LogFlags,
}

impl Dev {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let (gateway, operator) = (self.gateway_listen(), self.operator_listen());
        let all = [self.listen, gateway, operator];
        if !all.iter().all(|address| address.ip().is_loopback()) {
            return Err(Failure::usage(
                "`dev` uses throw-away keys, so it listens on loopback addresses only",
            )
            .hint("use `countersign serve --listen` to serve other machines"));
        }
        if let Some(upstream) = self.upstream.as_ref().filter(|url| !url.contains("://")) {
            return Err(
                Failure::usage(format_args!("the upstream `{upstream}` is not a URL")).hint(
                    format!("begin it with the scheme: `--upstream http://{upstream}`"),
                ),
            );
        }
        let settings = LogSettings::DEFAULT.or_given(&process_env, &self.log)?;
        let _log = logs::start_calm(settings)?;
        let directory = DevDirectory::take(self.data_dir.as_deref(), self.memory)?;
        let is_json = logs::is_json(settings.format);
        let mut telemetry = Telemetry::start("countersign-dev");
        let starting = self.start(&directory, output, is_json, &mut telemetry);
        let served = serve::server_runtime()?.block_on(starting);
        telemetry.finish();
        served.and(directory.release())
    }

    async fn start(
        &self,
        directory: &DevDirectory,
        output: Output,
        json_log: bool,
        telemetry: &mut Telemetry,
    ) -> CommandResult {
        let signals = Signals::listen()?;
        let plane = self.plane(directory).await?;
        let address = plane.address()?;
        let store = plane.store.clone();
        let identity = identity::prepare(&directory.path, clock::now())?;
        let keys = self.keys(&store, directory).await?;
        let gateway_files = gateway::prepare(&directory.path, &store, clock::now()).await?;
        self.check_ports().await?;
        let upstream = match &self.upstream {
            Some(url) => url.clone(),
            None => echo::start().await?,
        };
        let setup = self.setup(address, upstream);
        let options = gateway::options(&directory.path, &gateway_files, setup);
        let gateway = crate::gateway::start(options, Sockets::default(), telemetry)?;

        let serving = plane.run(signals.clone(), None, telemetry);
        // The gateway becomes ready by fetching its bundle, which only works while we serve.
        let serving = async {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                served = &mut serving => return served,
                () = gateway.ready() => {}
            }
            // Written only now: a script may start as soon as the file exists.
            let ready = Ready {
                address,
                gateway: &gateway,
                identity,
                keys,
                gateway_files,
            };
            files::write_private(
                &directory.env_file(),
                &files::shell_exports(&ready.variables()),
            )?;
            output.text(&welcome::text(directory, &ready))?;
            if !json_log {
                let access_log = gateway::access_log(&directory.path);
                tokio::spawn(requests::tell(access_log, welcome::program()));
            }
            serving.await
        };
        let served = serving.await;
        // Stopping joins the gateway's threads, which would block this runtime.
        tokio::task::spawn_blocking(move || gateway.stop())
            .await
            .doing("stop the gateway")?;
        served
    }

    /// A control plane for this machine alone.
    async fn plane(&self, directory: &DevDirectory) -> CommandResult<ControlPlane> {
        Ok(ControlPlane {
            listener: serve::bind(self.listen, "--listen").await?,
            store: self.open(&directory.path).await?,
            metrics_listener: None,
            tls: None,
            certificate: None,
            // A developer's webhook receiver runs on this machine.
            webhooks: WebhookOptions {
                private_addresses: true,
                ca_file: None,
            },
            drain_delay: Duration::ZERO,
            drain: DRAIN,
            forget_gateways_after: Duration::from_secs(FORGET_GATEWAYS_AFTER),
            observation_days: OBSERVATION_DAYS,
        })
    }

    fn setup(&self, control_plane: SocketAddr, upstream: String) -> gateway::Setup {
        let both = [ReceiptPlace::Header, ReceiptPlace::Log];
        gateway::Setup {
            listen: self.gateway_listen(),
            operator: self.operator_listen(),
            control_plane: base_url("http", control_plane),
            upstream,
            receipt: both.into_iter().filter(|_| self.receipts).collect(),
            drain: DRAIN,
        }
    }

    /// Says what is wrong with the gateway's addresses; the gateway listens on them by itself.
    async fn check_ports(&self) -> CommandResult {
        drop(serve::bind(self.gateway_listen(), "--gateway-listen").await?);
        drop(serve::bind(self.operator_listen(), "--operator-listen").await?);
        Ok(())
    }

    fn gateway_listen(&self) -> SocketAddr {
        self.gateway_listen
            .unwrap_or_else(|| self.beside(GATEWAY_PORT))
    }

    fn operator_listen(&self) -> SocketAddr {
        self.operator_listen
            .unwrap_or_else(|| self.beside(OPERATOR_PORT))
    }

    /// The address with this port, or a free one where the control plane has a free one.
    fn beside(&self, port: u16) -> SocketAddr {
        let port = if self.listen.port() == 0 { 0 } else { port };
        SocketAddr::new(self.listen.ip(), port)
    }

    /// The keys of an in-memory database are useless afterwards: they are not saved, and do not
    /// overwrite those of a directory.
    async fn keys(&self, store: &Store, directory: &DevDirectory) -> CommandResult<Keys> {
        if self.memory {
            return keys::make(store).await;
        }
        keys::find_or_make(store, &directory.keys_file()).await
    }

    async fn open(&self, directory: &Path) -> CommandResult<Store> {
        if self.memory {
            return database::open_in_memory().await;
        }
        database::open(&Database::Sqlite(directory.to_owned())).await
    }
}
