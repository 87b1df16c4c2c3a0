//! What takes the access of a certificate away that would verify: a denial, or an anchor's floor.

use std::fmt;

use countersign_types::{
    UnixSeconds,
    bundle::{BundleDenial, BundleFloor},
    id::{ApiKeyId, DenialId},
};

use crate::time::rfc3339;

/// The denial that refuses a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedBy {
    /// Its id.
    pub id: DenialId,
    /// Its name.
    pub name: String,
    created_by: ApiKeyId,
    created_at: UnixSeconds,
    expires_at: Option<UnixSeconds>,
}

impl DeniedBy {
    /// Whether it still refuses anything.
    pub(crate) fn is_in_force(&self, now: UnixSeconds) -> bool {
        now < self.until()
    }

    /// The second from which it refuses nothing any more.
    #[must_use]
    pub fn until(&self) -> UnixSeconds {
        self.expires_at.unwrap_or(UnixSeconds::MAX)
    }
}

impl From<&BundleDenial> for DeniedBy {
    fn from(denial: &BundleDenial) -> Self {
        Self {
            id: denial.id.clone(),
            name: denial.name.clone(),
            created_by: denial.created_by.clone(),
            created_at: denial.created_at,
            expires_at: denial.expires_at,
        }
    }
}

/// Shown as `` `stolen laptop` (deny_…), added by key_… at 2026-11-26T12:00:00Z ``.
impl fmt::Display for DeniedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name, by) = (&self.id, &self.name, &self.created_by);
        let at = rfc3339(self.created_at);
        write!(f, "`{name}` ({id}), added by {by} at {at}")
    }
}

/// A leaf's `notBefore`, and the floor that it is below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BelowFloor {
    pub(crate) not_before: UnixSeconds,
    pub(crate) floor: BundleFloor,
}

/// Shown as `2026-11-01T00:00:00Z, before the floor of 2026-11-20T00:00:00Z, set by key_… at
/// 2026-11-26T12:00:00Z`.
impl fmt::Display for BelowFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let floor = &self.floor;
        write!(
            f,
            "{}, before the floor of {}, set by {} at {}",
            rfc3339(self.not_before),
            rfc3339(floor.refuse_issued_before),
            floor.set_by,
            rfc3339(floor.set_at)
        )
    }
}
