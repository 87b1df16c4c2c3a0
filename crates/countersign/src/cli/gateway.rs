//! `countersign gateway`: runs the door; `countersign gateway status` says which gateways enforce
//! what.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use countersign_gateway::{Gateway as Door, options::GatewayOptions};
use countersign_server::{metrics, store::Sources};
use countersign_types::bundle;
use serde::Serialize;
use tracing::level_filters::LevelFilter;

use crate::{
    cli::api::{ApiOptions, block_on},
    clock,
    failure::{Doing, Failure, Outcome},
    logs,
    output::{Output, Row, moment},
    signals::Signals,
};

/// Run a gateway, or ask which gateways enforce what
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Gateway {
    #[command(subcommand)]
    command: Option<Command>,
    /// The gateway's configuration, TOML
    #[arg(
        long,
        value_name = "FILE",
        env = "COUNTERSIGN_GATEWAY_CONFIG",
        default_value = "gateway.toml"
    )]
    config: PathBuf,
    /// Write the log as JSON
    #[arg(long)]
    json_log: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the gateways that are alive, and whether each enforces the latest change
    Status {
        #[command(flatten)]
        api: ApiOptions,
    },
}

/// A gateway as the list shows it.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    gateway: bundle::Gateway,
    /// Whether it enforces the deployment's latest change.
    current: bool,
}

impl Row for Listed {
    const HEAD: &'static [&'static str] = &["id", "name", "revision", "current", "seen"];

    fn cells(&self) -> Vec<String> {
        let Self { gateway, current } = self;
        vec![
            gateway.id.to_string(),
            gateway.name.clone(),
            gateway.revision.to_string(),
            if *current { "yes" } else { "no" }.to_owned(),
            moment(gateway.seen_at),
        ]
    }
}

impl Gateway {
    pub(crate) fn run(self, output: Output) -> Outcome {
        match self.command {
            Some(Command::Status { api }) => status(&api, output),
            None => serve(&self.config, self.json_log),
        }
    }
}

fn status(api: &ApiOptions, output: Output) -> Outcome {
    let client = api.client()?;
    let known = block_on(async { Ok(client.countersign().gateways().await?.value) })?;
    let listed: Vec<Listed> = known
        .gateways
        .into_iter()
        .map(|gateway| Listed {
            current: gateway.revision >= known.revision,
            gateway,
        })
        .collect();
    output.list(&listed)
}

fn serve(config: &Path, json_log: bool) -> Outcome {
    let options = read_options(config)?;
    logs::start_with(LevelFilter::INFO, json_log)?;
    let door = start(options)?;
    tracing::info!(address = %door.address(), operator = ?door.admin_address(), "the gateway listens");
    block_on(async {
        Signals::listen()?.ended().await;
        Ok(())
    })?;
    tracing::info!("stopping: requests under way may end");
    door.stop();
    Ok(())
}

fn read_options(path: &Path) -> Outcome<GatewayOptions> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format_args!("cannot read `{shown}`: {error}"))
            .hint("`--config FILE` names the gateway's configuration; docs/gateway.md shows one")
    })?;
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format_args!(
            "`{shown}` cannot be used: {}",
            error.to_string().trim()
        ))
    })
}

/// Starts a gateway with this process's clock, randomness and figures.
pub(crate) fn start(options: GatewayOptions) -> Outcome<Door> {
    let figures = metrics::install().doing("keep figures")?;
    let mut drawn = [[0; 16]; 2];
    (Sources::system().random)(drawn.as_flattened_mut())?;
    let random = drawn.map(u128::from_le_bytes);
    let render = Arc::new(move || figures.render());
    Door::start(options, Arc::new(clock::unix_seconds), random, render).map_err(Failure::new)
}
