//! A map of which copies share what they have in common: a change copies one shard, and not the whole.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

/// The number of shards, a power of two. With a million entries, a change copies a few hundred of them.
const SHARDS: usize = 4096;

/// A map in shards.
#[derive(Debug, Clone)]
pub(super) struct Sharded<K, V, S> {
    shards: Vec<Arc<HashMap<K, V, S>>>,
    hasher: S,
}

impl<K, V, S: BuildHasher + Clone + Default> Default for Sharded<K, V, S> {
    fn default() -> Self {
        let hasher = S::default();
        let empty = Arc::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: vec![empty; SHARDS],
            hasher,
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone> Sharded<K, V, S> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.shards.get(self.shard_of(key))?.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let shard = self.shard_of(&key);
        if let Some(shard) = self.shards.get_mut(shard) {
            Arc::make_mut(shard).insert(key, value);
        }
    }

    /// Removes what a key leads to, if it is that.
    pub(super) fn remove_if(&mut self, key: &K, is_it: impl FnOnce(&V) -> bool) {
        if !self.get(key).is_some_and(is_it) {
            return;
        }
        let shard = self.shard_of(key);
        if let Some(shard) = self.shards.get_mut(shard) {
            Arc::make_mut(shard).remove(key);
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    fn shard_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // Other bits than those that a place within a shard is chosen by, which are the lowest and the
        // highest.
        let bits = self.hasher.hash_one(key) >> 32;
        usize::try_from(bits).unwrap_or(0) & (SHARDS - 1)
    }
}

/// Takes a SHA-256 for its own hash: it is as even as any. Who asks for a digest cannot choose those that
/// are in the map.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByDigest(u64);

impl BuildHasher for ByDigest {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for ByDigest {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length that goes before the bytes says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::digest::KeyDigest;

    use super::*;

    #[test]
    fn a_copy_shares_all_shards_but_those_that_changed() {
        let mut map: Sharded<KeyDigest, u32, ByDigest> = Sharded::default();
        let keys: Vec<_> = (0..10_000_u32)
            .map(|number| KeyDigest::of(number.to_string()))
            .collect();
        for (key, value) in keys.iter().zip(0..) {
            map.insert(*key, value);
        }
        let mut copy = map.clone();
        copy.insert(keys[7], 70);
        copy.remove_if(&keys[8], |value| *value == 1);
        copy.remove_if(&keys[9], |value| *value == 9);
        assert_eq!(
            (map.get(&keys[7]), copy.get(&keys[7])),
            (Some(&7), Some(&70))
        );
        assert_eq!((copy.get(&keys[8]), copy.get(&keys[9])), (Some(&8), None));
        assert_eq!(
            (map.values().count(), copy.values().count()),
            (10_000, 9_999)
        );
        let pairs = map.shards.iter().zip(&copy.shards);
        assert!(
            pairs
                .filter(|(one, other)| !Arc::ptr_eq(one, other))
                .count()
                <= 2
        );
        let largest = map.shards.iter().map(|shard| shard.len()).max();
        assert!(largest < Some(20), "digests are spread: {largest:?}");
    }
}
