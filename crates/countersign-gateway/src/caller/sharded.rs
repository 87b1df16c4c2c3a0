//! A map of which copies share what they have in common: a change copies one shard, and not the whole.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

/// The number of shards. With a million entries, a change copies a few hundred of them.
const SHARDS: usize = GROUPS * IN_GROUP;
/// They are shared in groups, so that neither a copy nor a comparison of two has to do with each of them.
const GROUPS: usize = 64;
const IN_GROUP: usize = 64;

type Shard<K, V, S> = Arc<HashMap<K, V, S>>;

/// A map in shards.
#[derive(Debug, Clone)]
pub(super) struct Sharded<K, V, S> {
    groups: Vec<Arc<[Shard<K, V, S>]>>,
    hasher: S,
}

impl<K, V, S: BuildHasher + Clone + Default> Default for Sharded<K, V, S> {
    fn default() -> Self {
        let hasher = S::default();
        let empty = Arc::new(HashMap::with_hasher(hasher.clone()));
        let group: Arc<[_]> = vec![empty; IN_GROUP].into();
        Self {
            groups: vec![group; GROUPS],
            hasher,
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone> Sharded<K, V, S> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.place_of(key);
        let group = self.groups.get(place / IN_GROUP)?;
        group.get(place % IN_GROUP)?.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(shard) = self.shard_mut(&key) {
            shard.insert(key, value);
        }
    }

    /// Removes what a key leads to, if it is that.
    pub(super) fn remove_if(&mut self, key: &K, is_it: impl FnOnce(&V) -> bool) {
        if !self.get(key).is_some_and(is_it) {
            return;
        }
        if let Some(shard) = self.shard_mut(key) {
            shard.remove(key);
        }
    }

    /// What may differ from another map of which this is a copy, or the other way round: the entries of this one,
    /// and those of the other, in shards that they do not share.
    pub(super) fn unshared<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = (&'s K, &'s V)> {
        let groups = self.groups.iter().zip(&other.groups);
        let groups = groups.filter(|(one, other)| !Arc::ptr_eq(one, other));
        let shards = groups.flat_map(|(one, other)| one.iter().zip(&**other));
        let shards = shards.filter(|(one, other)| !Arc::ptr_eq(one, other));
        shards.flat_map(|(one, other)| one.iter().chain(other.iter()))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let shards = self.groups.iter().flat_map(|group| &**group);
        shards.flat_map(|shard| shard.values())
    }

    /// The shard of a key, of this map's own.
    fn shard_mut(&mut self, key: &K) -> Option<&mut HashMap<K, V, S>> {
        let place = self.place_of(key);
        let group = Arc::make_mut(self.groups.get_mut(place / IN_GROUP)?);
        group.get_mut(place % IN_GROUP).map(Arc::make_mut)
    }

    fn place_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
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
        let [shards, copied] =
            [&map, &copy].map(|map| map.groups.iter().flat_map(|group| &**group));
        let pairs = shards.clone().zip(copied);
        assert!(
            pairs
                .filter(|(one, other)| !Arc::ptr_eq(one, other))
                .count()
                <= 2
        );
        let differing: Vec<_> = map.unshared(&copy).collect();
        assert!(differing.iter().any(|(key, _)| **key == keys[7]) && differing.len() < 40);
        let largest = shards.map(|shard| shard.len()).max();
        assert!(largest < Some(20), "digests are spread: {largest:?}");
    }
}
