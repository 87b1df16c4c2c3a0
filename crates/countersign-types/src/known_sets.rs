//! Sets of revoked serial numbers that a process has in memory: each once, however many organizations and
//! versions of their trust it is part of.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{digest::Sha256, revoked_set::RevokedSet};

/// The sets in memory, by their digests.
#[derive(Debug)]
pub struct KnownSets(Mutex<Sets>);

#[derive(Debug)]
struct Sets {
    by_digest: HashMap<Sha256, Weak<RevokedSet>>,
    /// Those that were used last: they stay though nothing is judged by them.
    recent: VecDeque<Arc<RevokedSet>>,
    /// The most bytes that those may have, the latest aside.
    most: usize,
}

impl KnownSets {
    /// Keeps the sets that were used last, up to this many bytes, and all that are in use elsewhere.
    #[must_use]
    pub fn keeping(most: usize) -> Self {
        Self(Mutex::new(Sets {
            by_digest: HashMap::new(),
            recent: VecDeque::new(),
            most,
        }))
    }

    /// The set of a digest, if it is in memory.
    #[must_use]
    pub fn find(&self, sha256: Sha256) -> Option<Arc<RevokedSet>> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sets.by_digest.get(&sha256)?.upgrade()?;
        sets.keep(&found);
        Some(found)
    }

    /// Takes in a set; if it is there already, that one is answered with.
    #[must_use]
    pub fn add(&self, set: Arc<RevokedSet>) -> Arc<RevokedSet> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sets.by_digest.get(&set.sha256()).and_then(Weak::upgrade);
        let set = known.unwrap_or(set);
        sets.by_digest.retain(|_, each| each.strong_count() > 0);
        sets.by_digest.insert(set.sha256(), Arc::downgrade(&set));
        sets.keep(&set);
        set
    }
}

impl Sets {
    fn keep(&mut self, set: &Arc<RevokedSet>) {
        self.recent.retain(|each| !Arc::ptr_eq(each, set));
        self.recent.push_back(Arc::clone(set));
        let bytes = |recent: &VecDeque<Arc<RevokedSet>>| -> usize {
            recent.iter().map(|each| each.as_bytes().len()).sum()
        };
        while self.recent.len() > 1 && bytes(&self.recent) > self.most {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revoked_set::{RECORD_BYTES, Revocation, record};

    fn set(serial: u8) -> Arc<RevokedSet> {
        let revocation = Revocation {
            at: 1,
            reason: None,
        };
        Arc::new(RevokedSet::new(vec![record(&[serial], revocation)]).unwrap())
    }

    #[test]
    fn a_set_is_there_once_and_goes_when_nobody_has_it() {
        let known = KnownSets::keeping(2 * RECORD_BYTES);
        let first = known.add(set(1));
        assert!(Arc::ptr_eq(&first, &known.add(set(1))));
        let digest = first.sha256();
        let (second, third) = (known.add(set(2)), known.add(set(3)));
        assert!(known.find(digest).is_some(), "it is in use");
        let digests = [second.sha256(), third.sha256()];
        drop((second, third));
        // The first was used last, so the second made room.
        assert_eq!(
            digests.map(|each| known.find(each).is_some()),
            [false, true]
        );
        drop(first);
        assert!(known.find(digest).is_some(), "it is among the latest");
        let _ = (known.add(set(4)), known.add(set(5)));
        assert!(known.find(digest).is_none());
    }
}
