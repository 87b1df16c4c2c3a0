//! Organizations. The operator creates them, and none can see another.

use serde::{Deserialize, Serialize};

use crate::{UnixSeconds, id::OrganizationId};

/// An organization of this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id, `org-…`.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// The deployment's revision at its latest change.
    pub revision: u64,
}
