//! `countersign explain`: explains in full why a gateway refused a request.

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{admin_listener, api::block_on},
    failure::{CommandResult, Failure},
    output::{Output, printable},
};

/// Explain why a gateway refused a request: every trust anchor that was tried, and what to do
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The request id from the refusal, `req_...`
    request_id: String,
    /// URL of the gateway's admin listener
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_GATEWAY_ADMIN_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    gateway_admin: String,
}

impl Explain {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let path = format!("/denials/{}", self.request_id);
        let explanation = block_on(admin_listener::get(&self.gateway_admin, &path))?;
        let Some(explanation) = explanation else {
            return Err(Failure::new(format_args!(
                "the gateway has no record of `{}`",
                printable(&self.request_id)
            ))
            .hint(
                "a gateway keeps its latest 2,048 refusals until it restarts; ask the gateway that answered",
            ));
        };
        if output.is_table() {
            return output.text(&as_text(&explanation));
        }
        output.value(&explanation)
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
