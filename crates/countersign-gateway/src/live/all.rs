//! The streams of all threads, counted for the control plane.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use countersign_types::{
    UnixSeconds,
    id::OrganizationId,
    live_streams::{MAX_LIVE_WORKLOADS, OrganizationStreams, WorkloadStreams},
    workload::ObservedWorkload,
};

use super::stream::LiveStreams;
use crate::caller::snapshot::Snapshot;

/// A stream that is younger is not reported: most requests are over before a report would arrive.
const REPORTED_AFTER: Duration = Duration::from_secs(1);

/// The streams of all threads.
#[derive(Debug, Default)]
pub(crate) struct AllLiveStreams(Mutex<Vec<Weak<LiveStreams>>>);

impl AllLiveStreams {
    /// Counts a thread's streams among all.
    pub(crate) fn add(&self, thread: &Arc<LiveStreams>) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Arc::downgrade(thread));
    }

    /// How many streams each workload has under way, in a fixed order.
    pub(crate) fn report(&self, snapshot: &Snapshot, now: UnixSeconds) -> Vec<OrganizationStreams> {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let threads: Vec<_> = threads.iter().filter_map(Weak::upgrade).collect();
        let mut counts: HashMap<(OrganizationId, ObservedWorkload), u64> = HashMap::new();
        for thread in threads {
            for stream in thread.streams() {
                if !stream.has_passed() || stream.age() < REPORTED_AFTER {
                    continue;
                }
                let Some(caller) = snapshot.caller(&stream.credential, now) else {
                    continue;
                };
                let identity = caller.identity;
                let workload = ObservedWorkload {
                    project: identity.project().cloned(),
                    key: identity.key.clone(),
                    chain: stream.connection.chain_digest(),
                };
                let of = (identity.organization.clone(), workload);
                *counts.entry(of).or_default() += 1;
            }
        }
        named(counts)
    }
}

/// The workloads with the most streams by name, and of the others only the sums. What is named are so many
/// organizations and workloads together.
fn named(counts: HashMap<(OrganizationId, ObservedWorkload), u64>) -> Vec<OrganizationStreams> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(one, of_one), (other, of_other)| {
        of_other.cmp(of_one).then_with(|| one.cmp(other))
    });
    let mut all: HashMap<OrganizationId, OrganizationStreams> = HashMap::new();
    let mut room = MAX_LIVE_WORKLOADS;
    for ((organization, identity), streams) in counts {
        if !all.contains_key(&organization) {
            let Some(rest) = room.checked_sub(1) else {
                continue;
            };
            room = rest;
        }
        let of_this = all
            .entry(organization.clone())
            .or_insert_with(|| OrganizationStreams {
                organization,
                streams: 0,
                workloads: Vec::new(),
            });
        of_this.streams += streams;
        if let Some(rest) = room.checked_sub(1) {
            room = rest;
            of_this
                .workloads
                .push(WorkloadStreams { identity, streams });
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_unstable_by(|one, other| one.organization.cmp(&other.organization));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::id::ApiKeyId;

    #[test]
    fn the_workloads_with_the_most_streams_are_named_and_all_are_counted() {
        let organization = |number| OrganizationId::from_random(number);
        let of = |of, key| {
            let workload = ObservedWorkload {
                key: Some(ApiKeyId::from_random(key)),
                ..ObservedWorkload::default()
            };
            (organization(of), workload)
        };
        let mut counts: HashMap<_, _> = (0..1_500).map(|key| (of(1, key), 1)).collect();
        counts.insert(of(2, 7), 40);
        let report = named(counts);
        let sums: Vec<_> = report
            .iter()
            .map(|each| (each.streams, each.workloads.len()))
            .collect();
        let (first, second) = ((1_500, MAX_LIVE_WORKLOADS - 3), (40, 1));
        let sorted = if organization(1) < organization(2) {
            [first, second]
        } else {
            [second, first]
        };
        assert_eq!(sums, sorted);
    }
}
