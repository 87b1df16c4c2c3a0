//! The background thread: everything that is not serving.

use std::{net::TcpListener as StdListener, sync::Arc, time::Duration};

use countersign_client::Client;
use countersign_log::Progress;
use countersign_tls::{ReloadingClientConfig, ReloadingServerConfig};
use countersign_types::live_streams::LiveReport;
use metrics::{counter, gauge};
use rustix::fs::statvfs;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    admin::{self, Metrics},
    described::show_server_certificate,
    health::Part,
    worker::Routes,
};
use crate::{
    decisions::door::OpenDoor, forwarding::routes::CheckedRoute, live::all::AllLiveStreams,
    observing::observations::Observations, receipts::registering, shared::Shared, sync::pull::Sync,
    token_exchange::asking::Exchanges,
};

/// How often the access log, the bundle's age and the server certificate are looked at.
const UPKEEP: Duration = Duration::from_secs(1);

const CONNECTIONS: &str = "countersign_gateway_connections";
const DISK_AVAILABLE: &str = "countersign_gateway_disk_available_bytes";
const LINES_LOST: &str = "countersign_gateway_access_log_lines_lost_total";
const LINES_WAITING: &str = "countersign_gateway_access_log_lines_waiting";

/// What the background thread does: it pulls bundles, sends observations, reloads the server
/// certificate, watches the access log, and serves the operator.
pub(super) struct Background {
    pub(super) shared: Arc<Shared>,
    pub(super) sync: Sync,
    pub(super) exchanges: Exchanges,
    /// The client that organizations are told with of the key for receipts.
    pub(super) client: watch::Receiver<Client>,
    pub(super) observations: Option<Observations>,
    pub(super) live: Arc<AllLiveStreams>,
    pub(super) tls: Arc<ReloadingServerConfig>,
    pub(super) routes: Routes,
    pub(super) admin: Option<StdListener>,
    pub(super) metrics: Metrics,
    /// The connections that there is room for.
    pub(super) slots: Arc<Semaphore>,
    pub(super) doors: Arc<[OpenDoor]>,
    pub(super) stop: CancellationToken,
}

impl Background {
    pub(super) async fn run(self) {
        let Self {
            shared,
            mut sync,
            mut exchanges,
            client,
            mut observations,
            live,
            tls,
            routes,
            admin,
            metrics,
            slots,
            doors,
            stop,
        } = self;
        if let Some(listener) = admin.and_then(|each| TcpListener::from_std(each).ok()) {
            tokio::spawn(admin::run(listener, Arc::clone(&shared), metrics));
        }
        let live = || LiveReport {
            gateway: shared.id.clone(),
            organizations: live.report(&shared.snapshot.load(), shared.now()),
        };
        let observing = async {
            match &mut observations {
                Some(observations) => observations.run(live).await,
                None => std::future::pending().await,
            }
        };
        let changed = sync.follower.changed.subscribe();
        let registering = registering::run(Arc::clone(&shared), client, changed);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sync.run() => {}
            () = upkeep(&shared, &tls, &routes, &slots) => {}
            () = follow_doors(&shared, &doors) => {}
            () = observing => {}
            () = exchanges.run() => {}
            () = registering => {}
        }
        // No request is under way any more: what is counted and logged now is complete.
        if let Some(observations) = observations {
            observations.finish().await;
        }
        sync.finish().await;
        finish_access_log(&shared);
    }
}

async fn upkeep(shared: &Shared, tls: &ReloadingServerConfig, routes: &Routes, slots: &Semaphore) {
    let mut ticks = interval(UPKEEP);
    let mut looking = None;
    loop {
        ticks.tick().await;
        watch_access_log(shared);
        watch_disk(shared, &mut looking);
        let most = shared.options.limits.connections;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!(CONNECTIONS).set(most.saturating_sub(slots.available_permits()) as f64);
        let now = shared.now();
        // Of unknown age is as old as can be.
        let age = shared.contact.age(now).unwrap_or(now);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_bundle_age_seconds").set(age as f64);
        reload_certificate(shared, tls);
        let routes = Arc::clone(&routes.borrow());
        let tls: Vec<_> = routes.iter().filter_map(CheckedRoute::tls).collect();
        tls.iter().for_each(|tls| reload_upstream_tls(tls));
        let troubles: Vec<String> = tls.iter().filter_map(|tls| tls.trouble()).collect();
        let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
        shared.health.set(Part::UpstreamTls, trouble);
    }
}

/// Reads the files again with which proxies that ask prove themselves.
async fn follow_doors(shared: &Shared, doors: &[OpenDoor]) {
    let mut ticks = interval(UPKEEP);
    loop {
        ticks.tick().await;
        let troubles = doors.iter().filter_map(|open| open.door.reload());
        let troubles: Vec<String> = troubles.collect();
        let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
        shared.health.set(Part::Decisions, trouble);
    }
}

/// Shows how much room there is on the disk of the data directory. A disk may hang, and holds up nothing
/// here.
fn watch_disk(shared: &Shared, looking: &mut Option<JoinHandle<()>>) {
    if looking.as_ref().is_some_and(|look| !look.is_finished()) {
        return;
    }
    let directory = shared.options.data_dir.clone();
    *looking = Some(tokio::task::spawn_blocking(move || {
        if let Ok(disk) = statvfs(&directory) {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            gauge!(DISK_AVAILABLE).set(disk.f_bavail.saturating_mul(disk.f_frsize) as f64);
        }
    }));
}

/// Counts the lines that the access log lost, and says when it cannot be written.
fn watch_access_log(shared: &Shared) {
    let Some(log) = &shared.access_log else {
        return;
    };
    let Progress {
        lost,
        trouble,
        waiting,
    } = log.progress();
    counter!(LINES_LOST).increment(lost);
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!(LINES_WAITING).set(waiting as f64);
    if shared.health.set(Part::AccessLog, trouble.clone()) {
        match trouble {
            Some(error) => tracing::error!(
                error,
                "cannot write the access log: lines wait, and are lost once 4 MiB do"
            ),
            None => tracing::info!("the access log is written again"),
        }
    }
}

/// Writes what of the access log waits, and says how much of it is lost.
fn finish_access_log(shared: &Shared) {
    let Some(log) = &shared.access_log else {
        return;
    };
    let Progress { lost, trouble, .. } = log.finish();
    counter!(LINES_LOST).increment(lost);
    if lost > 0 {
        let why = trouble.as_deref();
        tracing::error!(lost, why, "lines of the access log are lost");
    }
}

/// Reads the server certificate again if its files changed.
pub(super) fn reload_certificate(shared: &Shared, tls: &ReloadingServerConfig) {
    match tls.reload_if_changed() {
        Ok(false) => {}
        Ok(true) => {
            show_server_certificate(&shared.options);
            tracing::info!("server certificate reloaded");
        }
        Err(error) => {
            tracing::error!(%error, "cannot reload the server certificate; the old one stays in use");
        }
    }
    shared.health.set(Part::ServerCertificate, tls.trouble());
}

/// The errors name their file, and so the route.
fn reload_upstream_tls(tls: &ReloadingClientConfig) {
    match tls.reload_if_changed() {
        Ok(false) => {}
        Ok(true) => tracing::info!(?tls, "files for TLS to an upstream reloaded"),
        Err(error) => {
            tracing::error!(%error, "cannot reload the files for TLS to an upstream; the old ones stay in use");
        }
    }
}
