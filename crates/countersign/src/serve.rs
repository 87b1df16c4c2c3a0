//! `countersign serve`: the control plane as a server.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use countersign_otlp::Figures;
use countersign_server::{
    App, AppOptions, CrlFetcher, CrlFetching, GATEWAY_LIVE_SECONDS, Limits, WebhookOptions,
    Webhooks, listener_tls,
    metrics::{self, GatewayAges},
    router, serve,
    store::{Sources, Store},
    watch_expiry, watch_token_keys,
};
use countersign_tls::{Error as TlsError, ReloadingServerConfig};
use tokio::net::TcpListener;

use crate::{
    config::{Configuration, LogFlags, listen_address},
    database::{self, DatabaseOptions},
    failure::{CommandResult, Doing, Failure},
    file_kind::{Wanted, compare_keys, unreadable, wrong_kind},
    files::shell_quoted,
    logs,
    reloading::{Reloading, follow_certificate},
    signals::{Requests, Signals},
    supervision,
    telemetry::Telemetry,
};

/// How often old observations are removed. Every node does it; whichever comes first does the work.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60 * 60);

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1:8085]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Address to serve Prometheus metrics on [default: off]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    metrics_listen: Option<SocketAddr>,
    /// PEM certificate chain of the listener [default: plain HTTP]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// PEM private key of the certificate chain
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Serve plain HTTP on an address that others can reach
    #[arg(long)]
    allow_cleartext: bool,
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    database: DatabaseOptions,
}

impl Serve {
    pub(crate) fn run(self) -> CommandResult {
        let runtime = server_runtime()?;
        let requests = {
            let _within = runtime.enter();
            Requests::listen()?
        };
        let configuration = self.configuration()?;
        configuration.settings.serve.check_cleartext()?;
        let log = logs::start(configuration.settings.log)?;
        let mut telemetry = Telemetry::start("countersign");
        let served = runtime.block_on(start(self, configuration, requests, &log, &mut telemetry));
        telemetry.finish();
        served
    }

    /// What file, variables and flags come to now.
    fn configuration(&self) -> CommandResult<Configuration> {
        let text = |value: Option<SocketAddr>| value.map(|value| value.to_string());
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut given = vec![
            ("serve.listen", text(self.listen)),
            ("serve.metrics_listen", text(self.metrics_listen)),
            ("serve.tls_certificate", path(&self.tls_certificate)),
            ("serve.tls_key", path(&self.tls_key)),
            (
                "serve.allow_cleartext",
                self.allow_cleartext.then(|| true.to_string()),
            ),
        ];
        given.extend(self.log.given());
        self.database.configuration(given)
    }
}

/// The runtime of the server roles: a thread for each core.
pub(crate) fn server_runtime() -> CommandResult<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .doing("start")
}

async fn start(
    given: Serve,
    configuration: Configuration,
    requests: Requests,
    log: &logs::Log,
    telemetry: &mut Telemetry,
) -> CommandResult {
    let signals = Signals::listen()?;
    let (settings, used) = (configuration.settings, configuration.values);
    // Before anything listens: whoever waits for the port is answered, or not let in at all.
    let certificate = settings
        .serve
        .tls
        .as_ref()
        .map(|tls| tls.certificate.clone());
    let tls = settings.serve.tls.map(listener_tls).transpose();
    let tls = tls.map_err(|error| tls_failure(&error))?;
    let listener = bind(settings.serve.listen, "--listen").await?;
    let metrics_listener = match settings.serve.metrics_listen {
        Some(address) => Some(bind(address, "--metrics-listen").await?),
        None => None,
    };
    let plane = ControlPlane {
        store: database::open(&settings.database.resolve()?)
            .await?
            .with_quotas(settings.quotas),
        listener,
        metrics_listener,
        tls,
        certificate,
        webhooks: settings.webhooks,
        drain_delay: settings.serve.drain_delay,
        drain: settings.serve.drain,
        forget_gateways_after: settings.forget_gateways_after,
        observation_days: settings.observation_days,
    };
    let address = plane.address()?;
    tracing::info!(%address, tls = plane.tls.is_some(), "control plane listening");
    tokio::spawn(log.watch());
    supervision::ready();
    tokio::spawn(supervision::give_signs_of_life(|| true));
    let reloading = Reloading {
        requests,
        reread: Box::new(move || given.configuration()),
        used,
        level: log.level(),
    };
    plane.run(signals, Some(reloading), telemetry).await?;
    tracing::info!("stopped");
    Ok(())
}

/// A control plane, ready to run.
pub(crate) struct ControlPlane {
    pub(crate) store: Store,
    pub(crate) listener: TcpListener,
    pub(crate) metrics_listener: Option<TcpListener>,
    pub(crate) tls: Option<Arc<ReloadingServerConfig>>,
    /// The file of its certificate.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) webhooks: WebhookOptions,
    /// How long it says that it is not ready before the listener closes.
    pub(crate) drain_delay: Duration,
    /// How long open requests may take once the listener is closed.
    pub(crate) drain: Duration,
    /// How long a gateway that vanished is listed as missing.
    pub(crate) forget_gateways_after: Duration,
    /// How many days observations are kept.
    pub(crate) observation_days: u32,
}

impl ControlPlane {
    /// Where it listens.
    pub(crate) fn address(&self) -> CommandResult<SocketAddr> {
        self.listener
            .local_addr()
            .doing("read the listener's address")
    }

    /// Serves until the first signal, then drains. Until then it does what an operator asks for.
    pub(crate) async fn run(
        self,
        signals: Signals,
        reloading: Option<Reloading>,
        telemetry: &mut Telemetry,
    ) -> CommandResult {
        let limits = Limits {
            grace: self.drain,
            ..Limits::default()
        };
        // The recorder comes first: measurements before it exists are lost.
        let is_measured = self.metrics_listener.is_some() || telemetry.is_on();
        // In `dev` the gateway has installed it.
        let recorder = (is_measured && reloading.is_some()).then(metrics::install);
        let recorder = recorder.transpose().doing("set up metrics")?;
        let (store, sources) = (self.store.clone(), Sources::system());
        let options = AppOptions {
            observation_days: self.observation_days,
            private_webhooks: self.webhooks.private_addresses,
            forget_gateways_after: self.forget_gateways_after.as_secs(),
        };
        let app = App::with_options(store.clone(), &sources, options, telemetry.spans())?;
        // Held until the listener has drained, then dropped, which ends the task.
        let _cleanup = ObservationCleanup::start(store.clone(), self.observation_days);
        tokio::spawn(watch_expiry(store.clone(), signals.ended()));
        keep_current(&app, &sources, &self, &signals)?;
        let webhooks = Webhooks::new(store, sources, &self.webhooks)?;
        let webhooks = webhooks.recorded_by(telemetry.spans());
        let webhooks = tokio::spawn(webhooks.run(signals.ended()));
        if let Some(handle) = recorder {
            let ages = GatewayAges {
                kept_for: self.forget_gateways_after.as_secs(),
                live_for: GATEWAY_LIVE_SECONDS,
            };
            telemetry.send_figures(figures(handle.clone(), self.store.clone(), ages));
            if let Some(listener) = self.metrics_listener {
                let metrics_routes = metrics::router(handle, self.store.clone(), ages);
                tokio::spawn(serve(
                    listener,
                    metrics_routes,
                    None,
                    limits.clone(),
                    signals.ended(),
                ));
            }
        }
        if let (Some(tls), Some(certificate)) = (self.tls.clone(), self.certificate) {
            metrics::show_own_certificate(&certificate);
            tokio::spawn(follow_certificate(tls, certificate, app.clone()));
        }
        if let Some(reloading) = reloading {
            tokio::spawn(reloading.obey(signals.clone(), app.clone()));
        }
        let ending = {
            let app = app.clone();
            let (ended, drain_delay) = (signals.ended(), self.drain_delay);
            async move {
                ended.await;
                supervision::stopping();
                tracing::info!("stopping; open requests may finish, a second signal stops at once");
                app.leave();
                tokio::time::sleep(drain_delay).await;
                // Waiting bundle requests return now, or they would hold up the drain.
                app.close();
            }
        };
        serve(self.listener, router(app), self.tls, limits, ending).await;
        webhooks.await.doing("stop sending webhooks")
    }
}

/// Until the end, fetches the revocation lists that are due, as the API may at once, and renews token keys.
fn keep_current(
    app: &App,
    sources: &Sources,
    plane: &ControlPlane,
    signals: &Signals,
) -> CommandResult {
    let fetcher = CrlFetcher::new(&plane.webhooks)?;
    app.fetch_crls_with(fetcher.clone());
    let fetching = CrlFetching::new(plane.store.clone(), sources.clone(), fetcher);
    tokio::spawn(fetching.run(signals.ended()));
    tokio::spawn(watch_token_keys(plane.store.clone(), signals.ended()));
    Ok(())
}

/// All metrics, read in this runtime: connections to the database belong to it.
fn figures(handle: metrics::PrometheusHandle, store: Store, ages: GatewayAges) -> Figures {
    let runtime = tokio::runtime::Handle::current();
    Box::new(move || {
        let (handle, store) = (handle.clone(), store.clone());
        let reading = runtime.spawn(async move { metrics::text(&handle, &store, ages).await });
        Box::pin(async move { reading.await.unwrap_or_default() })
    })
}

/// The task that removes old observations; it ends when this is dropped.
struct ObservationCleanup(tokio::task::JoinHandle<()>);

impl ObservationCleanup {
    fn start(store: Store, days: u32) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(CLEANUP_INTERVAL);
            loop {
                ticks.tick().await;
                if let Err(error) = store.forget_observations(days).await {
                    tracing::warn!(%error, "cannot remove old observations; trying again in an hour");
                }
            }
        }))
    }
}

impl Drop for ObservationCleanup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Binds a listener, or explains why it cannot; `flag` is the one that gives its address.
pub(crate) async fn bind(address: SocketAddr, flag: &str) -> CommandResult<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| cannot_listen(address, flag, &error))
}

/// Why nothing can listen on an address, and what to do.
pub(crate) fn cannot_listen(address: SocketAddr, flag: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(format_args!("cannot listen on {address}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => failure.hint(format!(
            "another process listens there (`ss -ltnp 'sport = :{}'`); choose another address with `{flag}`",
            address.port()
        )),
        io::ErrorKind::PermissionDenied => failure.hint(format!(
            "ports below 1024 need a privilege; choose a higher one with `{flag}`"
        )),
        _ => failure.hint(format!("give an address of this machine with `{flag}`")),
    }
}

/// Why TLS files cannot be used, and what to do: what each file is, where it is of another kind.
pub(crate) fn tls_failure(error: &TlsError) -> Failure {
    let of_kind = match error {
        TlsError::Read { file, source } => Some(unreadable(file, source)),
        TlsError::BrokenPem { file } | TlsError::NoCertificate { file } => {
            wrong_kind(file, Wanted::Certificate)
        }
        TlsError::NoPrivateKey { file } => wrong_kind(file, Wanted::PrivateKey),
        _ => None,
    };
    if let Some(failure) = of_kind {
        return failure;
    }
    let failure = Failure::new(error);
    let quoted = |path: &Path| shell_quoted(&path.display().to_string());
    match error {
        TlsError::KeyMismatch { certificate, key } => failure.hint(compare_keys(certificate, key)),
        TlsError::EncryptedKey { file } => failure.hint(format!(
            "there is nobody to ask for its passphrase: `openssl pkey -in {0} -out {0}.plain`",
            quoted(file)
        )),
        TlsError::Unusable { .. } => failure.hint(
            "a server's certificate is X.509 version 3 with a key of RSA, P-256, P-384 or Ed25519",
        ),
        _ => failure,
    }
}
