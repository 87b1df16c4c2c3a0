//! Who has moved to a rotation's new anchor, and what ending it would do: the end is tried in a
//! transaction that is dropped, and what it would have left is judged on the traffic that was
//! observed.

use std::collections::HashSet;

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    id::{ApiKeyId, OrganizationId, ProjectId},
    rotation::{MAX_NAMED_WORKLOADS, Rotation, RotationProgress, RotationWorkload},
};
use tokio::task::spawn_blocking;

use super::{App, caller::Admin, error::ApiError, store_error::problem};
use crate::{
    preview::{Observed, compare, leaf},
    store::{NewRotation, StoreError, Workload, WriteTx},
};

/// How a rotation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finish,
    Abort,
}

/// What was found.
pub(super) struct Looked {
    pub(super) progress: RotationProgress,
    /// Why the end cannot be made as things are.
    pub(super) refused: Option<String>,
    /// The organization's revision that was looked at.
    pub(super) revision: u64,
}

/// Tries an end of a rotation and judges what it would leave.
pub(super) async fn look(
    app: &App,
    admin: &Admin,
    rotation: &Rotation,
    end: End,
    since: UnixSeconds,
) -> Result<Looked, ApiError> {
    let store = app.store();
    let tx = store.write(&admin.organization, admin.actor()).await?;
    let (tried, problems) = try_end(tx, rotation, end).await?;
    let organization = &admin.organization;
    let broken = |_| ApiError::broken("looking at a rotation was broken off");
    let turn = app.previews().acquire_owned().await.map_err(broken)?;
    let mut observed = observe(app, organization, since).await?;
    let (rotation, now) = (rotation.clone(), app.now());
    let looked = spawn_blocking(move || {
        let _turn = turn;
        let revision = tried.before.revision;
        let refused = tried.refused.clone();
        observed
            .workloads
            .retain(|workload| workload.last_seen >= since && is_at(&rotation, workload));
        let mut progress = progress(&rotation, &tried, &observed, now);
        progress.since = since;
        progress.problems = problems;
        Looked {
            progress,
            refused,
            revision,
        }
    });
    let broken = |error: tokio::task::JoinError| ApiError::broken(error.to_string());
    looked.await.map_err(broken)
}

async fn observe(
    app: &App,
    organization: &OrganizationId,
    since: UnixSeconds,
) -> Result<Observed, StoreError> {
    Ok(Observed {
        workloads: app.store().list_workloads(organization, since).await?,
        chains: app.store().observed_chains(organization, since).await?,
    })
}

/// Tries a start.
pub(super) async fn try_start(mut tx: WriteTx, new: NewRotation) -> Result<Tried, StoreError> {
    let before = tx.bundle().await?;
    let _: Rotation = tx.start_rotation(new).await?.answer;
    Ok(Tried {
        before,
        after: tx.bundle().await?,
        refused: None,
    })
}

impl Tried {
    /// The organization's revision that it was tried on.
    pub(super) fn revision(&self) -> u64 {
        self.before.revision
    }

    /// How many workloads pass before and would be refused after.
    pub(super) async fn starts_to_fail(
        self,
        app: &App,
        admin: &Admin,
        since: UnixSeconds,
    ) -> Result<usize, ApiError> {
        let broken = |_| ApiError::broken("looking at a rotation was broken off");
        let turn = app.previews().acquire_owned().await.map_err(broken)?;
        let observed = observe(app, &admin.organization, since).await?;
        let now = app.now();
        let judged = spawn_blocking(move || {
            let _turn = turn;
            let Self { before, after, .. } = &self;
            let found = compare(before, after, &Scope::Organization, &observed, now);
            found.starts_to_fail.len()
        });
        let broken = |error: tokio::task::JoinError| ApiError::broken(error.to_string());
        judged.await.map_err(broken)
    }
}

/// A step of a rotation that was tried and undone.
pub(super) struct Tried {
    before: OrganizationBundle,
    after: OrganizationBundle,
    refused: Option<String>,
}

async fn try_end(
    mut tx: WriteTx,
    rotation: &Rotation,
    end: End,
) -> Result<(Tried, Vec<String>), ApiError> {
    let before = tx.bundle().await?;
    let problems = tx.rotation_problems(rotation).await?;
    let problems = problems.iter().map(problem).collect();
    let ended = match end {
        End::Finish => tx.finish_rotation(&rotation.id, false).await,
        End::Abort => tx.abort_rotation(&rotation.id, false).await,
    };
    let refused = match ended {
        Ok(_) => None,
        Err(
            error @ (StoreError::RotationBroken { .. }
            | StoreError::WouldDisarm { .. }
            | StoreError::RotationEnded),
        ) => Some(ApiError::from(error).message.into_owned()),
        Err(error) => return Err(error.into()),
    };
    let after = match refused {
        None => tx.bundle().await?,
        Some(_) => before.clone(),
    };
    let tried = Tried {
        before,
        after,
        refused,
    };
    Ok((tried, problems))
}

/// Whether a workload calls at one of the rotation's scopes.
fn is_at(rotation: &Rotation, workload: &Workload) -> bool {
    rotation
        .scopes
        .iter()
        .any(|scope| scope.project_id.is_none() || scope.project_id == workload.project)
}

fn progress(
    rotation: &Rotation,
    tried: &Tried,
    observed: &Observed,
    now: UnixSeconds,
) -> RotationProgress {
    let Tried { before, after, .. } = tried;
    let found = compare(before, after, &Scope::Organization, observed, now);
    let keys: HashSet<&ApiKeyId> = before.keys.iter().map(|key| &key.id).collect();
    let lives = |workload: &&Workload| workload.key.as_ref().is_none_or(|key| keys.contains(key));
    let under = |anchor| {
        let workloads = observed.workloads.iter().filter(lives);
        workloads.filter(move |workload| workload.anchor.as_ref() == Some(anchor))
    };
    let remaining = || under(&rotation.old_certificate_id);
    let mut failing = found.starts_to_fail;
    let failing_count = count(failing.len());
    failing.truncate(MAX_NAMED_WORKLOADS);
    RotationProgress {
        since: 0,
        observed: found.workloads + found.unjudged,
        moved_count: count(under(&rotation.new_certificate_id).count()),
        remaining_count: count(remaining().count()),
        failing_count,
        unjudged_count: found.unjudged,
        remaining: remaining()
            .take(MAX_NAMED_WORKLOADS)
            .map(|workload| RotationWorkload {
                project: workload.project.clone(),
                key: workload.key.clone(),
                leaf: workload.chain.and_then(|chain| leaf(observed, chain)),
                requests: workload.requests,
                last_seen: workload.last_seen,
            })
            .collect(),
        failing,
        unseen: unseen(rotation, before, observed, now),
        problems: Vec::new(),
    }
}

/// Keys that open one of the rotation's projects and were not seen.
fn unseen(
    rotation: &Rotation,
    bundle: &OrganizationBundle,
    observed: &Observed,
    now: UnixSeconds,
) -> Vec<ApiKeyId> {
    let seen = observed.workloads.iter().filter_map(|one| one.key.as_ref());
    let seen: HashSet<&ApiKeyId> = seen.collect();
    let everywhere = rotation
        .scopes
        .iter()
        .any(|scope| scope.project_id.is_none());
    let here = |project: &ProjectId| {
        let mut scopes = rotation.scopes.iter();
        everywhere || scopes.any(|scope| scope.project_id.as_ref() == Some(project))
    };
    let live = |project: &ProjectId| {
        let mut projects = bundle.projects.iter();
        projects.any(|one| one.id == *project && !one.archived)
    };
    let keys = bundle.keys.iter().filter(|key| {
        key.expires_at.is_none_or(|end| end > now)
            && key
                .project
                .as_ref()
                .is_some_and(|project| here(project) && live(project))
            && !seen.contains(&key.id)
    });
    keys.map(|key| key.id.clone())
        .take(MAX_NAMED_WORKLOADS)
        .collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
