//! The gateway as a role of this binary.

pub(crate) mod file;

use std::{path::Path, sync::Arc};

use countersign_gateway::{Gateway, StartError, options::GatewayOptions};
use countersign_server::{metrics, store::Sources};
use tracing::level_filters::LevelFilter;

use crate::{
    base_url::likely_base_url,
    clock,
    config::secret_file,
    failure::{CommandResult, Doing, Failure},
    logs,
    output::note,
    serve::{cannot_listen, tls_failure},
    signals,
};

/// Runs a gateway until a signal stops it.
pub(crate) fn run(config: &Path, json_log: bool) -> CommandResult {
    let options = file::read(config)?;
    // For its message alone: the gateway reads it itself.
    secret_file(&options.key_file)?;
    if let Some(likely) = likely_base_url(&options.control_plane) {
        note(&format!(
            "warning: `control_plane` is `{}`; should it be `{likely}`?",
            options.control_plane
        ));
    }
    logs::start_with(LevelFilter::INFO, json_log)?;
    let gateway = start(options)?;
    tracing::info!(address = %gateway.address(), admin = ?gateway.admin_address(), "gateway listening");
    signals::wait_for_end()?;
    tracing::info!("stopping; open requests may finish");
    gateway.stop();
    Ok(())
}

/// Starts a gateway with this process's clock, randomness and metrics.
pub(crate) fn start(options: GatewayOptions) -> CommandResult<Gateway> {
    // Installed before the gateway starts: measurements before it exists are lost.
    let recorder = metrics::install().doing("set up metrics")?;
    let mut drawn = [[0; 16]; 2];
    (Sources::system().random)(drawn.as_flattened_mut())?;
    let random = drawn.map(u128::from_le_bytes);
    let render = Arc::new(move || recorder.render());
    let started = Gateway::start(options, Arc::new(clock::unix_seconds), random, render);
    started.map_err(cannot_start)
}

/// Why a gateway does not start, and what to do.
fn cannot_start(error: StartError) -> Failure {
    match error {
        StartError::Tls(error) => tls_failure(&error),
        StartError::Listen { address, error } => cannot_listen(
            address,
            "listen` or `admin_listen` in `gateway.toml",
            &error,
        ),
        StartError::Client(error) => error.into(),
        StartError::Options(ref why) if why.contains("relative URL") => Failure::usage(&error)
            .hint("write the URL with its scheme, such as `http://127.0.0.1:8000`"),
        StartError::Options(_) => Failure::usage(&error)
            .hint("docs/gateway-settings.md describes every setting of `gateway.toml`"),
        other => Failure::new(other),
    }
}
