//! What an operator asks of a running gateway: to reload, to open its log again, to leave.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_client::Client;
use countersign_tls::ReloadingServerConfig;
use metrics::gauge;
use tokio::sync::watch;

use super::{
    background::reload_certificate,
    configured::{client, first_receipts, routes, server_tls},
    health::Part,
    start_error::StartError,
};
use crate::{
    forwarding::routes::CheckedRoute, options::GatewayOptions, receipts::giving::Receipts,
    shared::Shared,
};

const SUCCESSFUL: &str = "countersign_gateway_last_reload_successful";

/// What an operator asks of a running gateway. Files are read and opened here, which may take as long as
/// it likes where they are on a network or are pipes: do it where nothing waits for it.
#[derive(Debug, Clone)]
pub struct GatewayControl {
    shared: Arc<Shared>,
    tls: Arc<ReloadingServerConfig>,
    routes: watch::Sender<Arc<Vec<CheckedRoute>>>,
    client: watch::Sender<Client>,
    /// Held by the reload that is under way.
    reloading: Arc<Mutex<()>>,
}

impl GatewayControl {
    pub(super) fn new(
        shared: Arc<Shared>,
        tls: Arc<ReloadingServerConfig>,
        routes: watch::Sender<Arc<Vec<CheckedRoute>>>,
        client: watch::Sender<Client>,
    ) -> Self {
        gauge!(SUCCESSFUL).set(1.0);
        Self {
            shared,
            tls,
            routes,
            client,
            reloading: Arc::default(),
        }
    }

    /// Takes up what an operator has changed: the routes of this configuration, with the first receipts that are
    /// asked for, the gateway's key and the CA of the control plane, or why it could not be read; the server certificate; and the access log,
    /// which is opened again. What cannot be used leaves the old in use, and says so in the log, in a metric
    /// and at `/readyz`. Whether the configuration is used.
    pub fn reload(&self, options: Result<GatewayOptions, String>) -> bool {
        let _one_at_a_time = self.reloading.lock();
        let reopened = self.reopen_access_log();
        reload_certificate(&self.shared, &self.tls);
        let trouble = options.and_then(|options| {
            let checked = Checked::of(&self.shared, options);
            let checked = checked.map_err(|error| error.to_string())?;
            let Checked {
                routes,
                client,
                receipts,
            } = checked;
            if let Some(receipts) = receipts {
                // It is not set yet: of reloads there is one at a time.
                let _ = self.shared.receipts.set(receipts);
            }
            self.set_routes(routes);
            self.client.send_replace(client);
            Ok(())
        });
        let trouble = trouble.err();
        match &trouble {
            None => tracing::info!("configuration reloaded"),
            Some(error) => {
                tracing::error!(
                    error,
                    "cannot reload the configuration; the old one stays in use"
                );
            }
        }
        let successful = reopened && trouble.is_none() && self.tls.trouble().is_none();
        gauge!(SUCCESSFUL).set(if successful { 1.0 } else { 0.0 });
        let is_used = trouble.is_none();
        self.shared.health.set(Part::Configuration, trouble);
        is_used
    }

    /// Opens the access log again by its name, for whoever moved it away; whether it could be.
    pub fn reopen_access_log(&self) -> bool {
        let Some(log) = &self.shared.access_log else {
            return true;
        };
        let trouble = log.reopen().err().map(|error| error.to_string());
        match &trouble {
            None => tracing::info!("access log opened again"),
            Some(error) => {
                tracing::error!(
                    error,
                    "cannot open the access log again; the old file stays in use"
                );
            }
        }
        let is_open = trouble.is_none();
        self.shared.health.set(Part::Reopening, trouble);
        is_open
    }

    /// The metrics that are counted here and not by the recorder, in Prometheus's format.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.shared.metrics_text()
    }

    /// Whether every serving thread moves.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.shared.health.stuck().is_none()
    }

    /// Says at `/readyz` that it stops. Returns how long to let it serve on.
    pub(super) fn leave(&self) -> Duration {
        self.shared.health.stop();
        self.shared.options.limits.drain_delay
    }

    /// Connections to upstreams end when the routes change, so they do not where nothing did.
    fn set_routes(&self, latest: Vec<CheckedRoute>) {
        let is_same = {
            let known = self.routes.borrow();
            let mut both = known.iter().zip(&latest);
            known.len() == latest.len() && both.all(|(known, latest)| known.is_as(latest))
        };
        if !is_same {
            self.routes.send_replace(Arc::new(latest));
        }
    }
}

/// What of a configuration can change while a gateway runs.
struct Checked {
    routes: Vec<CheckedRoute>,
    client: Client,
    /// What gives receipts, where these are the first that are asked for.
    receipts: Option<Receipts>,
}

impl Checked {
    /// Of a configuration that a gateway could start with.
    fn of(shared: &Shared, options: GatewayOptions) -> Result<Self, StartError> {
        server_tls(&options)?;
        client(&options)?;
        let next = GatewayOptions {
            routes: options.routes,
            key_file: options.key_file,
            control_plane_ca: options.control_plane_ca,
            ..shared.options.clone()
        };
        Ok(Self {
            routes: routes(&next)?,
            client: client(&next)?,
            // Last: it may make a key, and of a configuration that is refused nothing stays.
            receipts: first_receipts(shared, &next)?,
        })
    }
}
