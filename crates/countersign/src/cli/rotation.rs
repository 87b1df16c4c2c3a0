//! `countersign rotation`: one trust anchor takes another's place.

use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_client::{Client, Error, ListParams};
use countersign_types::{
    certificate::Enforcement,
    error::ErrorCode,
    id::{CertificateId, ProjectId, RotationId},
    preview::PreviewedLeaf,
    rotation::{
        EndRotationRequest, Rotation as Turn, RotationProgress, RotationStatus,
        StartRotationRequest,
    },
};
use futures_util::TryStreamExt;

use super::{
    api::{ApiOptions, ListOptions, block_on},
    waiting::Wait,
};
use crate::{
    failure::{Failure, Outcome},
    output::{Output, Row, moment, moment_or_dash, printable},
};

/// The exit code of an end that workloads stand in the way of.
const NOT_READY: u8 = 3;
/// How many workloads a table names.
const MOST_SHOWN: usize = 20;

#[derive(Args)]
pub(crate) struct Rotation {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// Activate a new anchor beside an old one, wherever the old one is active
    Start {
        /// The certificate that goes, `cert_...`
        old: CertificateId,
        /// The certificate that comes, `cert_...`
        new: CertificateId,
        /// Only at this project, `proj_...`. May be given again
        #[arg(long, value_name = "ID")]
        project: Vec<ProjectId>,
        /// Refuse nothing for the new one until the rotation is finished
        #[arg(long)]
        report: bool,
        /// Do it even if workloads would be refused at once
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// List rotations
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show who has moved and who has not
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Deactivate the old anchor; exit code 3 when workloads would be refused for it
    Finish {
        #[command(flatten)]
        which: Which,
        /// Do it even if workloads would be refused, or nothing is known
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take back what the rotation activated; exit code 3 when workloads would be refused for it
    Abort {
        #[command(flatten)]
        which: Which,
        /// Do it even if workloads would be refused, or a scope be left with nothing enforced
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Args)]
struct Which {
    /// The rotation, `rot_...` [default: the one that is in progress]
    id: Option<RotationId>,
    /// Count workloads that were seen within this time, such as `12h` or `7d`
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration)]
    seen_within: Duration,
}

impl Rotation {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let client = self.api.client()?;
        block_on(self.verb.call(&client, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, output: Output) -> Outcome {
        let rotations = client.rotations();
        match self {
            Self::Start {
                old,
                new,
                project,
                report,
                force,
                wait,
            } => {
                let request = StartRotationRequest {
                    old_certificate_id: old,
                    new_certificate_id: new,
                    project_ids: (!project.is_empty()).then_some(project),
                    enforcement: report.then_some(Enforcement::Report),
                    force: force.then_some(true),
                };
                let started = rotations.start(&request).await.map_err(not_ready)?;
                output.one(&started.value)?;
                wait.for_gateways(client, started.revision).await
            }
            Self::List { list } => {
                let entries = rotations.stream(&list.params());
                output.list(&list.take(entries).await?)
            }
            Self::Status { which } => {
                let id = which.find(client).await?;
                let shown = rotations.retrieve(&id, Some(which.seen_within)).await?;
                show(&shown.value, output)
            }
            Self::Finish { which, force, wait } => {
                let id = which.find(client).await?;
                let ended = rotations.finish(&id, &which.end(force)).await;
                which.ended(client, &id, ended, output, &wait).await
            }
            Self::Abort { which, force, wait } => {
                let id = which.find(client).await?;
                let ended = rotations.abort(&id, &which.end(force)).await;
                which.ended(client, &id, ended, output, &wait).await
            }
        }
    }
}

impl Which {
    /// The rotation that is named, or the only one in progress.
    async fn find(&self, client: &Client) -> Outcome<RotationId> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let all: Vec<Turn> = client
            .rotations()
            .stream(&ListParams::default())
            .try_collect()
            .await?;
        let mut open = all
            .into_iter()
            .filter(|each| each.status == RotationStatus::InProgress);
        match (open.next(), open.next()) {
            (Some(one), None) => Ok(one.id),
            (None, _) => Err(Failure::usage("no rotation is in progress")
                .hint("`countersign rotation list` shows those that were")),
            (Some(_), Some(_)) => Err(Failure::usage("several rotations are in progress")
                .hint("name one: `countersign rotation list` shows them")),
        }
    }

    fn end(&self, force: bool) -> EndRotationRequest {
        EndRotationRequest {
            force: force.then_some(true),
            seen_within: Some(self.seen_within.as_secs()),
        }
    }

    /// Shows how it ended; or why it did not, and who stands in the way.
    async fn ended(
        &self,
        client: &Client,
        id: &RotationId,
        ended: Result<countersign_client::Response<Turn>, Error>,
        output: Output,
        wait: &Wait,
    ) -> Outcome {
        match ended {
            Ok(ended) => {
                output.one(&ended.value)?;
                wait.for_gateways(client, ended.revision).await
            }
            Err(error) if error.code() == Some(ErrorCode::RotationNotReady) => {
                let rotations = client.rotations();
                let shown = rotations.retrieve(id, Some(self.seen_within)).await?;
                show(&shown.value, output)?;
                let hint = "what stands in the way is listed above; `--force` goes over who would be refused";
                Err(Failure::from(error).hint(hint).with_exit(NOT_READY))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A start that workloads stand in the way of has an exit code of its own.
fn not_ready(error: Error) -> Failure {
    if error.code() != Some(ErrorCode::RotationNotReady) {
        return error.into();
    }
    Failure::from(error)
        .hint("`certificate activate NEW --preview` names them; `--force` goes over them")
        .with_exit(NOT_READY)
}

/// Writes a rotation; for people, with its progress in words.
fn show(rotation: &Turn, output: Output) -> Outcome {
    output.one(rotation)?;
    let Some(progress) = rotation.progress.as_ref().filter(|_| output.is_table()) else {
        return Ok(());
    };
    output.text(&told(progress))
}

fn told(progress: &RotationProgress) -> String {
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
        lines.push("nothing is known of who calls here".to_owned());
    } else {
        lines.push(format!(
            "{observed} workloads seen since {}: {moved_count} moved, {remaining_count} not yet, \
             {failing_count} would be refused after `finish`",
            moment(progress.since)
        ));
    }
    if *unjudged_count > 0 {
        lines.push(format!("{unjudged_count} cannot be judged"));
    }
    for one in progress.failing.iter().take(MOST_SHOWN) {
        let who = who(
            one.project.as_ref(),
            one.key.as_ref().map(ToString::to_string),
        );
        lines.push(format!(
            "would be refused ({}): {who}, {}, {} requests, last {}",
            one.code.as_str(),
            leaf(one.leaf.as_ref()),
            one.requests,
            moment(one.last_seen)
        ));
    }
    for one in progress.remaining.iter().take(MOST_SHOWN) {
        let who = who(
            one.project.as_ref(),
            one.key.as_ref().map(ToString::to_string),
        );
        lines.push(format!(
            "not moved: {who}, {}, {} requests, last {}",
            leaf(one.leaf.as_ref()),
            one.requests,
            moment(one.last_seen)
        ));
    }
    for key in progress.unseen.iter().take(MOST_SHOWN) {
        lines.push(format!("not seen: {key}"));
    }
    lines.extend(progress.problems.iter().map(|problem| printable(problem)));
    lines.join("\n") + "\n"
}

fn who(project: Option<&ProjectId>, key: Option<String>) -> String {
    let project = project.map_or_else(|| "the organization".to_owned(), ToString::to_string);
    key.map_or_else(|| project.clone(), |key| format!("{project} {key}"))
}

fn leaf(leaf: Option<&PreviewedLeaf>) -> String {
    leaf.map_or_else(
        || "no certificate".to_owned(),
        |leaf| printable(&leaf.subject),
    )
}

/// A time such as `90s`, `12h` or `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a whole number with `s`, `m`, `h` or `d`, such as `7d`".to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let whole = number.checked_mul(seconds).filter(|whole| *whole > 0);
    whole.map(Duration::from_secs).ok_or_else(wrong)
}

impl Row for Turn {
    const HEAD: &'static [&'static str] = &["id", "old", "new", "status", "at", "started", "ended"];

    fn cells(&self) -> Vec<String> {
        let status = match self.status {
            RotationStatus::InProgress => "in progress",
            RotationStatus::Finished => "finished",
            RotationStatus::Aborted => "aborted",
        };
        let places: Vec<String> = self
            .scopes
            .iter()
            .map(|scope| match &scope.project_id {
                Some(id) => id.to_string(),
                None => "organization".to_owned(),
            })
            .collect();
        vec![
            self.id.to_string(),
            self.old_certificate_id.to_string(),
            self.new_certificate_id.to_string(),
            status.to_owned(),
            places.join(", "),
            moment(self.created_at),
            moment_or_dash(self.ended_at),
        ]
    }
}
