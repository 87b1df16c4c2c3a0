//! Counts that wait to be sent. Memory is bounded: what is over the limit is dropped, and counted
//! as dropped.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    id::OrganizationId,
    observation::{MAX_BATCH_BYTES, MAX_OBSERVATIONS},
};
use metrics::Counter;

use super::{
    new_chains::limited,
    tally::{Counts, Subject, Tally, dropped},
};
use crate::verdict::chain::Chain;

/// The most that waits to be acknowledged: distinct counts, and bytes of the chains they name.
pub(crate) const MAX_ENTRIES: usize = 65_536;
pub(crate) const MAX_CHAIN_BYTES: usize = 64 * 1024 * 1024;
/// How many of these bytes may be of one organization.
const MAX_CHAIN_BYTES_OF_ONE: usize = MAX_CHAIN_BYTES / 4;
/// What an observation and the frame of a chain take in a batch at the most, in bytes.
const OBSERVATION_BYTES: usize = 1280;
const CHAIN_BYTES: usize = 256;
/// A subject is counted apart for each UTC day.
const DAY: UnixSeconds = 24 * 60 * 60;

/// What is counted together: a subject on a UTC day.
pub(crate) type CountKey = (Subject, u64);

/// A count, and the chain that the control plane may have to be sent with it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) counts: Counts,
    pub(crate) chain: Arc<Chain>,
}

impl Entry {
    /// An upper bound of its bytes in a batch, its chain included: base 64 makes four bytes of
    /// three.
    fn bytes_in_batch(&self) -> usize {
        let certificates = self.chain.presented.judged().len();
        OBSERVATION_BYTES + CHAIN_BYTES + 8 * certificates + self.chain.bytes().div_ceil(3) * 4
    }
}

/// Counts that were not sent yet.
pub(crate) struct Pending {
    /// The most that may wait of one organization, and how much does.
    most_of_one: usize,
    of_each: HashMap<OrganizationId, Waiting>,
    pub(crate) entries: HashMap<CountKey, Entry>,
    pub(crate) chain_bytes: usize,
    dropped: Counter,
}

/// What waits of one organization.
#[derive(Debug, Default)]
struct Waiting {
    entries: usize,
    chain_bytes: usize,
}

impl Pending {
    /// Nothing waits yet; of one organization, at most this many counts ever do.
    pub(crate) fn new(most_of_one: usize) -> Self {
        Self {
            most_of_one,
            of_each: HashMap::new(),
            entries: HashMap::new(),
            chain_bytes: 0,
            dropped: dropped(),
        }
    }

    pub(crate) fn add(&mut self, tally: &Tally, counts: Counts) {
        let mut subject = tally.subject.clone();
        // They are counted apart, and an observation does not name them.
        subject.outcome.refused_by = None;
        subject.outcome.reported_by = None;
        let key = (subject, counts.last_seen / DAY);
        self.insert(key, counts, &tally.chain);
    }

    pub(crate) fn insert(&mut self, key: CountKey, counts: Counts, chain: &Arc<Chain>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let known = &mut entry.counts;
            known.requests = known.requests.saturating_add(counts.requests);
            known.first_seen = known.first_seen.min(counts.first_seen);
            known.last_seen = known.last_seen.max(counts.last_seen);
            return;
        }
        let bytes = chain.bytes();
        if self.entries.len() >= MAX_ENTRIES || self.chain_bytes + bytes > MAX_CHAIN_BYTES {
            self.dropped.increment(counts.requests);
            return;
        }
        let (subject, _) = &key;
        let waiting = self.of_each.entry(subject.organization.clone());
        let waiting = waiting.or_default();
        if waiting.entries >= self.most_of_one
            || waiting.chain_bytes + bytes > MAX_CHAIN_BYTES_OF_ONE
        {
            limited("observations");
            self.dropped.increment(counts.requests);
            return;
        }
        waiting.entries += 1;
        waiting.chain_bytes += bytes;
        self.chain_bytes += bytes;
        let entry = Entry {
            counts,
            chain: Arc::clone(chain),
        };
        self.entries.insert(key, entry);
    }

    /// Takes as much as fits in a batch even if all its chains must be sent with it, and so many
    /// bytes of other things.
    pub(crate) fn next(&mut self, others: usize) -> Vec<(CountKey, Entry)> {
        // One observation less leaves room for the rest of the batch.
        let mut room = MAX_BATCH_BYTES.saturating_sub(OBSERVATION_BYTES + others);
        let mut keys = Vec::new();
        for (key, entry) in self.entries.iter().take(MAX_OBSERVATIONS) {
            let Some(rest) = room.checked_sub(entry.bytes_in_batch()) else {
                break;
            };
            room = rest;
            keys.push(key.clone());
        }
        let next: Vec<_> = keys
            .iter()
            .filter_map(|key| self.entries.remove_entry(key))
            .collect();
        for ((subject, _), entry) in &next {
            let bytes = entry.chain.bytes();
            self.chain_bytes = self.chain_bytes.saturating_sub(bytes);
            if let Some(waiting) = self.of_each.get_mut(&subject.organization) {
                waiting.entries = waiting.entries.saturating_sub(1);
                waiting.chain_bytes = waiting.chain_bytes.saturating_sub(bytes);
            }
        }
        self.of_each.retain(|_, waiting| waiting.entries > 0);
        next
    }

    pub(crate) fn requests(&self) -> u64 {
        let counts = self.entries.values().map(|entry| entry.counts.requests);
        counts.sum()
    }
}
