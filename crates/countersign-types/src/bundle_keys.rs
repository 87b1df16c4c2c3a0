//! Keys in bundles: all of an organization's, or what changed of them, so that one with very many need not be sent
//! whole (docs/specification.md, section 4).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    api_key::KeyKind,
    digest::{KeyDigest, Sha256},
    id::{self, ApiKeyId, ProjectId},
};

/// A key, identified by the SHA-256 of its value.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleKey {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: ApiKeyId,
    /// `admin` or `project`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: KeyKind,
    /// SHA-256 of the key's value, 64 lower-case hexadecimal digits.
    pub sha256: KeyDigest,
    /// The project that it calls as; `None` for an admin key.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// When it stops working, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub expires_at: Option<UnixSeconds>,
}

/// What changed of an organization's keys after the point that was asked after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyChanges {
    /// The keys that came, oldest first.
    pub added: Vec<BundleKey>,
    /// The keys that went. Some may never have been sent.
    #[serde(deserialize_with = "id::checked")]
    pub removed: Vec<ApiKeyId>,
}

/// The sum of keys, in whatever order: each adds itself, and takes itself out again. Whoever has the sum of some
/// keys and what changed knows the sum of those that are left, without a look at the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysSum([u8; 32]);

impl KeysSum {
    /// The sum of no keys.
    pub const NONE: Self = Self([0; 32]);

    /// The sum of these keys.
    #[must_use]
    pub fn of(keys: &[BundleKey]) -> Self {
        let mut sum = Self::NONE;
        keys.iter().for_each(|key| sum.toggle(key));
        sum
    }

    /// Adds a key that is not in it, or takes out one that is.
    pub fn toggle(&mut self, key: &BundleKey) {
        let one = Sha256::of(text(key));
        for (byte, other) in self.0.iter_mut().zip(one.as_bytes()) {
            *byte ^= other;
        }
    }
}

impl From<Sha256> for KeysSum {
    fn from(sum: Sha256) -> Self {
        Self(*sum.as_bytes())
    }
}

impl From<KeysSum> for Sha256 {
    fn from(sum: KeysSum) -> Self {
        Self::new(sum.0)
    }
}

/// All that is said of a key. No two keys have the same: what stands between the spaces has none.
fn text(key: &BundleKey) -> String {
    let project = key.project.as_ref().map_or("-", |project| project.as_str());
    let expires_at = key.expires_at.map_or_else(String::new, |at| at.to_string());
    let kind = key.kind.as_str();
    let sha256 = Sha256::new(*key.sha256.as_bytes());
    format!("{} {kind} {sha256} {project} {expires_at}", key.id)
}

impl KeyChanges {
    /// Whether nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// The sum of the keys after the change, from these keys and their sum.
    #[must_use]
    pub fn sum_after(&self, before: &[BundleKey], mut sum: KeysSum) -> KeysSum {
        if !self.removed.is_empty() {
            let gone = self.gone();
            let removed = before.iter().filter(|key| gone.contains(&key.id));
            removed.for_each(|key| sum.toggle(key));
        }
        self.added.iter().for_each(|key| sum.toggle(key));
        sum
    }

    /// The keys after the change.
    #[must_use]
    pub fn applied_to(self, before: &[BundleKey]) -> Vec<BundleKey> {
        let mut keys = Vec::with_capacity(before.len() + self.added.len());
        let gone = self.gone();
        keys.extend(before.iter().filter(|key| !gone.contains(&key.id)).cloned());
        keys.extend(self.added);
        keys
    }

    fn gone(&self) -> HashSet<&ApiKeyId> {
        self.removed.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> BundleKey {
        BundleKey {
            id: ApiKeyId::from_random(number),
            kind: KeyKind::Project,
            sha256: KeyDigest::of(number.to_be_bytes()),
            project: Some(ProjectId::from_random(7)),
            expires_at: None,
        }
    }

    #[test]
    fn a_sum_knows_every_key_and_all_that_is_said_of_it() {
        let keys = [key(1), key(2), key(3)];
        let sum = KeysSum::of(&keys);
        assert_eq!(sum, KeysSum::of(&[key(3), key(1), key(2)]));
        assert_eq!(KeysSum::of(&[]), KeysSum::NONE);
        for other in [
            BundleKey {
                id: ApiKeyId::from_random(9),
                ..key(1)
            },
            BundleKey {
                kind: KeyKind::Admin,
                ..key(1)
            },
            BundleKey {
                sha256: KeyDigest::of("other"),
                ..key(1)
            },
            BundleKey {
                project: None,
                ..key(1)
            },
            BundleKey {
                expires_at: Some(1),
                ..key(1)
            },
        ] {
            assert_ne!(KeysSum::of(&[other, key(2), key(3)]), sum);
        }
        assert_eq!(KeysSum::from(Sha256::from(sum)), sum);
    }

    #[test]
    fn changes_fit_the_keys_that_they_were_made_for_and_no_others() {
        let before = [key(1), key(2), key(3)];
        let after = vec![key(1), key(3), key(4)];
        let changes = KeyChanges {
            added: vec![key(4)],
            removed: vec![key(2).id, key(5).id],
        };
        let fit = |before: &[BundleKey]| {
            let sum = changes.sum_after(before, KeysSum::of(before));
            (sum == KeysSum::of(&after)).then(|| changes.clone().applied_to(before))
        };
        assert_eq!(fit(&before), Some(after.clone()));
        // One is missing, one too many, or the change was made already.
        assert_eq!(fit(&before[..2]), None);
        assert_eq!(fit(&[key(1), key(2), key(3), key(6)]), None);
        assert_eq!(fit(&after), None);
        assert!(KeyChanges::default().is_empty() && !changes.is_empty());
    }
}
