//! Keys in bundles: all of them, or what changed of them.

use countersign_types::{
    bundle::{BundleKey, KeyChanges},
    id::ApiKeyId,
};

/// Which keys of organizations are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysRead {
    /// All of them.
    All,
    /// What changed of them after a revision that the history reaches back to.
    ChangedAfter(u64),
}

/// Changed keys: those that are there came, and the others went.
pub(super) fn key_changes(changed: Vec<(ApiKeyId, Option<BundleKey>)>) -> KeyChanges {
    let mut changes = KeyChanges::default();
    for (id, key) in changed {
        match key {
            Some(key) => changes.added.push(key),
            None => changes.removed.push(id),
        }
    }
    changes
}
