//! `countersign doctor`: checks everything that a command or a server on this machine relies on.

mod anchors;
mod check;
mod machine;
mod server;

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
}

/// How a client is configured.
const CLIENT_HINT: &str =
    "`OPENAI_BASE_URL` and `OPENAI_ADMIN_KEY` give the server's URL and the admin key";

impl Doctor {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let mut checks = machine::checks(&self.database);
        checks.extend(machine::client_certificate(&self.api));
        checks.extend(server::environment(&self.api));
        match self.api.impatient_client() {
            Ok(client) => checks.extend(block_on(async { Ok(server::checks(&client).await) })?),
            Err(failure) => checks.push(Check::fail("client", failure.message(), CLIENT_HINT)),
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
