//! The audit log: newest first.

use countersign_types::{
    UnixSeconds,
    audit::AuditLog,
    id::OrganizationId,
    page::{DEFAULT_LIMIT, Page},
};

use super::{Store, StoreError, unfinished};

/// Bounds on `effective_at`, each in Unix seconds; all that are there hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditRange {
    /// Later than this.
    pub gt: Option<UnixSeconds>,
    /// At this or later.
    pub gte: Option<UnixSeconds>,
    /// Earlier than this.
    pub lt: Option<UnixSeconds>,
    /// At this or earlier.
    pub lte: Option<UnixSeconds>,
}

/// Which events are wanted: those that pass every filter; an empty list filters nothing. The edge
/// bounds how long the lists may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// When.
    pub effective_at: AuditRange,
    /// About one of these projects.
    pub project_ids: Vec<String>,
    /// Of one of these types.
    pub event_types: Vec<String>,
    /// By one of these actors.
    pub actor_ids: Vec<String>,
    /// About one of these things.
    pub resource_ids: Vec<String>,
}

/// Which page of the log is wanted. With both cursors, it starts after `after` and ends before
/// `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The most events that it may hold.
    pub limit: u32,
    /// The event that it follows: older ones.
    pub after: Option<String>,
    /// The event that it precedes: newer ones, those next to it.
    pub before: Option<String>,
}

impl Default for AuditPage {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            after: None,
            before: None,
        }
    }
}

impl Store {
    /// Events of an organization, newest first. `has_more` tells whether there are more in the
    /// direction that was asked for.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] with the cursor's text.
    pub async fn list_audit_logs(
        &self,
        _organization: &OrganizationId,
        _filter: &AuditFilter,
        _page: &AuditPage,
    ) -> Result<Page<AuditLog>, StoreError> {
        Err(unfinished())
    }
}
