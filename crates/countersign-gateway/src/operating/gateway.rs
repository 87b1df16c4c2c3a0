//! A gateway's life: start, threads, stop.

use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use countersign_client::Client;
use countersign_trace::Spans;
use countersign_types::{id::GatewayId, request_ids::RequestIds};
use tokio::sync::{Notify, Semaphore, SetOnce, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use super::start_error::StartError;
use super::{
    admin::Metrics,
    background::Background,
    configured::{client, first_receipts, routes, server_tls},
    control::GatewayControl,
    data_dir::DataDir,
    described::{describe, show_server_certificate},
    durations::Durations,
    health::Health,
    sockets::Sockets,
    worker::Worker,
};
use crate::{
    access_log::file::AccessLog,
    caller::{snapshot::Snapshot, tokens::Tokens},
    contact::Contact,
    decisions::door::{self, OpenDoor},
    live::all::AllLiveStreams,
    observing::{
        observations::Observations,
        tally::{Observer, Tally},
    },
    options::{DecisionAddress, GatewayOptions},
    project_requests::ProjectRequests,
    refusal::refusals::Refusals,
    shared::{Clock, Shared},
    shares::Shares,
    sync::pull::Sync,
    token_exchange::{asking::Exchanges, places::MOST_AT_ONCE, public_keys::PublicKeys},
    unauthenticated::UnauthenticatedConnections,
};

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    doors: Arc<[OpenDoor]>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// Stopped last: requests still under way must follow changes of trust to their end.
    background: (CancellationToken, JoinHandle<()>),
    ready: watch::Receiver<bool>,
    control: GatewayControl,
}

impl Gateway {
    /// Starts a gateway: binds what was not passed, loads the last good bundle, and serves on threads of its own.
    /// Its own id and its request ids are made from the two random numbers. Requests are recorded as
    /// spans where these go anywhere.
    ///
    /// # Errors
    /// When the configuration, a file or a port cannot be used; then nothing is left running.
    pub fn start(
        options: GatewayOptions,
        sockets: Sockets,
        clock: Clock,
        [own, first]: [u128; 2],
        metrics: Metrics,
        spans: Option<Arc<Spans>>,
    ) -> Result<Self, StartError> {
        let (routes, configured) = watch::channel(Arc::new(routes(&options)?));
        let tls = Arc::new(server_tls(&options)?);
        let (client_sender, client) = watch::channel(client(&options)?);
        let threads = threads(&options);
        let Sockets { clients, admin } = sockets;
        let (listeners, address) = Sockets::listeners(clients, options.listen, threads)?;
        let (admin, admin_address) = Sockets::admin(admin, options.admin_listen)?.unzip();
        let doors = open_doors(&options)?;
        describe_all(&options);
        let data_dir = DataDir::take(&options.data_dir, own)?;
        let (observer, tallies) = options.observations.then(Observer::new).unzip();
        let mut shared = shared(options, clock, data_dir.id, first, threads, observer)?;
        shared.spans = spans;
        let exchanges = open_exchanges(&mut shared, &client);
        open_receipts(&shared)?;
        let shared = Arc::new(shared);
        let observations = observations(&shared.options, tallies, &client, own);
        let sync = Sync::start(Arc::clone(&shared), client, data_dir.lock, jitter_seed(own))?;
        let (receiver, started) = sync.follower.subscribe();
        let (stop, stop_background) = (CancellationToken::new(), CancellationToken::new());
        let slots = Arc::new(Semaphore::new(shared.options.limits.connections));
        let live = Arc::new(AllLiveStreams::default());
        let workers = serve_all(listeners, |number, listener| Worker {
            number,
            listener,
            routes: configured.clone(),
            shared: Arc::clone(&shared),
            live: Arc::clone(&live),
            tls: Arc::clone(&tls),
            slots: Arc::clone(&slots),
            doors: Arc::clone(&doors),
            changed: receiver.clone(),
            stop: stop.clone(),
        })?;
        let background = Background {
            shared: Arc::clone(&shared),
            sync,
            exchanges,
            client: client_sender.subscribe(),
            observations,
            live,
            tls: Arc::clone(&tls),
            routes: configured,
            admin,
            metrics,
            slots,
            doors: Arc::clone(&doors),
            stop: stop_background.clone(),
        };
        let background = spawn("gateway-sync".to_owned(), background.run())?;
        Ok(Self {
            address,
            admin_address,
            doors,
            stop,
            threads: workers,
            background: (stop_background, background),
            ready: started,
            control: GatewayControl::new(shared, tls, routes, client_sender),
        })
    }

    /// What an operator asks of it while it runs.
    #[must_use]
    pub fn control(&self) -> GatewayControl {
        self.control.clone()
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin listener is.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where other proxies ask for verdicts, in the order of the configuration.
    pub fn decision_addresses(&self) -> impl Iterator<Item = &DecisionAddress> {
        self.doors.iter().map(|door| &door.address)
    }

    /// Waits until the control plane's bundle is enforced. Before that, a gateway without a stored
    /// bundle lets nothing through.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // An error means that the gateway has stopped: there is nothing to wait for.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// Says at `/readyz` that it stops. Returns how long to let it serve on, for whoever sends clients here
    /// to notice.
    #[must_use]
    pub fn leave(&self) -> Duration {
        self.control.leave()
    }

    /// Stops: no new connection is accepted, and those under way get the drain timeout to end.
    /// Blocks until all is over.
    pub fn stop(self) {
        let _ = self.control.leave();
        self.stop.cancel();
        self.threads.into_iter().for_each(join);
        let (stop_background, background) = self.background;
        stop_background.cancel();
        join(background);
    }
}

/// Makes what asks the control plane about exchanges.
fn open_exchanges(shared: &mut Shared, client: &watch::Receiver<Client>) -> Exchanges {
    let (asking, asked) = mpsc::channel(MOST_AT_ONCE);
    shared.asking = Some(asking);
    Exchanges::new(asked, client.clone())
}

/// Makes what gives receipts, where any are wanted.
fn open_receipts(shared: &Shared) -> Result<(), StartError> {
    if let Some(receipts) = first_receipts(shared, &shared.options)? {
        // Nothing else has set it yet.
        let _ = shared.receipts.set(receipts);
    }
    Ok(())
}

fn open_doors(options: &GatewayOptions) -> Result<Arc<[OpenDoor]>, StartError> {
    let opened = door::open(options).map_err(|error| StartError::Options(error.to_string()))?;
    Ok(opened.into())
}

/// Only the waits between failed attempts depend on it, so it need not be independent of the id.
const fn jitter_seed(own: u128) -> u64 {
    let [seed @ .., _, _, _, _, _, _, _, _] = own.to_le_bytes();
    u64::from_le_bytes(seed)
}

fn observations(
    options: &GatewayOptions,
    tallies: Option<mpsc::Receiver<Arc<Tally>>>,
    client: &watch::Receiver<Client>,
    own: u128,
) -> Option<Observations> {
    // Batches are numbered from each start, so the process is what counts them.
    let id = GatewayId::from_random(own);
    let limits = options.limits.reports();
    let (every, client) = (options.observation_interval, client.clone());
    Some(Observations::new(every, tallies?, client, id, limits))
}

fn describe_all(options: &GatewayOptions) {
    describe(options);
    show_server_certificate(options);
}

/// How many threads serve: one per core unless configured.
fn threads(options: &GatewayOptions) -> usize {
    let cores = || std::thread::available_parallelism().ok().map(Into::into);
    options.threads.or_else(cores).unwrap_or(1).max(1)
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a gateway thread has panicked");
    }
}

/// A thread for each listener.
fn serve_all(
    listeners: Vec<StdListener>,
    worker: impl Fn(usize, StdListener) -> Worker,
) -> io::Result<Vec<JoinHandle<()>>> {
    let listeners = listeners.into_iter().enumerate();
    listeners
        .map(|(number, listener)| {
            spawn(format!("gateway-{number}"), worker(number, listener).run())
        })
        .collect()
}

fn spawn(
    name: String,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(work);
        // A disk that hangs may hold what looks at it, and must not hold the stop.
        runtime.shutdown_background();
    })
}

pub(super) fn shared(
    mut options: GatewayOptions,
    clock: Clock,
    id: GatewayId,
    first_request: u128,
    threads: usize,
    observer: Option<Observer>,
) -> Result<Shared, StartError> {
    if options.name.is_none() {
        options.name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .map(|name| name.trim().to_owned());
    }
    let access_log = options
        .access_log
        .as_deref()
        .map(|path| {
            let opened = AccessLog::open(path, options.access_log_group_readable);
            opened.map_err(|error| StartError::file(path, error))
        })
        .transpose()?;
    let project_requests = ProjectRequests::new(options.project_metrics);
    let doors: BTreeSet<_> = options
        .decisions
        .iter()
        .map(|each| each.protocol.word())
        .collect();
    Ok(Shared {
        shares: Shares::new(options.limits.shares(threads), threads),
        exchange_shares: Shares::new(options.limits.shares(threads), threads),
        exchange_places: Arc::default(),
        unauthenticated: Arc::new(UnauthenticatedConnections::default()),
        options,
        id,
        clock,
        snapshot: ArcSwap::from_pointee(Snapshot::default()),
        health: Health::new(threads),
        contact: Contact::default(),
        enforced: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        enforced_changed: Notify::new(),
        request_ids: RequestIds::new(first_request),
        access_log,
        refusals: Refusals::new(doors),
        observer,
        durations: Durations::default(),
        spans: None,
        project_requests,
        tokens: Tokens::default(),
        public_keys: PublicKeys::default(),
        asking: None,
        receipts: SetOnce::new(),
    })
}
