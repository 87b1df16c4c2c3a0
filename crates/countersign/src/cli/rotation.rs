//! `countersign rotation`: replaces one trust anchor with another.

use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_client::{Client, Error, ListParams, Received, Response};
use countersign_types::{
    certificate::{Enforcement, Scope},
    error::ErrorCode,
    extension,
    id::{CertificateId, ProjectId, RotationId},
    or_unknown::OrUnknown,
    rotation::{
        EndRotationRequest, Rotation, RotationProgress, RotationStatus, StartRotationRequest,
    },
    workload::WorkloadIdentity,
};
use futures_util::TryStreamExt;

use super::{
    api::ListOptions,
    disarm::AllowDisarm,
    guard::{AllowBroken, supports},
    names::{NamedRow, Names},
    noun::Verb,
    parse::duration,
    preview::{requests, workloads},
    reference::{Reference, resolve_all},
    waiting::{Wait, Waiting},
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, moment, printable, row, timestamp},
};

/// The exit code when a rotation cannot go on because workloads would be refused.
const NOT_READY: u8 = 3;
/// How many workloads a table lists.
const MOST_SHOWN: usize = 20;

#[derive(Subcommand)]
pub(crate) enum RotationVerb {
    /// Activate a new trust anchor beside an old one, wherever the old one is active
    Start {
        /// The certificate to replace: id or name
        #[arg(value_name = "OLD")]
        old: Reference<CertificateId>,
        /// The new certificate: id or name
        #[arg(value_name = "NEW")]
        new: Reference<CertificateId>,
        /// Only at this project: id or name; may be repeated
        #[arg(long, value_name = "ID|NAME")]
        project: Vec<Reference<ProjectId>>,
        /// Keep the new one report-only until the rotation is finished
        #[arg(long)]
        report: bool,
        /// Proceed even if workloads will be refused at once
        #[arg(long, alias = "force")]
        allow_refusals: bool,
        #[command(flatten)]
        broken: AllowBroken,
        #[command(flatten)]
        wait: Wait,
    },
    /// List rotations
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show which workloads have moved and which have not
    Status {
        #[command(flatten)]
        which: WhichRotation,
    },
    /// Deactivate the old trust anchor; exit code 3 if workloads would be refused
    Finish {
        #[command(flatten)]
        which: WhichRotation,
        /// Proceed even if workloads will be refused, or nothing is known about them
        #[arg(long, alias = "force")]
        allow_refusals: bool,
        #[command(flatten)]
        broken: AllowBroken,
        #[command(flatten)]
        wait: Wait,
    },
    /// Undo what the rotation activated; exit code 3 if workloads would be refused
    Abort {
        #[command(flatten)]
        which: WhichRotation,
        /// Proceed even if workloads will be refused
        #[arg(long, alias = "force")]
        allow_refusals: bool,
        #[command(flatten)]
        allow_disarm: AllowDisarm,
        #[command(flatten)]
        broken: AllowBroken,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Args)]
pub(crate) struct WhichRotation {
    /// The rotation: id, or the name of its new certificate [default: the one in progress]
    #[arg(value_name = "ID|NAME")]
    id: Option<Reference<RotationId>>,
    /// Count only workloads that called within this time, such as `12h` or `7d`
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
    seen_within: Duration,
}

impl Verb<Client> for RotationVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let rotations = client.rotations();
        match self {
            Self::Start {
                old,
                new,
                project,
                report,
                allow_refusals,
                broken,
                wait,
            } => {
                let mut request = start_request(client, [old, new], &project).await?;
                request.enforcement = report.then_some(Enforcement::Report);
                request.force = allow_refusals.then_some(true);
                let mut waiting = wait.begin()?;
                let started = waiting
                    .change(broken.client(client).rotations().start(&request))
                    .await?;
                let started = started.map_err(not_ready)?;
                show(client, started.value.clone(), output).await?;
                waiting.for_gateways(client, started.change()).await
            }
            Self::List { list } => show_all(client, &list, output).await,
            Self::Status { which } => {
                let id = which.find(client).await?;
                let shown = rotations.retrieve(&id, Some(which.seen_within)).await?;
                show(client, shown.value, output).await
            }
            Self::Finish {
                which,
                allow_refusals,
                broken,
                wait,
            } => {
                let id = which.find(client).await?;
                let (request, mut waiting) = (which.end(allow_refusals), wait.begin()?);
                let ended = waiting
                    .change(broken.client(client).rotations().finish(&id, &request))
                    .await?;
                which.ended(client, &id, ended, output, waiting).await
            }
            Self::Abort {
                which,
                allow_refusals,
                allow_disarm,
                broken,
                wait,
            } => {
                let id = which.find(client).await?;
                let disarms = refuse_disarming(client, &id, allow_disarm).await?;
                let force = allow_refusals || disarms;
                let (request, mut waiting) = (which.end(force), wait.begin()?);
                let ended = waiting
                    .change(broken.client(client).rotations().abort(&id, &request))
                    .await?;
                which.ended(client, &id, ended, output, waiting).await
            }
        }
    }
}

/// Refuses to take away a certificate that a rotation in progress needs.
pub(super) async fn refuse_parts(client: &Client, ids: &[CertificateId]) -> CommandResult {
    if !supports(client, extension::ROTATIONS).await? {
        return Ok(());
    }
    let listed = client.rotations().stream(&ListParams::default());
    let rotations: Vec<Received<Rotation>> = match listed.try_collect().await {
        Ok(rotations) => rotations,
        // A key that may write and not read; the server still refuses what is in use.
        Err(error) if error.status() == Some(403) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for rotation in rotations {
        let parts = [&rotation.old_certificate_id, &rotation.new_certificate_id];
        let part = ids.iter().find(|id| parts.contains(id));
        if let Some(part) = part.filter(|_| rotation.status == RotationStatus::InProgress) {
            return Err(Failure::new(format_args!(
                "{part} is part of the rotation {}, which is in progress; nothing was deleted",
                rotation.id
            ))
            .hint(format!(
                "end it first: `countersign rotation finish {0}` or `countersign rotation abort {0}`",
                rotation.id
            )));
        }
    }
    Ok(())
}

/// Refuses to abort a rotation where that leaves a scope without an enforced trust anchor, unless it is
/// allowed; whether it does.
async fn refuse_disarming(
    client: &Client,
    id: &RotationId,
    allow: AllowDisarm,
) -> CommandResult<bool> {
    let rotation = client.rotations().retrieve(id, None).await?.value;
    if rotation.status != RotationStatus::InProgress {
        return Ok(false);
    }
    let names = Names::of_projects(client).await;
    let new = std::slice::from_ref(&rotation.new_certificate_id);
    let mut disarms = false;
    for at in &rotation.scopes {
        let enforces = |how: Option<&OrUnknown<Enforcement>>| {
            how.is_some_and(|how| *how == Enforcement::Enforce)
        };
        let stays = enforces(at.new_enforcement_before.as_ref());
        if stays || !enforces(at.new_enforcement.as_ref()) {
            continue;
        }
        let scope = Scope::from(at.project_id.clone());
        let shown = names.scope(at.project_id.as_ref());
        if let Some(disarmed) = allow.look(client, (shown, &scope), new).await? {
            disarmed.tell();
            if !disarmed.is_allowed() {
                return Err(disarmed.refusal("pass `--allow-disarm` to allow it"));
            }
            disarms = true;
        }
    }
    Ok(disarms)
}

async fn show_all(client: &Client, list: &ListOptions, output: Output) -> CommandResult {
    let entries = client.rotations().stream(&list.params());
    let entries = list.take(entries).await?;
    let names = Names::of_trust(client, output).await;
    output.list_of("rotations", &names.beside(entries))
}

/// The request for a rotation from one certificate to another.
async fn start_request(
    client: &Client,
    ends: [Reference<CertificateId>; 2],
    projects: &[Reference<ProjectId>],
) -> CommandResult<StartRotationRequest> {
    let ends = resolve_all(&ends, client).await?;
    let [old, new] = ends.as_slice() else {
        return Err(Failure::usage("a rotation has two certificates"));
    };
    let projects = resolve_all(projects, client).await?;
    Ok(StartRotationRequest {
        old_certificate_id: old.clone(),
        new_certificate_id: new.clone(),
        project_ids: (!projects.is_empty()).then_some(projects),
        enforcement: None,
        force: None,
    })
}

impl WhichRotation {
    /// The given rotation, or the only one in progress.
    async fn find(&self, client: &Client) -> CommandResult<RotationId> {
        if let Some(id) = &self.id {
            return id.resolve(client).await;
        }
        let all: Vec<Received<Rotation>> = client
            .rotations()
            .stream(&ListParams::default())
            .try_collect()
            .await?;
        // Two in progress are an error: picking one could finish the wrong rotation.
        let mut open = all
            .into_iter()
            .filter(|each| each.status == RotationStatus::InProgress);
        match (open.next(), open.next()) {
            (Some(one), None) => Ok(one.id.clone()),
            (None, _) => Err(Failure::usage("no rotation is in progress")
                .hint("run `countersign rotation list` to see past ones")),
            (Some(_), Some(_)) => Err(Failure::usage("several rotations are in progress")
                .hint("give its id; `countersign rotation list` shows them")),
        }
    }

    fn end(&self, force: bool) -> EndRotationRequest {
        EndRotationRequest {
            force: force.then_some(true),
            seen_within: Some(self.seen_within.as_secs()),
        }
    }

    /// Shows the ended rotation; or, if it was refused, the workloads that block it.
    async fn ended(
        &self,
        client: &Client,
        id: &RotationId,
        ended: Result<Response<Received<Rotation>>, Error>,
        output: Output,
        waiting: Waiting,
    ) -> CommandResult {
        match ended {
            Ok(ended) => {
                show(client, ended.value.clone(), output).await?;
                waiting.for_gateways(client, ended.change()).await
            }
            Err(error) if error.code() == Some(ErrorCode::RotationNotReady) => {
                let rotations = client.rotations();
                let shown = rotations.retrieve(id, Some(self.seen_within)).await?;
                show(client, shown.value, output).await?;
                let hint = "the blocking workloads are listed above; `--allow-refusals` proceeds even if workloads will be refused";
                Err(Failure::from(error).hint(hint).with_exit(NOT_READY))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A start that is blocked by workloads has an exit code of its own.
fn not_ready(error: Error) -> Failure {
    let param = error.api().and_then(|refused| refused.param.as_deref());
    if param == Some("old_certificate_id") && error.status() == Some(400) {
        let order = "the old one comes first: `countersign rotation start OLD NEW`; `countersign status` shows what is active where";
        return Failure::from(error).hint(order);
    }
    if error.code() != Some(ErrorCode::RotationNotReady) {
        return error.into();
    }
    Failure::from(error)
        .hint("`countersign certificate activate NEW --preview` lists them; `--allow-refusals` proceeds even if workloads will be refused")
        .with_exit(NOT_READY)
}

/// Shows a rotation; a table is followed by its progress in words.
async fn show(client: &Client, rotation: Received<Rotation>, output: Output) -> CommandResult {
    let names = Names::of_trust(client, output).await;
    let progress = rotation.progress.clone().filter(|_| output.is_table());
    output.one(&names.named(rotation))?;
    let Some(progress) = progress else {
        return Ok(());
    };
    let failing = progress.failing.iter().map(|one| &one.identity);
    let remaining = progress.remaining.iter().map(|one| &one.identity);
    let shown = failing.take(MOST_SHOWN).chain(remaining.take(MOST_SHOWN));
    let names = names.and(Names::of_workloads(client, shown).await);
    output.text(&progress_text(&progress, &names))
}

fn progress_text(progress: &RotationProgress, names: &Names) -> String {
    let RotationProgress {
        observed,
        moved_count,
        remaining_count,
        failing_count,
        unjudged_count,
        ..
    } = progress;
    let mut lines = Vec::new();
    if *observed == 0 {
        lines.push("no workloads were observed here".to_owned());
    } else {
        lines.push(format!(
            "{} seen since {}: {moved_count} moved, {remaining_count} not yet, \
             {failing_count} would be refused after `finish`",
            workloads(*observed),
            timestamp(progress.since)
        ));
    }
    if *unjudged_count > 0 {
        lines.push(format!("{unjudged_count} cannot be checked"));
    }
    for one in progress.failing.iter().take(MOST_SHOWN) {
        lines.push(format!(
            "would be refused ({}): {}, {}, last {}",
            printable(&one.code.to_string()),
            who(&one.identity, names),
            requests(one.requests),
            timestamp(one.last_seen)
        ));
    }
    for one in progress.remaining.iter().take(MOST_SHOWN) {
        lines.push(format!(
            "not moved: {}, {}, last {}",
            who(&one.identity, names),
            requests(one.requests),
            timestamp(one.last_seen)
        ));
    }
    for key in progress.unseen.iter().take(MOST_SHOWN) {
        lines.push(format!("not seen: {}", printable(names.key(key))));
    }
    let problems = progress.problems.iter();
    lines.extend(problems.map(|problem| printable(&names.within(problem))));
    lines.join("\n") + "\n"
}

fn who(WorkloadIdentity { project, key, leaf }: &WorkloadIdentity, names: &Names) -> String {
    let project = match project {
        Some(project) => names.project(project),
        None => "the organization",
    };
    let leaf = match leaf {
        Some(leaf) => leaf.subject.as_str(),
        None => "no certificate",
    };
    let who = match key {
        Some(key) => format!("{leaf} with key {} at {project}", names.key(key)),
        None => format!("{leaf} at {project}"),
    };
    printable(&who)
}

impl NamedRow for Rotation {
    const HEAD: &'static [&'static str] = &["old", "new", "id", "status", "at", "started", "ended"];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let status = self.status.called(|status| match status {
            RotationStatus::InProgress => "in progress",
            RotationStatus::Finished => "finished",
            RotationStatus::Aborted => "aborted",
        });
        let scopes = self.scopes.iter();
        let scopes: Vec<&str> = scopes
            .map(|scope| names.scope(scope.project_id.as_ref()))
            .collect();
        row![
            names.certificate(&self.old_certificate_id),
            names.certificate(&self.new_certificate_id),
            self.id.to_string(),
            status.into_owned(),
            scopes.join(", "),
            moment(self.created_at),
            moment(self.ended_at),
        ]
    }
}
