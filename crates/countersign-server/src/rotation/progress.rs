//! Who has moved to a rotation's new certificate, and who would be refused without the old one.

use std::collections::HashSet;

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    id::{ApiKeyId, ProjectId},
    rotation::{MAX_NAMED_WORKLOADS, Rotation, RotationProgress, RotationWorkload},
};

use crate::{
    preview::{Observed, Trial, identity},
    store::Workload,
};

/// Whether a workload calls at one of the rotation's scopes.
pub(super) fn is_at(rotation: &Rotation, workload: &Workload) -> bool {
    rotation
        .scopes
        .iter()
        .any(|scope| scope.project_id.is_none() || scope.project_id == workload.project)
}

/// The progress, without its start and its problems.
pub(super) fn progress(
    rotation: &Rotation,
    trial: &Trial,
    observed: &Observed,
    now: UnixSeconds,
) -> RotationProgress {
    let found = trial.compare(&Scope::Organization, observed, now);
    let before = &trial.before;
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
                identity: identity(observed, workload),
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
