//! `countersign certificate activate` and `deactivate`: the change is previewed before it is made,
//! on servers that can preview.

use clap::Args;
use countersign_client::{Client, Error, Received, Response};
use countersign_types::{
    api_key::Permission,
    certificate::{Enforcement, Scope},
    extension,
    id::CertificateId,
    preview::TogglePreview,
};

use super::{
    disarm::{AllowDisarm, Disarmed},
    guard::{Ask, Foreseen, Guard, supports},
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
    allow_disarm: AllowDisarm,
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
        let scope = self.scope.resolve(client).await?;
        let ids = resolve_all(&self.ids, client).await?;
        if self.guard.is_preview() {
            let found = match change.preview(client, &scope, &ids).await {
                Ok(found) => found.value,
                Err(error) => return Err(unknown_ids::failure(client, error, &ids).await),
            };
            let disarmed = self.disarmed(change, client, (&scope, &ids)).await?;
            disarmed.iter().for_each(Disarmed::tell);
            let once_enforced = &found.would_fail_once_enforced;
            return preview::show(client, &found, &found.effect, once_enforced, output).await;
        }
        self.look_first(change, client, (&scope, &ids)).await?;
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

    /// Says what the change would do, and asks.
    async fn look_first(
        &self,
        change: Change,
        client: &Client,
        (scope, ids): (&Scope, &[CertificateId]),
    ) -> CommandResult {
        let answers = self.guard.answers();
        let foreseen = if supports(client, extension::PREVIEW).await? {
            match change.preview(client, scope, ids).await {
                Ok(found) => Foreseen::Effect(Box::new(found.value.into_inner().effect)),
                Err(error) if lacks_read(&error) => Foreseen::Hidden,
                Err(error) if answers.are_complete() && !is_mistake(&error) => {
                    answers.unknown(&error.to_string());
                    Foreseen::Nothing
                }
                Err(error) => return Err(unknown_ids::failure(client, error, ids).await),
            }
        } else {
            answers.unknown("this server cannot preview");
            Foreseen::Nothing
        };
        let disarmed = self.disarmed(change, client, (scope, ids)).await?;
        let names: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        let (verb, names, at) = (change.verb(), names.join(", "), self.scope.shown());
        let question = format!("{verb} {names} for {at}?");
        let asked = (question.as_str(), Ask::IfUsed);
        answers
            .permit(client, &foreseen, disarmed.as_ref(), asked)
            .await
    }

    /// Whether the change takes the last enforced trust anchor away. `--report` is looked at too: one that
    /// was enforced and becomes report-only no longer keeps anyone out.
    async fn disarmed(
        &self,
        change: Change,
        client: &Client,
        (scope, ids): (&Scope, &[CertificateId]),
    ) -> CommandResult<Option<Disarmed>> {
        Ok(match change {
            Change::Activate(Enforcement::Enforce) => None,
            Change::Activate(Enforcement::Report) | Change::Deactivate => {
                let at = self.scope.shown();
                self.allow_disarm.look(client, (&at, scope), ids).await?
            }
        })
    }
}

/// Whether the key may make the change and not see whom it refuses.
fn lacks_read(error: &Error) -> bool {
    let reads = |message: &str| message.contains(Permission::MtlsRead.as_str());
    error.status() == Some(403) && error.api().is_some_and(|refused| reads(&refused.message))
}

/// Whether the change itself would fail in the same way.
fn is_mistake(error: &Error) -> bool {
    matches!(error.status(), None | Some(400 | 401 | 403 | 404))
}

impl Change {
    async fn preview(
        self,
        client: &Client,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Response<Received<TogglePreview>>, Error> {
        let certificates = client.certificates();
        match self {
            Self::Activate(enforcement) => {
                let found = certificates.preview_activate(scope, ids, enforcement);
                found.await
            }
            Self::Deactivate => certificates.preview_deactivate(scope, ids).await,
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Activate(_) => "activate",
            Self::Deactivate => "deactivate",
        }
    }
}
