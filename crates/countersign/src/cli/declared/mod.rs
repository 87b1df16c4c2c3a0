//! `countersign plan`, `apply` and `export`: the desired state of a server, declared in a file.

mod accounts;
mod apply;
mod assertion_plan;
mod change;
mod compare;
mod denial_change;
mod denial_export;
mod denial_plan;
mod difference;
mod export;
mod federation_apply;
mod federation_change;
mod federation_differs;
mod federation_export;
mod federation_plan;
mod file;
mod floors;
mod number;
mod order;
mod plan;
mod projects;
mod reader;
mod report;
mod server;
mod toml_text;
mod trial;
mod wanted_assertions;
mod wanted_denials;
mod wanted_providers;

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_client::Client;
use countersign_types::{
    assertion::AssertionRun, extension, id::AssertionId, preview::MAX_TRUST_CHANGES,
};

use self::{
    export::Target,
    file::Declared,
    report::{Consequences, PlanReport},
};
use super::{
    api::{ApiOptions, block_on},
    disarm::AllowDisarm,
    guard::{self, Answers, Ask, Foreseen},
    input::First,
    names::Names,
    preview,
    waiting::Wait,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Output, note},
};

/// The exit code of `plan` when the server differs from the file.
const DRIFT: u8 = 3;

#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    state: DeclaredState,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    state: DeclaredState,
    #[command(flatten)]
    answers: Answers,
    #[command(flatten)]
    allow_disarm: AllowDisarm,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write, TOML
    file: PathBuf,
    /// Directory of the PEM files, relative to the file [default: the file's directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
struct DeclaredState {
    /// The TOML file that declares the desired state
    file: PathBuf,
    /// Delete what the file does not name: certificates; denials, assertions and workload identity providers with
    /// their rules, if it has a section for them
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    first: First,
}

impl DeclaredState {
    async fn plan(
        &self,
        client: &Client,
        declared: &Declared,
    ) -> CommandResult<(plan::Plan, PlanReport)> {
        let plan = compare::compare(client, declared, self.prune).await?;
        let report = PlanReport::of(&plan, declared);
        Ok((plan, report))
    }

    /// The same, with what the plan would do to observed traffic and to assertions.
    async fn considered(
        &self,
        client: &Client,
        declared: &Declared,
    ) -> CommandResult<(plan::Plan, PlanReport, Consequences)> {
        let (plan, report) = self.plan(client, declared).await?;
        let mut changes = trial::changes(&plan, declared);
        let known = guard::supports(client, extension::PREVIEW_WORKLOAD_IDENTITY).await?;
        if !known || changes.len() > MAX_TRUST_CHANGES {
            // The rest is foreseen all the same.
            changes.retain(|change| !change.is_of_workload_identity());
        }
        let mut foreseen = guard::foresee(client, &changes).await?;
        if let Foreseen::Effect(effect) = &mut foreseen {
            // Those that the plan deletes are deleted first, so they are broken by nothing.
            let goes = |id: &AssertionId| plan.assertions.delete.iter().any(|(gone, _)| gone == id);
            let broken = &mut effect.breaks_assertions;
            broken.retain(|result| !goes(&result.assertion_id));
        }
        let assertions = assertions(client).await?;
        Ok((
            plan,
            report,
            Consequences {
                foreseen,
                assertions,
            },
        ))
    }
}

/// Which assertions hold now, where there are any and the key may know.
async fn assertions(client: &Client) -> CommandResult<Option<AssertionRun>> {
    if !server::has_assertions(client).await? {
        return Ok(None);
    }
    match client.assertions().run().await {
        Ok(run) => Ok(Some(run.value.into_inner()).filter(|run| !run.results.is_empty())),
        Err(error) if error.status() == Some(403) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Shows a plan and what it would do, to people by name; gives the names.
async fn show(
    client: &Client,
    report: &PlanReport,
    known: &Consequences,
    output: Output,
) -> CommandResult<Names> {
    let mut names = Names::of_trust(client, output).await;
    if let Some(effect) = known.foreseen.effect().filter(|_| output.is_table()) {
        names = names.and(preview::names(client, effect, &[]).await);
    }
    report.show(known, &names, output)?;
    Ok(names)
}

impl Plan {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let declared = file::read(&self.state.file, self.state.first)?;
        let client = self.api.client()?;
        let (_, report, known) = block_on(self.state.considered(&client, &declared))?;
        block_on(show(&client, &report, &known, output))?;
        if report.changes.is_empty() {
            return Ok(());
        }
        Err(Failure::quiet(DRIFT))
    }
}

impl Apply {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let declared = file::read(&self.state.file, self.state.first)?;
        let client = self.api.client()?;
        block_on(self.apply(&client, &declared, output))
    }

    async fn apply(&self, client: &Client, declared: &Declared, output: Output) -> CommandResult {
        let (mut plan, report, known) = self.state.considered(client, declared).await?;
        let names = show(client, &report, &known, output).await?;
        if report.changes.is_empty() {
            return Ok(());
        }
        let disarmed = report.disarmed.iter();
        let disarmed: Vec<_> = disarmed
            .map(|scope| names.of_any(scope).unwrap_or(scope.as_str()))
            .collect();
        let of_organization = disarmed.contains(&"organization");
        let disarmed = (!disarmed.is_empty()).then(|| {
            let allow = self.allow_disarm;
            allow.disarmed(&disarmed.join(", "), of_organization)
        });
        let asked = ("make these changes?", Ask::Always);
        self.answers
            .permit(client, &known.foreseen, disarmed.as_ref(), asked)
            .await?;
        if !self.answers.yes() {
            // Reading a plan takes time, and what was confirmed is this plan and no other.
            let (again, now) = self.state.plan(client, declared).await?;
            if now != report {
                return Err(Failure::new(
                    "the server changed before you confirmed; nothing was applied",
                )
                .hint("apply again to see the new plan"));
            }
            plan = again;
        }
        let mut waiting = self.wait.begin()?;
        let changing = self.answers.client(client);
        let applied = apply::apply(&changing, declared, &plan);
        let change = waiting.change(applied).await??;
        note("done: the server matches the file");
        waiting.for_gateways(client, change).await
    }
}

impl Export {
    pub(crate) fn run(self) -> CommandResult {
        if self.file == Path::new("-") {
            return Err(Failure::usage(
                "an export is several files, so it cannot be written to standard output",
            )
            .hint("name the file: `countersign export trust.toml`"));
        }
        let client = self.api.client()?;
        let target = Target {
            file: &self.file,
            directory: self.dir.as_deref().unwrap_or(Path::new("")),
            force: self.force,
        };
        block_on(export::export(&client, &target))
    }
}
