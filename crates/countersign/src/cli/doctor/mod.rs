//! `countersign doctor`: checks everything that a command or a server on this machine relies on.

mod anchors;
mod check;
mod gateway;
mod likely;
mod machine;
mod server;

use std::path::PathBuf;

use clap::Args;

use self::check::{Check, Status};
use super::api::{ApiOptions, block_on};
use crate::{
    database::DatabaseOptions,
    failure::{CommandResult, Failure},
    output::Output,
};

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    api: ApiOptions,
    #[command(flatten)]
    database: DatabaseOptions,
    /// Check the gateway of this configuration file too [env: COUNTERSIGN_GATEWAY_CONFIG] [default: gateway.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    gateway_config: Option<PathBuf>,
}

impl Doctor {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let mut checks = machine::checks(&self.database);
        checks.extend(machine::client_certificate(&self.api));
        checks.extend(gateway::checks(self.gateway_config.as_deref()));
        checks.extend(server::environment(&self.api));
        match self.api.impatient_client() {
            Ok(client) => checks.extend(block_on(async {
                Ok(server::checks(&self.api, &client).await)
            })?),
            Err(failure) => checks.push(Check::failed("client", &failure)),
        }
        if output.is_table() {
            let lines: String = checks.iter().map(Check::line).collect();
            output.text(&lines)?;
        } else {
            output.value(&checks)?;
        }
        match checks
            .iter()
            .filter(|each| each.status == Status::Fail)
            .count()
        {
            0 => Ok(()),
            1 => Err(Failure::new("1 check failed")),
            failed => Err(Failure::new(format_args!("{failed} checks failed"))),
        }
    }
}
