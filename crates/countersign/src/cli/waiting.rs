//! `--wait`: returns once every live gateway enforces a change, or names those that do not.

use std::time::Duration;

use clap::Args;
use countersign_client::Client;
use countersign_types::bundle::Gateways;
use tokio::time::{Instant, sleep};

use crate::{
    failure::{Failure, Outcome},
    output::note,
};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether to wait for the gateways.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Return once every live gateway enforces the change; fail and name those that do not
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "wait")]
    wait_seconds: u64,
}

impl Wait {
    /// Waits for a change, if that was asked for.
    pub(super) async fn for_gateways(&self, client: &Client, revision: Option<u64>) -> Outcome {
        if !self.wait {
            return Ok(());
        }
        let revision = revision.ok_or_else(|| {
            Failure::new("this server does not number its changes, so `--wait` cannot be sure")
                .hint("`--wait` needs a Countersign server; the change itself was made")
        })?;
        let end = Instant::now() + Duration::from_secs(self.wait_seconds);
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
                    "the change is made, but not enforced by: {}",
                    behind.join(", ")
                ))
                .hint("`countersign gateway status` says when each was last heard of"));
            }
            sleep(PAUSE).await;
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
