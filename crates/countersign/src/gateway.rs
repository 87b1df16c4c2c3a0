//! The gateway as a role of this binary.

use std::{fs, path::Path, sync::Arc};

use countersign_gateway::{Gateway, options::GatewayOptions};
use countersign_server::{metrics, store::Sources};
use tracing::level_filters::LevelFilter;

use crate::{
    clock,
    failure::{CommandResult, Doing, Failure},
    logs, signals,
};

/// Runs a gateway until a signal stops it.
pub(crate) fn run(config: &Path, json_log: bool) -> CommandResult {
    let options = read_options(config)?;
    logs::start_with(LevelFilter::INFO, json_log)?;
    let gateway = start(options)?;
    tracing::info!(address = %gateway.address(), admin = ?gateway.admin_address(), "gateway listening");
    signals::wait_for_end()?;
    tracing::info!("stopping; open requests may finish");
    gateway.stop();
    Ok(())
}

fn read_options(path: &Path) -> CommandResult<GatewayOptions> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format_args!("cannot read `{shown}`: {error}")).hint(
            "give the gateway's configuration file with `--config`; docs/gateway.md shows one",
        )
    })?;
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format_args!(
            "`{shown}` cannot be used: {}",
            error.to_string().trim()
        ))
    })
}

/// Starts a gateway with this process's clock, randomness and metrics.
pub(crate) fn start(options: GatewayOptions) -> CommandResult<Gateway> {
    // Installed before the gateway starts: measurements before it exists are lost.
    let recorder = metrics::install().doing("set up metrics")?;
    let mut drawn = [[0; 16]; 2];
    (Sources::system().random)(drawn.as_flattened_mut())?;
    let random = drawn.map(u128::from_le_bytes);
    let render = Arc::new(move || recorder.render());
    Gateway::start(options, Arc::new(clock::unix_seconds), random, render).map_err(Failure::new)
}
