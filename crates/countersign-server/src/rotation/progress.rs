//! Who has moved to a rotation's new certificate, and who would be refused without the old one.

use std::collections::{HashMap, HashSet};

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    digest::ChainDigest,
    id::{ApiKeyId, ProjectId},
    rotation::{MAX_NAMED_WORKLOADS, Rotation, RotationProgress, RotationWorkload},
    workload::{WorkloadIdentity, WorkloadLeaf},
};

use crate::{
    preview::{Comparing, Judgement, Observed, Trial, leaf},
    store::Workload,
};

/// Whether a workload calls at one of the rotation's scopes.
pub(super) fn is_at(rotation: &Rotation, workload: &Workload) -> bool {
    rotation
        .scopes
        .iter()
        .any(|scope| scope.project_id.is_none() || scope.project_id == workload.identity.project)
}

/// A rotation's end that is being judged. It comes to the progress, without its start and its
/// problems.
pub(super) struct Judging {
    comparing: Comparing,
    progress: RotationProgress,
    /// The workloads that are named as remaining.
    remaining: Vec<Workload>,
    /// The leaves of those, as far as they came.
    leaves: HashMap<ChainDigest, WorkloadLeaf>,
}

impl Judging {
    pub(super) fn new(
        rotation: &Rotation,
        trial: &Trial,
        workloads: &[Workload],
        now: UnixSeconds,
    ) -> Self {
        let before = &trial.before;
        let keys: HashSet<&ApiKeyId> = before.keys.iter().map(|key| &key.id).collect();
        let lives = |workload: &&Workload| {
            workload
                .identity
                .key
                .as_ref()
                .is_none_or(|key| keys.contains(key))
        };
        let under = |anchor| {
            let workloads = workloads.iter().filter(lives);
            workloads.filter(move |workload| workload.anchor.as_ref() == Some(anchor))
        };
        let remaining = || under(&rotation.old_certificate_id);
        Self {
            comparing: trial.comparing(&Scope::Organization, workloads, now),
            progress: RotationProgress {
                since: 0,
                observed: 0,
                moved_count: count(under(&rotation.new_certificate_id).count()),
                remaining_count: count(remaining().count()),
                failing_count: 0,
                unjudged_count: 0,
                remaining: Vec::new(),
                failing: Vec::new(),
                unseen: unseen(rotation, before, workloads, now),
                problems: Vec::new(),
            },
            remaining: remaining().take(MAX_NAMED_WORKLOADS).cloned().collect(),
            leaves: HashMap::new(),
        }
    }
}

impl Judgement for Judging {
    type Answer = RotationProgress;

    fn add(&mut self, part: &Observed) {
        self.comparing.add(part);
        for workload in &self.remaining {
            if let Some(chain) = workload.identity.chain
                && let Some(leaf) = leaf(part, chain)
            {
                self.leaves.insert(chain, leaf);
            }
        }
    }

    fn finish(self) -> RotationProgress {
        let found = self.comparing.finish();
        let leaves = self.leaves;
        let remaining = self.remaining.into_iter().map(|workload| RotationWorkload {
            identity: WorkloadIdentity {
                leaf: workload
                    .identity
                    .chain
                    .and_then(|chain| leaves.get(&chain).cloned()),
                project: workload.identity.project,
                key: workload.identity.key,
            },
            requests: workload.requests,
            last_seen: workload.last_seen,
        });
        let mut failing = found.starts_to_fail;
        let failing_count = count(failing.len());
        failing.truncate(MAX_NAMED_WORKLOADS);
        RotationProgress {
            observed: found.workloads + found.unjudged,
            failing_count,
            unjudged_count: found.unjudged,
            remaining: remaining.collect(),
            failing,
            ..self.progress
        }
    }
}

/// Keys that open one of the rotation's projects and were not seen.
fn unseen(
    rotation: &Rotation,
    bundle: &OrganizationBundle,
    workloads: &[Workload],
    now: UnixSeconds,
) -> Vec<ApiKeyId> {
    let seen = workloads.iter().filter_map(|one| one.identity.key.as_ref());
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
