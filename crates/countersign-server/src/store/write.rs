//! The only way to change an organization: a transaction that leaves through [`WriteTx::commit`].

use countersign_types::{
    UnixSeconds,
    audit::{Actor, AuditEvent},
    id::OrganizationId,
};

use super::{Store, StoreError, unfinished};

/// What a write verb did: its answer, and what the audit log must say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the change happens only when its events are committed"]
pub struct Change<T> {
    /// What the API answers.
    pub answer: T,
    /// What to hand to [`WriteTx::commit`]; empty when nothing changed.
    pub events: Vec<AuditEvent>,
}

/// A write to one organization. Dropped without [`WriteTx::commit`], nothing happened.
pub struct WriteTx {
    organization: OrganizationId,
    actor: Actor,
    now: UnixSeconds,
}

impl Store {
    /// Begins a write to an organization, and waits for others that write to it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such organization,
    /// [`StoreError::KeyRevoked`] when the actor is an admin key that no longer is one of it.
    pub async fn write(
        &self,
        _organization: &OrganizationId,
        _actor: Actor,
    ) -> Result<WriteTx, StoreError> {
        Err(unfinished())
    }
}

impl WriteTx {
    /// The moment of this write, in Unix seconds: it never runs backwards within an organization,
    /// whichever node writes.
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// Makes the change durable together with its audit events, and tells everyone who waits.
    /// Answers the deployment's revision of the change. Without events nothing changed: then
    /// nothing is written and the answer is the revision as it is.
    ///
    /// # Errors
    /// Any: then nothing changed, unless [`StoreError::Unavailable`] came of losing the connection
    /// while committing, when it may have.
    pub async fn commit(self, _events: Vec<AuditEvent>) -> Result<u64, StoreError> {
        let _ = (self.organization, self.actor);
        Err(unfinished())
    }
}
