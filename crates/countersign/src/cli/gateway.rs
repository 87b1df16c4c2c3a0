//! `countersign gateway`: runs a gateway; `countersign gateway status` shows which gateways enforce
//! the latest change.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_types::bundle;
use serde::Serialize;

use crate::{
    cli::api::{ApiOptions, block_on},
    failure::CommandResult,
    gateway,
    output::{Output, Row, timestamp},
};

/// Run a gateway, or list the gateways and what they enforce
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Gateway {
    #[command(subcommand)]
    command: Option<Command>,
    /// The gateway's configuration file, TOML
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
    /// List the live gateways and whether each enforces the latest change
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
            timestamp(gateway.seen_at),
        ]
    }
}

impl Gateway {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        match self.command {
            Some(Command::Status { api }) => status(&api, output),
            None => gateway::run(&self.config, self.json_log),
        }
    }
}

fn status(api: &ApiOptions, output: Output) -> CommandResult {
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
