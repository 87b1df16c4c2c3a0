//! `countersign certificate activate` and `deactivate`: the change is previewed before it is made,
//! on servers that can preview.

use clap::Args;
use countersign_client::Client;
use countersign_types::{certificate::Enforcement, extension, id::CertificateId};

use super::{
    guard::{Ask, Guard, supports},
    preview,
    reference::{Reference, resolve_all},
    scope::AtScope,
    unknown_ids,
    waiting::Wait,
};
use crate::{failure::CommandResult, output::Output};

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
    /// The certificates: id or name
    #[arg(required = true, value_name = "ID|NAME")]
    ids: Vec<Reference<CertificateId>>,
    #[command(flatten)]
    scope: AtScope,
    #[command(flatten)]
    guard: Guard,
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
        let (scope, certificates) = (self.scope.resolve(client).await?, client.certificates());
        let ids = resolve_all(&self.ids, client).await?;
        let preview = async || match change {
            Change::Activate(enforcement) => {
                let found = certificates.preview_activate(&scope, &ids, enforcement);
                found.await
            }
            Change::Deactivate => certificates.preview_deactivate(&scope, &ids).await,
        };
        if self.guard.is_preview() {
            let found = match preview().await {
                Ok(found) => found.value,
                Err(error) => return Err(unknown_ids::failure(client, error, &ids).await),
            };
            let once_enforced = &found.would_fail_once_enforced;
            return preview::show(&found, &found.effect, once_enforced, output);
        }
        // `--report` is previewed too: a trust anchor that was enforced and becomes report-only no longer
        // lets anyone in.
        if !self.guard.answers().are_complete() && supports(client, extension::PREVIEW).await? {
            let names: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
            let question = format!("{} {}?", change.verb(), names.join(", "));
            let effect = match preview().await {
                Ok(found) => found.value.into_inner().effect,
                Err(error) => return Err(unknown_ids::failure(client, error, &ids).await),
            };
            let answers = self.guard.answers();
            answers.permit(Some(&effect), &question, Ask::IfUsed)?;
        }
        let certificates = self.guard.client(client).certificates();
        let mut waiting = self.wait.begin()?;
        let changed = async {
            match change {
                Change::Activate(enforcement) => {
                    let done = certificates.activate_as(&scope, &ids, enforcement);
                    done.await
                }
                Change::Deactivate => certificates.deactivate(&scope, &ids).await,
            }
        };
        let done = match waiting.change(changed).await? {
            Ok(done) => done,
            Err(error) => return Err(unknown_ids::failure(client, error, &ids).await),
        };
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
