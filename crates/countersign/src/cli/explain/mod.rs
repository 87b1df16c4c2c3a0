//! `countersign explain`: why a gateway refused a request; without a request's id, the latest
//! refusals.

mod latest;

use clap::Args;
use countersign_types::id::RequestId;
use serde_json::Value;

use self::latest::Latest;
use crate::{
    cli::{
        admin_listener,
        api::{ApiOptions, block_on},
        parse::count,
    },
    failure::{CommandResult, Failure},
    output::{Output, note, printable},
};

/// Explain why a gateway refused a request: every trust anchor that was tried, and what to do
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The request id from the refusal, `req_...` [default: list the latest refusals]
    request_id: Option<String>,
    /// Explain the latest refusal
    #[arg(long, conflicts_with_all = ["request_id", "follow"])]
    last: bool,
    /// Keep printing refusals as they come, until interrupted
    #[arg(long, conflicts_with = "request_id")]
    follow: bool,
    /// How many refusals to list
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with_all = ["request_id", "last"], allow_negative_numbers = true, value_parser = count)]
    limit: u32,
    /// URL of a gateway's admin listener; may be repeated, or a list with commas
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_GATEWAY_ADMIN_URL",
        default_value = "http://127.0.0.1:9090",
        value_delimiter = ','
    )]
    gateway_admin: Vec<String>,
    #[command(flatten)]
    api: ApiOptions,
}

impl Explain {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        if let Some(id) = &self.request_id {
            id.parse::<RequestId>().map_err(Failure::usage)?;
            return block_on(self.one(id, output));
        }
        // Without a key there are still the gateways.
        let latest = Latest::new(self.api.client_if_key(), &self.gateway_admin);
        if self.follow {
            return block_on(latest.follow(output));
        }
        if self.last {
            return block_on(self.last(&latest, output));
        }
        block_on(async {
            let found = latest.newest(self.limit).await?;
            output.list(&found.refused)?;
            found.remark();
            Ok(())
        })
    }

    async fn last(&self, latest: &Latest<'_>, output: Output) -> CommandResult {
        let found = latest.newest(1).await?;
        let Some(newest) = found.refused.first() else {
            return Err(Failure::new(found.nothing()));
        };
        if let Some(id) = newest.request_id() {
            return self.one(id, output).await;
        }
        output.one(newest)?;
        note(found.not_remembered());
        Ok(())
    }

    /// Explains one refusal, from the gateway that remembers it.
    async fn one(&self, id: &str, output: Output) -> CommandResult {
        let path = format!("/denials/{id}");
        let mut unreachable = None;
        for gateway in &self.gateway_admin {
            match admin_listener::get(gateway, &path).await {
                Ok(Some(explanation)) if output.is_table() => {
                    return output.text(&as_text(&explanation));
                }
                Ok(Some(explanation)) => return output.value(&explanation),
                Ok(None) => {}
                Err(failure) => unreachable = Some(failure),
            }
        }
        if let Some(failure) = unreachable {
            return Err(failure);
        }
        Err(Failure::new(format_args!(
            "the gateway has no record of `{}`",
            printable(id)
        ))
        .hint(
            "a gateway keeps its latest 2,048 refusals until it restarts; ask the one that answered with `--gateway-admin URL`; `countersign explain` lists what all gateways refused",
        ))
    }
}

fn as_text(explanation: &Value) -> String {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(printable);
    let mut lines = String::new();
    for name in [
        "request_id",
        "code",
        "reason",
        "organization",
        "project",
        "key",
        "leaf_sha256",
    ] {
        if let Some(value) = text(explanation, name) {
            lines += &format!("{name:<13} {value}\n");
        }
    }
    let report_only = explanation.get("report_only");
    if report_only.and_then(Value::as_bool) == Some(true) {
        lines += "the request passed; report-only trust anchors would have refused it\n";
    }
    let findings = explanation.get("trace").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        let anchor = text(finding, "anchor").unwrap_or_else(|| "any trust anchor".to_owned());
        let message = text(finding, "message").unwrap_or_default();
        let fix = text(finding, "fix").unwrap_or_default();
        lines += &format!("  {anchor}: {message}\n    fix: {fix}\n");
    }
    lines
}
