//! `countersign certificate activate` and `deactivate`: what a change would do is looked at before
//! it is made, where the server knows.

use clap::Args;
use countersign_client::{Client, Response};
use countersign_types::{
    UnixSeconds,
    certificate::{CertificateToggle, Enforcement, Scope},
    extension,
    id::CertificateId,
    preview::TogglePreview,
};

use super::{certificate::AtScope, preview, waiting::Wait};
use crate::{
    failure::Outcome,
    output::{Output, ask, note},
};

/// An anchor that was used within so many seconds is not deactivated unasked: seven days.
const LATELY: UnixSeconds = 7 * 24 * 60 * 60;

#[derive(Debug, Args)]
pub(super) struct Activate {
    #[command(flatten)]
    toggle: Toggle,
    /// Refuse nothing for them: judge, count and log what would be refused
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
    /// Change nothing: say who would be refused and who would pass; exit code 3 when anyone would be refused
    #[arg(long, conflicts_with_all = ["wait", "yes"])]
    preview: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Activate {
    pub(super) async fn call(self, client: &Client, output: Output) -> Outcome {
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
        // What was enforced and is only reported from now on lets nobody in any more.
        if !yes && knows_previews(client).await? {
            let found = certificates.preview_activate(&scope, &ids, enforcement);
            consider(&found.await?.value, "activate", &ids)?;
        }
        let done = certificates.activate_as(&scope, &ids, enforcement).await?;
        finish(client, output, &wait, &done).await
    }
}

impl Deactivate {
    pub(super) async fn call(self, client: &Client, output: Output) -> Outcome {
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
        if !yes && knows_previews(client).await? {
            let found = certificates.preview_deactivate(&scope, &ids).await?;
            consider(&found.value, "deactivate", &ids)?;
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
) -> Outcome {
    output.list(&done.value.data)?;
    wait.for_gateways(client, done.revision).await
}

/// Whether there is anything to look at: another server than Countersign refuses the question, or
/// does not know it, and is then used as ever.
async fn knows_previews(client: &Client) -> Outcome<bool> {
    match client.countersign().extensions().await {
        Ok(known) => Ok(known.iter().any(|one| one == extension::PREVIEW)),
        Err(error) if matches!(error.status(), Some(400..=499)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks before a change that takes something from whoever was seen.
fn consider(found: &TogglePreview, verb: &str, ids: &[CertificateId]) -> Outcome {
    let lately = found
        .last_used
        .filter(|last| found.judged_at.saturating_sub(*last) <= LATELY);
    if found.starts_to_fail.is_empty() && lately.is_none() {
        return Ok(());
    }
    note(&preview::warning(found, lately));
    let names: Vec<&str> = ids.iter().map(CertificateId::as_str).collect();
    let question = format!("{verb} {}?", names.join(", "));
    ask(&question, "this touches traffic that was observed")
}
