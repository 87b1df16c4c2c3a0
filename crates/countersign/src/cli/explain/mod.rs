//! `countersign explain`: why a gateway refused a request; without a request's id, the latest
//! refusals.

mod latest;

use clap::Args;
use countersign_types::id::{ApiKeyId, ProjectId, RequestId};
use serde_json::Value;

use self::latest::Latest;
use crate::{
    cli::{
        admin_listener,
        api::{ApiOptions, block_on},
        names::Names,
        parse::count,
    },
    failure::{CommandResult, Failure},
    output::{Cell, Output, note, printable},
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
            id.parse::<RequestId>().map_err(|error| {
                let place = "it is in the refusal, as `x-request-id`; `countersign explain` lists the latest";
                Failure::usage(error).hint(place)
            })?;
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
            if !found.refused.is_empty() || !output.is_table() {
                let names = latest.names(found.refused.iter(), output).await;
                output.list(&names.beside(&found.refused))?;
            }
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
        let names = latest.names(std::iter::once(newest), output).await;
        output.one(&names.named(newest))?;
        note(found.not_remembered());
        Ok(())
    }

    /// Explains one refusal, from the gateway that remembers it.
    async fn one(&self, id: &str, output: Output) -> CommandResult {
        let path = format!("/refusals/{id}");
        let mut unreachable = None;
        for gateway in &self.gateway_admin {
            match admin_listener::get(gateway, &path).await {
                Ok(Some(explanation)) if output.is_table() => {
                    let names = self.names(&explanation).await;
                    return show(&explanation, &names, output);
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

    /// The names of what an explanation is about, where a key is given that may read them.
    async fn names(&self, explanation: &Value) -> Names {
        let Ok(Some(client)) = self.api.client_if_key() else {
            return Names::default();
        };
        let id = |name: &str| explanation.get(name).and_then(Value::as_str);
        let project = id("project").map(ProjectId::opaque);
        let key = id("key").map(ApiKeyId::opaque);
        let caller = (project.as_ref(), key.as_ref());
        let names = Names::of_certificates(&client).await;
        names.and(Names::of_callers(&client, [caller]).await)
    }
}

/// Shows an explanation: who was refused and why, then every trust anchor that was tried.
fn show(explanation: &Value, names: &Names, output: Output) -> CommandResult {
    let text = |name: &str| explanation.get(name).and_then(Value::as_str);
    let mut rows: Vec<(&str, Cell)> = Vec::new();
    for (head, value) in [
        ("request id", text("request_id").map(str::to_owned)),
        ("code", text("code").map(str::to_owned)),
        ("reason", text("reason").map(|reason| names.within(reason))),
        ("organization", text("organization").map(str::to_owned)),
        ("project", text("project").map(|id| named(names, id))),
        ("key", text("key").map(|id| named(names, id))),
        ("leaf sha-256", text("leaf_sha256").map(str::to_owned)),
    ] {
        rows.extend(value.map(|value| (head, Cell::from(value))));
    }
    let is_set = |name: &str| explanation.get(name).and_then(Value::as_bool) == Some(true);
    if is_set("receipt") {
        rows.push(("receipt", Cell::from("in the access log")));
    }
    if is_set("report_only") {
        let passed = "the request passed; report-only trust anchors would have refused it";
        rows.push(("note", Cell::from(passed)));
    }
    let findings = explanation.get("trace").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        let text = |name: &str| {
            finding
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let anchor = match text("anchor") {
            "" => "any trust anchor",
            id => names.certificate_called(id),
        };
        let (message, fix) = (text("message"), text("fix"));
        let told = format!("{anchor}: {message}\nfix: {fix}");
        rows.push(("tried", Cell::Lines(told)));
    }
    output.card(rows)
}

/// A name with its id, or the id alone.
fn named(names: &Names, id: &str) -> String {
    match names.of_any(id) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}
