//! `countersign certificate activate` and `deactivate`: the change is previewed before it is made,
//! on servers that can preview.

use clap::Args;
use countersign_client::Client;
use countersign_types::{
    UnixSeconds,
    certificate::{Enforcement, Scope},
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
    /// Report only: judge requests, count and log what would be refused, but refuse nothing
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
    #[arg(required = true, value_name = "ID", value_parser = CertificateId::given)]
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

/// The change that a command makes.
#[derive(Debug, Clone, Copy)]
enum Change {
    Activate(Enforcement),
    Deactivate,
}

impl Activate {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        let enforcement = if self.report {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        };
        let change = Change::Activate(enforcement);
        self.toggle.run(change, client, output).await
    }
}

impl Deactivate {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        self.toggle.run(Change::Deactivate, client, output).await
    }
}

impl Toggle {
    async fn run(self, change: Change, client: &Client, output: Output) -> CommandResult {
        let (scope, certificates) = (Scope::from(self.scope), client.certificates());
        let preview = async || match change {
            Change::Activate(enforcement) => {
                let found = certificates.preview_activate(&scope, &self.ids, enforcement);
                found.await
            }
            Change::Deactivate => certificates.preview_deactivate(&scope, &self.ids).await,
        };
        if self.preview {
            return preview::show(&preview().await?.value, output);
        }
        // `--report` is previewed too: a trust anchor that was enforced and becomes report-only no longer
        // lets anyone in.
        if !self.yes && supports_previews(client).await? {
            confirm_if_used(&preview().await?.value, change.verb(), &self.ids)?;
        }
        let mut waiting = self.wait.begin()?;
        let changed = async {
            match change {
                Change::Activate(enforcement) => {
                    let done = certificates.activate_as(&scope, &self.ids, enforcement);
                    done.await
                }
                Change::Deactivate => certificates.deactivate(&scope, &self.ids).await,
            }
        };
        let done = waiting.change(changed).await??;
        output.list(&done.value.data)?;
        waiting.for_gateways(client, done.change()).await
    }
}

impl Change {
    const fn verb(self) -> &'static str {
        match self {
            Self::Activate(_) => "activate",
            Self::Deactivate => "deactivate",
        }
    }
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
