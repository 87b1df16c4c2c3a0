//! A gateway's life: start, threads, stop.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use countersign_client::Client;
use countersign_tls::{CertificateFiles, ReloadingServerConfig};
use countersign_types::{id::GatewayId, request_ids::RequestIds, secret::Secret};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use crate::{
    accept::{self, Acceptor},
    admin::{self, Metrics},
    identify::Snapshot,
    live::Live,
    observations::Observations,
    options::{GatewayOptions, Route},
    record::AccessLog,
    refusal::{Explanations, Reports},
    routes::Plan,
    serve::Door,
    shared::{Clock, Counts, Shared},
    sync::{self, Sync},
    tally::Observer,
    tls,
};

/// How often a thread looks for verdicts that ran out while their streams live on.
const TICK: Duration = Duration::from_secs(1);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be carried out.
    #[error("gateway: {0}")]
    Options(String),
    /// The port cannot be bound.
    #[error("gateway: cannot listen on `{address}`: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A file or thread cannot be had.
    #[error("gateway: {0}")]
    Io(#[from] io::Error),
    /// The server certificate cannot be used.
    #[error("gateway: {0}")]
    Tls(#[from] countersign_tls::Error),
    /// The control plane's client cannot be made.
    #[error("gateway: {0}")]
    Client(#[from] countersign_client::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// Stopped last: what is still under way must go on being true to the control plane.
    keeper: (CancellationToken, JoinHandle<()>),
    fresh: watch::Receiver<bool>,
}

impl Gateway {
    /// Starts a gateway: binds, takes up the last good bundle, and serves on threads of its own.
    /// The two random numbers are where its own id and its request ids come from.
    ///
    /// # Errors
    /// When the configuration, a file or a port is not to be had; then nothing is left running.
    pub fn start(
        options: GatewayOptions,
        clock: Clock,
        random: [u128; 2],
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let plans = plans(&options)?;
        let files = CertificateFiles {
            certificate: options.certificate.clone(),
            key: options.private_key.clone(),
        };
        let tls = Arc::new(ReloadingServerConfig::load(files, tls::server_config)?);
        let client = client(&options)?;
        std::fs::create_dir_all(&options.data_dir)?;
        let count = options
            .threads
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1)
            .max(1);
        let (listeners, address) = listeners(options.listen, count)?;
        let admin = options.admin_listen.map(std_bind).transpose()?;
        let admin_address = admin.as_ref().map(StdListener::local_addr).transpose()?;
        let (observer, tallies) = options.observations.then(Observer::new).unzip();
        let shared = Arc::new(shared(options, clock, random, count, observer)?);
        let observations = tallies.map(|tallies| {
            let every = shared.options.observation_interval;
            Observations::new(every, tallies, client.clone(), shared.id.clone())
        });
        sync::start_from_disk(&shared);

        let stop = CancellationToken::new();
        let (changed, receiver) = watch::channel(shared.snapshot.load().revision);
        let (fresh, started) = watch::channel(false);
        let places = Arc::new(Semaphore::new(shared.options.limits.connections));
        let mut threads = Vec::with_capacity(count);
        for (number, listener) in listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                listener,
                plans: plans.clone(),
                shared: Arc::clone(&shared),
                tls: Arc::clone(&tls),
                places: Arc::clone(&places),
                changed: receiver.clone(),
                stop: stop.clone(),
            };
            threads.push(spawn(format!("gateway-{number}"), worker.run())?);
        }
        let stop_keeper = CancellationToken::new();
        let keeper = Keeper {
            shared,
            client,
            observations,
            changed,
            tls,
            admin,
            metrics,
            stop: stop_keeper.clone(),
            news: fresh,
        };
        let keeper = spawn("gateway-sync".to_owned(), keeper.run())?;
        Ok(Self {
            address,
            admin_address,
            stop,
            threads,
            keeper: (stop_keeper, keeper),
            fresh: started,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator looks.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Ready once what the control plane said is enforced. Until then a gateway without a kept
    /// bundle lets nothing through.
    pub async fn fresh(&self) {
        let mut fresh = self.fresh.clone();
        // An error means that the gateway has stopped: nobody need wait for it.
        let _ = fresh.wait_for(|fresh| *fresh).await;
    }

    /// Stops: no new connection, those under way get their time to end. Blocks until they did.
    pub fn stop(self) {
        self.stop.cancel();
        self.threads.into_iter().for_each(join);
        let (stop_keeper, keeper) = self.keeper;
        stop_keeper.cancel();
        join(keeper);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a gateway thread had panicked");
    }
}

fn spawn(
    name: String,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(name)
        .spawn(move || runtime.block_on(work))
}

fn std_bind(address: SocketAddr) -> Result<StdListener, StartError> {
    accept::bind(address).map_err(|error| StartError::Listen { address, error })
}

/// One listener a thread, all on one port, which the first may pick.
fn listeners(
    address: SocketAddr,
    count: usize,
) -> Result<(Vec<StdListener>, SocketAddr), StartError> {
    // A port that another process shares with SO_REUSEPORT would take part of the traffic.
    if address.port() != 0 {
        drop(StdListener::bind(address).map_err(|error| StartError::Listen { address, error })?);
    }
    let first = std_bind(address)?;
    let bound = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(std_bind(bound)?);
    }
    Ok((all, bound))
}

/// The configured routes, then the control plane's own.
fn plans(options: &GatewayOptions) -> Result<Vec<Plan>, StartError> {
    let url = url::Url::parse(&options.control_plane)
        .map_err(|error| StartError::Options(format!("`{}`: {error}", options.control_plane)))?;
    let control_plane = Route {
        host: None,
        path: "/".to_owned(),
        upstream: url.origin().ascii_serialization(),
        http2: false,
        ca: options.control_plane_ca.clone(),
        authorization: crate::options::Authorization::Pass,
        preserve_host: false,
        headers: std::collections::BTreeMap::new(),
    };
    options
        .routes
        .iter()
        .chain(std::iter::once(&control_plane))
        .map(|route| Plan::new(route, options).map_err(StartError::Options))
        .collect()
}

fn client(options: &GatewayOptions) -> Result<Client, StartError> {
    let key = std::fs::read_to_string(&options.key_file).map_err(|error| {
        StartError::Options(format!(
            "cannot read `{}`: {error}",
            options.key_file.display()
        ))
    })?;
    let mut builder = Client::builder()
        .base_url(&options.control_plane)
        .key(Secret::new(key.trim()))
        .max_retries(0);
    if let Some(file) = &options.control_plane_ca {
        builder = builder.ca_file(file);
    }
    Ok(builder.build()?)
}

fn shared(
    mut options: GatewayOptions,
    clock: Clock,
    random: [u128; 2],
    threads: usize,
    observer: Option<Observer>,
) -> io::Result<Shared> {
    let [id, first_request] = random;
    if options.name.is_none() {
        options.name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .map(|name| name.trim().to_owned());
    }
    let access_log = options
        .access_log
        .as_deref()
        .map(AccessLog::open)
        .transpose()?;
    Ok(Shared {
        options,
        id: GatewayId::from_random(id),
        clock,
        snapshot: ArcSwap::from_pointee(Snapshot::default()),
        heard_at: AtomicU64::new(0),
        enforced: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        enforced_changed: Notify::new(),
        request_ids: RequestIds::new(first_request),
        access_log,
        explanations: Explanations::default(),
        reports: Reports::default(),
        counts: Counts::new(),
        observer,
    })
}

/// One serving thread.
struct Worker {
    number: usize,
    listener: StdListener,
    plans: Vec<Plan>,
    shared: Arc<Shared>,
    tls: Arc<ReloadingServerConfig>,
    places: Arc<Semaphore>,
    changed: watch::Receiver<u64>,
    stop: CancellationToken,
}

impl Worker {
    async fn run(mut self) {
        let Ok(listener) = TcpListener::from_std(self.listener) else {
            return;
        };
        let mut routes: Vec<_> = self.plans.iter().map(Plan::forwarder).collect();
        let Some(control_plane) = routes.pop() else {
            return;
        };
        let live = Arc::new(Live::default());
        let door = Arc::new(Door {
            shared: self.shared,
            live,
            routes,
            control_plane,
        });
        let acceptor = Acceptor::new(Arc::clone(&door), self.tls, self.places, self.stop);
        let mut ticks = interval(TICK);
        let judging = async {
            loop {
                tokio::select! {
                    changed = self.changed.changed() => if changed.is_err() { return },
                    _ = ticks.tick() => {}
                }
                let revision = *self.changed.borrow_and_update();
                door.judge_again(revision, self.number);
            }
        };
        tokio::select! {
            () = judging => {}
            () = acceptor.run(listener) => {}
        }
    }
}

/// The thread that keeps everything true: bundles, the server certificate, the operator's
/// listener.
struct Keeper {
    shared: Arc<Shared>,
    client: Client,
    observations: Option<Observations>,
    changed: watch::Sender<u64>,
    tls: Arc<ReloadingServerConfig>,
    admin: Option<StdListener>,
    metrics: Metrics,
    stop: CancellationToken,
    news: watch::Sender<bool>,
}

impl Keeper {
    async fn run(self) {
        let Self {
            shared,
            client,
            mut observations,
            changed,
            tls,
            admin,
            metrics,
            stop,
            news,
        } = self;
        if let Some(listener) = admin.and_then(|each| TcpListener::from_std(each).ok()) {
            tokio::spawn(admin::run(listener, Arc::clone(&shared), metrics));
        }
        let sync = Sync {
            shared: Arc::clone(&shared),
            client,
            changed,
            fresh: news,
        };
        let observing = async {
            match &mut observations {
                Some(observations) => observations.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sync.run() => {}
            () = keep_house(&shared, &tls) => {}
            () = observing => {}
        }
        if let Some(observations) = observations {
            observations.finish().await;
        }
        if let Some(log) = &shared.access_log {
            let _ = log.flush();
        }
    }
}

/// Each second: writes the access log out, shows the bundle's age, and reloads a changed server
/// certificate.
async fn keep_house(shared: &Shared, tls: &ReloadingServerConfig) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        if let Some(Err(error)) = shared.access_log.as_ref().map(|log| log.flush()) {
            tracing::error!(%error, "cannot write the access log");
        }
        let heard_at = shared.heard_at.load(std::sync::atomic::Ordering::Acquire);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("countersign_gateway_bundle_age_seconds")
            .set(shared.now().saturating_sub(heard_at) as f64);
        reload_certificate(tls);
    }
}

fn reload_certificate(tls: &ReloadingServerConfig) {
    match tls.reload_if_changed() {
        Ok(false) => {}
        Ok(true) => tracing::info!("server certificate reloaded"),
        Err(error) => {
            tracing::error!(%error, "cannot reload the server certificate; the old one stays in use");
        }
    }
}
