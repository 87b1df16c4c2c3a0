//! A serving thread.

use std::{net::TcpListener as StdListener, sync::Arc};

use countersign_tls::ReloadingServerConfig;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    accepting::listener::Acceptor,
    forwarding::routes::CheckedRoute,
    frontend::Frontend,
    live::{recheck::Recheck, stream::LiveStreams},
    shared::Shared,
};

/// One serving thread.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) listener: StdListener,
    /// The last one is the control plane's.
    pub(super) routes: Vec<CheckedRoute>,
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Arc<ReloadingServerConfig>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) changed: watch::Receiver<u64>,
    pub(super) stop: CancellationToken,
}

impl Worker {
    pub(super) async fn run(self) {
        let Ok(listener) = TcpListener::from_std(self.listener) else {
            return;
        };
        let mut routes: Vec<_> = self.routes.iter().map(CheckedRoute::forwarder).collect();
        let Some(control_plane) = routes.pop() else {
            return;
        };
        let live = Arc::new(LiveStreams::logged_by(Arc::clone(&self.shared)));
        let shared = Arc::clone(&self.shared);
        let recheck = Recheck::new(shared, Arc::clone(&live), self.number, self.changed);
        let frontend = Arc::new(Frontend {
            thread: self.number,
            shared: self.shared,
            live,
            routes,
            control_plane,
        });
        let acceptor = Acceptor::new(frontend, self.tls, self.slots, self.stop);
        tokio::select! {
            () = recheck.run() => {}
            () = acceptor.run(listener) => {}
        }
    }
}
