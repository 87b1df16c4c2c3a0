//! `countersign doctor`: everything that a command or a server here relies on, looked at once.

mod machine;
mod server;

use clap::Args;
use serde::Serialize;

use super::api::{ApiOptions, block_on};
use crate::{
    failure::{Failure, Outcome},
    output::{Output, printable},
    serve::StoreOptions,
};

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    api: ApiOptions,
    #[command(flatten)]
    store: StoreOptions,
}

/// What describes a client.
const DESCRIBE: &str = "`OPENAI_BASE_URL` and `OPENAI_ADMIN_KEY` say where to call and as whom";

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    status: Status,
    check: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            check,
            detail: detail.into(),
            hint: None,
        }
    }

    fn warn(check: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            status: Status::Warn,
            hint: Some(hint.to_owned()),
            ..Self::ok(check, detail)
        }
    }

    fn fail(check: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            status: Status::Fail,
            ..Self::warn(check, detail, hint)
        }
    }

    fn failed(check: &'static str, failure: &Failure) -> Self {
        Self {
            status: Status::Fail,
            hint: failure.advice().map(str::to_owned),
            ..Self::ok(check, failure.message())
        }
    }

    fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        let mut line = format!("{status}  {}: {}\n", self.check, printable(&self.detail));
        if let Some(hint) = &self.hint {
            line += &format!("      hint: {}\n", printable(hint));
        }
        line
    }
}

impl Doctor {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let mut checks = machine::checks(&self.store);
        checks.extend(machine::client_certificate(&self.api));
        checks.extend(server::environment(&self.api));
        match self.api.impatient_client() {
            Ok(client) => checks.extend(block_on(async { Ok(server::checks(&client).await) })?),
            Err(failure) => checks.push(Check::fail("client", failure.message(), DESCRIBE)),
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
