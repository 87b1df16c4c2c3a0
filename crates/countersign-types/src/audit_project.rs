//! The project that an event is about, where the event is written.

use crate::id::ProjectId;

/// A project as an event names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name at the time of the event.
    pub name: Option<String>,
}
