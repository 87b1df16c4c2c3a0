//! `countersign explain`: why a gateway refused a request, in full.

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{admin_listener, api::block_on},
    failure::{Failure, Outcome},
    output::{Output, printable},
};

/// Tell why a gateway refused a request: every anchor that was tried, and what to do
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The request's id, as the refusal names it: `req_...`
    request_id: String,
    /// URL of the gateway's operator listener
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_GATEWAY_ADMIN_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    gateway_admin: String,
}

impl Explain {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let path = format!("/denials/{}", self.request_id);
        let explanation = block_on(admin_listener::get(&self.gateway_admin, &path))?;
        let Some(explanation) = explanation else {
            return Err(Failure::new(format_args!(
                "the gateway knows nothing of `{}`",
                printable(&self.request_id)
            ))
            .hint(
                "it keeps the latest 2,048 refusals of its own life; ask the gateway that answered",
            ));
        };
        if output.is_table() {
            return output.text(&story(&explanation));
        }
        output.value(&explanation)
    }
}

fn story(explanation: &Value) -> String {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(printable);
    let mut story = String::new();
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
            story += &format!("{name:<13} {value}\n");
        }
    }
    let report_only = explanation.get("report_only");
    if report_only.and_then(Value::as_bool) == Some(true) {
        story += "it passed; anchors that are only reported would refuse it\n";
    }
    let findings = explanation.get("trace").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        let anchor = text(finding, "anchor").unwrap_or_else(|| "any anchor".to_owned());
        let message = text(finding, "message").unwrap_or_default();
        let fix = text(finding, "fix").unwrap_or_default();
        story += &format!("  {anchor}: {message}\n    fix: {fix}\n");
    }
    story
}
