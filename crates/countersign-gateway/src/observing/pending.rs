//! Counts that wait to be sent. Memory is bounded: what is over the limit is dropped, and counted
//! as dropped.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    observation::{MAX_BATCH_BYTES, MAX_OBSERVATIONS},
};
use metrics::Counter;

use super::tally::{Counts, Subject, Tally, dropped};
use crate::verdict::chain::Chain;

/// The most that waits to be acknowledged: distinct counts, and bytes of the chains they name.
pub(crate) const MAX_ENTRIES: usize = 65_536;
pub(crate) const MAX_CHAIN_BYTES: usize = 64 * 1024 * 1024;
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
    pub(crate) entries: HashMap<CountKey, Entry>,
    pub(crate) chain_bytes: usize,
    dropped: Counter,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            chain_bytes: 0,
            dropped: dropped(),
        }
    }
}

impl Pending {
    pub(crate) fn add(&mut self, tally: &Tally, counts: Counts) {
        let key = (tally.subject.clone(), counts.last_seen / DAY);
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
        self.chain_bytes += bytes;
        let entry = Entry {
            counts,
            chain: Arc::clone(chain),
        };
        self.entries.insert(key, entry);
    }

    /// Takes as much as fits in a batch, should all its chains have to go with it.
    pub(crate) fn next(&mut self) -> Vec<(CountKey, Entry)> {
        // One observation less leaves room for the rest of the batch.
        let mut room = MAX_BATCH_BYTES - OBSERVATION_BYTES;
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
        for (_, entry) in &next {
            self.chain_bytes = self.chain_bytes.saturating_sub(entry.chain.bytes());
        }
        next
    }

    pub(crate) fn requests(&self) -> u64 {
        let counts = self.entries.values().map(|entry| entry.counts.requests);
        counts.sum()
    }
}
