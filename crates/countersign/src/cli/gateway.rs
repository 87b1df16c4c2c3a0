//! `countersign gateway`: runs a gateway; its verbs show which gateways enforce the latest change,
//! and take one from the list.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_client::{Client, Received};
use countersign_types::{
    bundle::{self, GatewayState},
    error::ErrorCode,
    id::GatewayId,
};
use serde::Serialize;

use crate::{
    cli::{
        api::{ApiOptions, block_on},
        preview,
        reference::{Entry, Listing, Reference},
    },
    config::LogFlags,
    failure::{CommandResult, Failure},
    gateway,
    output::{Cell, Output, Row, Tone, moment, note, row, text_or_dash},
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
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the gateways, missing ones too, and whether each enforces the latest change
    Status {
        /// File that holds a gateway key: shows names and the deployment's revision whoever else uses the server
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        #[command(flatten)]
        api: ApiOptions,
    },
    /// Remove a gateway that is gone for good from the list, so that nothing waits for it
    Forget {
        /// The gateway's id or its name
        #[arg(value_name = "ID|NAME")]
        gateway: Reference<GatewayId>,
        /// File that holds a gateway key
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
        #[command(flatten)]
        api: ApiOptions,
    },
}

/// A gateway as the list shows it.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    gateway: Received<bundle::Gateway>,
    /// Whether it enforces the latest change, durably.
    current: bool,
}

/// What is said of gateways without a name.
pub(super) const NAMELESS: &str = "gateways' names are shown only to a gateway key where a server has several organizations: `countersign gateway status --key-file FILE`";

/// A gateway's name, where this key may know it.
pub(super) fn name(gateway: &bundle::Gateway) -> String {
    text_or_dash(Some(gateway.name.as_str()).filter(|name| !name.is_empty()))
}

fn state(gateway: &bundle::Gateway) -> Cell {
    let tone = match gateway.state.known() {
        Some(GatewayState::Live) => Tone::Good,
        Some(GatewayState::Missing) => Tone::Bad,
        None => Tone::Warning,
    };
    Cell::State(tone, gateway.state.to_string())
}

impl Row for Listed {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "revision",
        "current",
        "state",
        "durable",
        "passes over",
        "seen",
    ];

    fn cells(&self) -> Vec<Cell> {
        let Self { gateway, current } = self;
        let yes_or_no = |truth| {
            let (tone, word) = if truth {
                (Tone::Good, "yes")
            } else {
                (Tone::Warning, "no")
            };
            Cell::State(tone, word.to_owned())
        };
        row![
            name(gateway),
            gateway.id.to_string(),
            gateway.revision.to_string(),
            yes_or_no(*current),
            state(gateway),
            yes_or_no(gateway.durable),
            preview::passed_over(&gateway.lacks).unwrap_or_else(|| "-".to_owned()),
            moment(gateway.seen_at),
        ]
    }
}

/// What was taken from the list.
#[derive(Serialize)]
struct Forgotten {
    id: GatewayId,
    deleted: bool,
}

impl Row for Forgotten {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}

impl Gateway {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        match self.command {
            Some(Command::Status { key_file, api }) => {
                let client = match key_file {
                    Some(file) => api.client_with_key(&file)?,
                    None => api.client()?,
                };
                status(&client, output)
            }
            Some(Command::Forget {
                gateway,
                key_file,
                api,
            }) => {
                let client = api.client_with_key(&key_file)?;
                let forgotten = block_on(forget(&client, &gateway))?;
                output.one(&forgotten)
            }
            None => gateway::run(&self.config, self.log),
        }
    }
}

fn status(client: &Client, output: Output) -> CommandResult {
    let known = block_on(async { Ok(client.countersign().gateways().await?.value) })?;
    let listed: Vec<Listed> = known
        .gateways
        .into_iter()
        .map(|gateway| Listed {
            current: !gateway.is_pending(known.revision),
            gateway,
        })
        .collect();
    output.list_of("gateways", &listed)?;
    if output.is_table() && listed.iter().any(|each| each.gateway.name.is_empty()) {
        note(NAMELESS);
    }
    Ok(())
}

async fn forget(client: &Client, named: &Reference<GatewayId>) -> CommandResult<Forgotten> {
    let known = client.countersign().gateways().await?.value.gateways;
    let entries = known
        .iter()
        .map(|each| Entry::new(each.id.clone(), Some(each.name.clone())));
    let id = named.among(&Listing::All(entries.collect()))?;
    let gateway = known.iter().find(|each| each.id == id).ok_or_else(|| {
        Failure::new(format_args!("no gateway `{named}` is listed"))
            .hint("run `countersign gateway status` to see those that are")
    })?;
    let forgotten = client.countersign().forget_gateway(&gateway.id).await;
    forgotten.map_err(|error| match error.code() {
        Some(ErrorCode::InvalidApiKey) => Failure::new(&error)
            .hint("`--key-file` takes a gateway key, as `countersign gateway-key create` makes it"),
        _ => Failure::from(error),
    })?;
    if gateway.state == GatewayState::Live {
        note("it was in contact lately: if it still runs, it will be listed again");
    }
    Ok(Forgotten {
        id: gateway.id.clone(),
        deleted: true,
    })
}
