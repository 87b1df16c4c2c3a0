//! A serving thread.

use std::{net::TcpListener as StdListener, sync::Arc};

use countersign_tls::ReloadingServerConfig;
use futures_util::future::{join, join_all};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::health::HEARTBEAT;
use crate::{
    accepting::listener::Acceptor,
    decisions::{self, door::OpenDoor},
    forwarding::routes::CheckedRoute,
    frontend::Frontend,
    live::{all::AllLiveStreams, recheck::Recheck, stream::LiveStreams},
    shared::Shared,
};

/// The routes in use, as they were last configured. The last one is the control plane's.
pub(super) type Routes = watch::Receiver<Arc<Vec<CheckedRoute>>>;

/// One serving thread.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) listener: StdListener,
    pub(super) routes: Routes,
    pub(super) shared: Arc<Shared>,
    /// Where the streams of all threads are counted.
    pub(super) live: Arc<AllLiveStreams>,
    pub(super) tls: Arc<ReloadingServerConfig>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) doors: Arc<[OpenDoor]>,
    pub(super) changed: watch::Receiver<u64>,
    pub(super) stop: CancellationToken,
}

impl Worker {
    pub(super) async fn run(self) {
        let Ok(listener) = TcpListener::from_std(self.listener) else {
            return;
        };
        let live = Arc::new(LiveStreams::logged_by(Arc::clone(&self.shared)));
        self.live.add(&live);
        let shared = Arc::clone(&self.shared);
        let recheck = Recheck::new(shared, Arc::clone(&live), self.number, self.changed);
        let shared = Arc::clone(&self.shared);
        let frontend = |routes: &[CheckedRoute]| {
            let (control_plane, routes) = routes.split_last()?;
            let upstreams = &shared.durations.upstreams;
            Some(Arc::new(Frontend {
                thread: self.number,
                shared: Arc::clone(&shared),
                live: Arc::clone(&live),
                routes: routes
                    .iter()
                    .map(|route| route.forwarder(upstreams))
                    .collect(),
                control_plane: control_plane.forwarder(upstreams),
            }))
        };
        let mut routes = self.routes;
        let first = Arc::clone(&routes.borrow_and_update());
        let Some(first) = frontend(&first) else {
            return;
        };
        let deciding = decide(&self.doors, self.number, &self.shared, &self.stop);
        let acceptor = Acceptor::new(first, self.tls, self.slots, self.stop);
        let follow = async {
            // An error means that the gateway stops.
            while routes.changed().await.is_ok() {
                let latest = Arc::clone(&routes.borrow_and_update());
                if let Some(frontend) = frontend(&latest) {
                    acceptor.replace(frontend);
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = recheck.run() => {}
            _ = join(Arc::clone(&acceptor).run(listener), deciding) => {}
            () = follow => {}
            () = beat(&self.shared, self.number) => {}
        }
    }
}

/// Serves the proxies that ask for verdicts, until told to stop.
fn decide(
    doors: &[OpenDoor],
    thread: usize,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let serving = doors.iter().filter_map(|open| {
        let socket = open.socket.try_clone();
        let socket = socket.inspect_err(|error| tracing::error!(%error, "cannot serve decisions"));
        let (shared, door) = (Arc::clone(shared), Arc::clone(&open.door));
        Some(decisions::serve(
            shared,
            thread,
            door,
            socket.ok()?,
            stop.clone(),
        ))
    });
    let serving = join_all(serving.collect::<Vec<_>>());
    async move {
        serving.await;
    }
}

/// Shows that this thread moves.
async fn beat(shared: &Shared, thread: usize) {
    let mut ticks = interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        shared.health.beat(thread);
    }
}
