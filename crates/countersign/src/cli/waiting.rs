//! `--wait`: returns once every live gateway enforces a change, or names those that do not.

use std::time::Duration;

use clap::Args;
use countersign_client::Client;
use countersign_types::bundle::Gateways;
use tokio::time::{Instant, sleep};

use super::parse::duration;
use crate::{
    failure::{CommandResult, Failure},
    output::note,
};

/// How often the gateways' state is read.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether to wait for the gateways.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Return once every live gateway enforces the change; otherwise fail and name those that do not
    #[arg(long)]
    wait: bool,
    /// How long to wait, such as `90s`
    #[arg(long, alias = "wait-seconds", value_name = "DURATION", default_value = "30s", requires = "wait", value_parser = duration)]
    wait_timeout: Duration,
}

impl Wait {
    /// Waits for a change, if that was asked for.
    pub(super) async fn for_gateways(
        &self,
        client: &Client,
        revision: Option<u64>,
    ) -> CommandResult {
        if !self.wait {
            return Ok(());
        }
        let revision = revision.ok_or_else(|| {
            Failure::new("the change was made, but this server does not number its changes, so `--wait` cannot work")
                .hint("`--wait` needs a Countersign server")
        })?;
        let end = Instant::now() + self.wait_timeout;
        // A gateway that connects meanwhile is waited for too: the list is read anew each time.
        loop {
            let known = client.countersign().gateways().await?.value;
            let behind = behind(&known, revision);
            if behind.is_empty() {
                note(&format!(
                    "revision {revision} is in force; live gateways: {}",
                    known.gateways.len()
                ));
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Failure::new(format_args!(
                    "the change was made, but is not enforced yet by: {}",
                    behind.join(", ")
                ))
                .hint("run `countersign gateway status` to see when each was last in contact"));
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

fn behind(known: &Gateways, revision: u64) -> Vec<String> {
    let late = known
        .gateways
        .iter()
        .filter(|gateway| gateway.revision < revision);
    late.map(|gateway| format!("{} ({})", gateway.name, gateway.id))
        .collect()
}
