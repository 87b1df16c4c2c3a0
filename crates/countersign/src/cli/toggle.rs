//! `countersign certificate activate` and `deactivate`: the change is previewed before it is made,
//! on servers that can preview.

use clap::Args;
use countersign_client::{Client, Response};
use countersign_types::{
    UnixSeconds,
    certificate::{CertificateToggle, Enforcement, Scope},
    extension,
    id::CertificateId,
    preview::TogglePreview,
};

use super::{preview, scope::AtScope, waiting::Wait};
use crate::{
    failure::CommandResult,
    output::{Output, ask, note},
};

/// Deactivating a trust anchor that was used within this many seconds needs confirmation: 7 days.
const RECENTLY: UnixSeconds = 7 * 24 * 60 * 60;

#[derive(Debug, Args)]
pub(super) struct Activate {
    #[command(flatten)]
    toggle: Toggle,
    /// Report only: check requests, count and log what would be refused, but refuse nothing
    #[arg(long)]
    report: bool,
}

#[derive(Debug, Args)]
pub(super) struct Deactivate {
    #[command(flatten)]
    toggle: Toggle,
}

#[derive(Debug, Args)]
struct Toggle {
    /// The certificates, `cert_...`
    #[arg(required = true, value_name = "ID")]
    ids: Vec<CertificateId>,
    #[command(flatten)]
    scope: AtScope,
    /// Change nothing; show which workloads would be refused or would pass. Exit code 3 if any would be refused
    #[arg(long, conflicts_with_all = ["wait", "yes"])]
    preview: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Activate {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        let enforcement = if self.report {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        };
        let Toggle {
            ids,
            scope,
            preview,
            yes,
            wait,
        } = self.toggle;
        let (scope, certificates) = (Scope::from(scope), client.certificates());
        if preview {
            let found = certificates.preview_activate(&scope, &ids, enforcement);
            return preview::show(&found.await?.value, output);
        }
        // `--report` is previewed too: a trust anchor that was enforced and becomes report-only no longer
        // lets anyone in.
        if !yes && supports_previews(client).await? {
            let found = certificates.preview_activate(&scope, &ids, enforcement);
            confirm_if_used(&found.await?.value, "activate", &ids)?;
        }
        let done = certificates.activate_as(&scope, &ids, enforcement).await?;
        finish(client, output, &wait, &done).await
    }
}

impl Deactivate {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        let Toggle {
            ids,
            scope,
            preview,
            yes,
            wait,
        } = self.toggle;
        let (scope, certificates) = (Scope::from(scope), client.certificates());
        if preview {
            let found = certificates.preview_deactivate(&scope, &ids).await?;
            return preview::show(&found.value, output);
        }
        if !yes && supports_previews(client).await? {
            let found = certificates.preview_deactivate(&scope, &ids).await?;
            confirm_if_used(&found.value, "deactivate", &ids)?;
        }
        let done = certificates.deactivate(&scope, &ids).await?;
        finish(client, output, &wait, &done).await
    }
}

async fn finish(
    client: &Client,
    output: Output,
    wait: &Wait,
    done: &Response<CertificateToggle>,
) -> CommandResult {
    output.list(&done.value.data)?;
    wait.for_gateways(client, done.revision).await
}

/// Whether the server can preview. One that is not Countersign answers this question with an error,
/// and is then used without a preview.
async fn supports_previews(client: &Client) -> CommandResult<bool> {
    match client.countersign().extensions().await {
        Ok(known) => Ok(known.iter().any(|one| one == extension::PREVIEW)),
        Err(error) if matches!(error.status(), Some(400..=499)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks for confirmation when observed workloads would be refused, or the anchor was used recently.
fn confirm_if_used(found: &TogglePreview, verb: &str, ids: &[CertificateId]) -> CommandResult {
    let recent_use = found
        .last_used
        .filter(|last| found.judged_at.saturating_sub(*last) <= RECENTLY);
    if found.starts_to_fail.is_empty() && recent_use.is_none() {
        return Ok(());
    }
    note(&preview::warning(found, recent_use));
    let names: Vec<&str> = ids.iter().map(CertificateId::as_str).collect();
    let question = format!("{verb} {}?", names.join(", "));
    ask(&question, "this affects observed traffic")
}
