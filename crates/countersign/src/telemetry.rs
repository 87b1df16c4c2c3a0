//! Telemetry by OTLP, where OpenTelemetry's environment variables ask for it (docs/telemetry.md).

use std::sync::Arc;

use countersign_otlp::{Figures, Service, Settings};
use countersign_server::store::Sources;
use countersign_trace::Spans;

use crate::{clock, config::process_env};

/// What is sent, if anything is. A collector that cannot be used is no reason not to serve: the log says so.
pub(crate) struct Telemetry(Option<countersign_otlp::Telemetry>);

impl Telemetry {
    /// Starts sending what the environment asks for, under this name unless that has another.
    pub(crate) fn start(name: &str) -> Self {
        let mut random = [0; 16];
        if let Err(error) = (Sources::system().random)(&mut random) {
            tracing::error!(%error, "no telemetry is sent");
            return Self(None);
        }
        let service = Service {
            name,
            version: env!("CARGO_PKG_VERSION"),
            instance: &format!("{:032x}", u128::from_be_bytes(random)),
        };
        let settings = match Settings::from_env(&process_env, service) {
            Ok(Some(settings)) => settings,
            Ok(None) => return Self(None),
            Err(error) => {
                tracing::error!(%error, "no telemetry is sent");
                return Self(None);
            }
        };
        let started =
            countersign_otlp::Telemetry::start(settings, Arc::new(clock::unix_nanoseconds));
        if let Err(error) = &started {
            tracing::error!(%error, "no telemetry is sent");
        }
        Self(started.ok())
    }

    /// Whether anything is sent.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Where spans go, if any are wanted.
    pub(crate) fn spans(&self) -> Option<Arc<Spans>> {
        self.0.as_ref()?.spans()
    }

    /// Sends these metrics from now on.
    pub(crate) fn send_figures(&mut self, figures: Figures) {
        if let Some(telemetry) = &mut self.0 {
            telemetry.send_figures(figures);
        }
    }

    /// Sends what waits, for as long as a stop may take.
    pub(crate) fn finish(self) {
        if let Some(telemetry) = self.0 {
            telemetry.finish();
        }
    }
}
