//! Who has moved to a rotation's new certificate, and who would be refused without the old one.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    id::{ApiKeyId, ProjectId},
    rotation::{MAX_NAMED_WORKLOADS, Rotation, RotationProgress, RotationWorkload},
    workload::WorkloadIdentity,
};

use crate::{
    preview::{Comparing, Judgement, Observed, Trial, leaf},
    store::Workload,
};

/// Whether a workload calls at one of the rotation's scopes.
fn is_at(rotation: &Rotation, workload: &Workload) -> bool {
    rotation
        .scopes
        .iter()
        .any(|scope| scope.project_id.is_none() || scope.project_id == workload.identity.project)
}

/// A rotation's end that is being judged. It comes to the progress, without its problems.
pub(super) struct Judging {
    rotation: Rotation,
    before: Arc<OrganizationBundle>,
    /// The keys that there are, each with whether it was seen.
    keys: HashMap<ApiKeyId, bool>,
    since: UnixSeconds,
    now: UnixSeconds,
    comparing: Comparing,
    moved: u64,
    remaining: u64,
    /// Those that are named, each with when it was first seen: those that were seen first.
    named: Vec<(UnixSeconds, RotationWorkload)>,
}

impl Judging {
    pub(super) fn new(
        rotation: Rotation,
        trial: &Trial,
        since: UnixSeconds,
        now: UnixSeconds,
    ) -> Self {
        let keys = trial.before.keys.iter();
        Self {
            rotation,
            before: Arc::clone(&trial.before),
            keys: keys.map(|key| (key.id.clone(), false)).collect(),
            since,
            now,
            comparing: trial.comparing(&Scope::Organization, now),
            moved: 0,
            remaining: 0,
            named: Vec::new(),
        }
    }

    fn count(&mut self, workload: &Workload, part: &Observed) {
        if let Some(key) = &workload.identity.key {
            match self.keys.get_mut(key) {
                Some(seen) => *seen = true,
                // It was deleted: whom it let in has neither moved nor remains.
                None => return,
            }
        }
        let anchor = workload.anchor.as_ref();
        if anchor == Some(&self.rotation.new_certificate_id) {
            self.moved += 1;
        } else if anchor == Some(&self.rotation.old_certificate_id) {
            self.remaining += 1;
            self.named
                .push((workload.first_seen, named(workload, part)));
            if self.named.len() >= 2 * MAX_NAMED_WORKLOADS {
                self.shorten();
            }
        }
    }

    fn shorten(&mut self) {
        let order = |(first_seen, workload): &(u64, RotationWorkload)| {
            (*first_seen, workload.identity.clone())
        };
        self.named.sort_by_cached_key(order);
        self.named.truncate(MAX_NAMED_WORKLOADS);
    }
}

impl Judgement for Judging {
    type Answer = RotationProgress;

    fn add(&mut self, mut part: Observed) {
        // Traffic is kept by the day, so the first day holds what is older than asked for.
        let (rotation, since) = (&self.rotation, self.since);
        part.workloads
            .retain(|workload| workload.last_seen >= since && is_at(rotation, workload));
        for workload in &part.workloads {
            self.count(workload, &part);
        }
        self.comparing.add(&part);
    }

    fn finish(mut self) -> RotationProgress {
        self.shorten();
        let seen = |key: &ApiKeyId| self.keys.get(key).copied().unwrap_or_default();
        let unseen = unseen(&self.rotation, &self.before, seen, self.now);
        let found = self.comparing.finish();
        let mut failing = found.starts_to_fail;
        let failing_count = u64::try_from(failing.len()).unwrap_or(u64::MAX);
        failing.truncate(MAX_NAMED_WORKLOADS);
        let remaining = self.named.into_iter().map(|(_, workload)| workload);
        RotationProgress {
            since: self.since,
            observed: found.workloads + found.unjudged,
            moved_count: self.moved,
            remaining_count: self.remaining,
            failing_count,
            unjudged_count: found.unjudged,
            remaining: remaining.collect(),
            failing,
            unseen,
            problems: Vec::new(),
        }
    }
}

fn named(workload: &Workload, part: &Observed) -> RotationWorkload {
    let chain = workload.identity.chain;
    RotationWorkload {
        identity: WorkloadIdentity {
            leaf: chain.and_then(|chain| leaf(part, chain)),
            project: workload.identity.project.clone(),
            key: workload.identity.key.clone(),
        },
        requests: workload.requests,
        last_seen: workload.last_seen,
    }
}

/// Keys that open one of the rotation's projects and were not seen.
fn unseen(
    rotation: &Rotation,
    bundle: &OrganizationBundle,
    seen: impl Fn(&ApiKeyId) -> bool,
    now: UnixSeconds,
) -> Vec<ApiKeyId> {
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
            && !seen(&key.id)
    });
    keys.map(|key| key.id.clone())
        .take(MAX_NAMED_WORKLOADS)
        .collect()
}
