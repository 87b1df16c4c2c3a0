//! Organizations: made by the operator, blind to each other.

use serde::{Deserialize, Serialize};

use crate::{UnixSeconds, id::OrganizationId};

/// An organization of this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id, `org-…`.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
    /// The number of its latest change.
    pub revision: u64,
}
