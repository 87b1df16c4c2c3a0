//! The chain of an organization's audit events: each holds the hash of the one before it.

use countersign_types::{
    audit::{Actor, AuditChain, AuditCommit, AuditLog, AuditLogProject},
    digest::Sha256,
    id::ProjectId,
};
use countersign_verify::audit_chain::event_sha256;
use serde_json::{Map, Value as Json};

use super::{
    StoreError,
    row::{FromRow, Row},
};

/// The newest event of an organization's log: its number and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) sha256: Sha256,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            number: 0,
            sha256: Sha256::ZERO,
        }
    }
}

impl Head {
    /// Appends an event to the chain: it is the head from then on.
    pub(super) fn append(&mut self, event: &AuditLog) -> Result<AuditChain, StoreError> {
        let mut chain = AuditChain {
            number: self.number + 1,
            previous_sha256: self.sha256,
            // An event's hash is over everything but itself.
            sha256: Sha256::ZERO,
        };
        let event = AuditLog {
            chain: Some(chain.clone()),
            ..event.clone()
        };
        let event = serde_json::to_value(event).map_err(internal)?;
        let event = event.as_object().ok_or_else(|| internal("no object"))?;
        chain.sha256 = event_sha256(event);
        *self = Self {
            number: chain.number,
            sha256: chain.sha256,
        };
        Ok(chain)
    }
}

fn internal(error: impl ToString) -> StoreError {
    StoreError::Internal(format!("an audit event as JSON: {}", error.to_string()))
}

impl FromRow for Head {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.next()?,
            sha256: row.next()?,
        })
    }
}

impl FromRow for AuditLog {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let Unchained(event) = row.several()?;
        let chain = chain(row.next()?, row.next()?, row.next()?);
        let (token, after): (Option<_>, Option<_>) = (row.next()?, row.next()?);
        let commit = token.zip(after);
        let commit = commit.map(|(token, after)| AuditCommit { token, after });
        Ok(Self {
            chain,
            commit,
            ..event
        })
    }
}

/// An event's place in the chain. A row that was written around us may have none, or one that
/// cannot be read: it is shown without one, so that whoever verifies the log sees which it is.
fn chain(number: i64, previous_sha256: &str, sha256: &str) -> Option<AuditChain> {
    Some(AuditChain {
        number: u64::try_from(number).ok().filter(|number| *number > 0)?,
        previous_sha256: previous_sha256.parse().ok()?,
        sha256: sha256.parse().ok()?,
    })
}

/// An event without its place in the chain: the seven columns that the table had before there was
/// a chain.
pub(super) struct Unchained(pub(super) AuditLog);

impl FromRow for Unchained {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let id = row.next()?;
        let event_type: String = row.next()?;
        let effective_at = row.next()?;
        let (project, name): (Option<ProjectId>, _) = (row.next()?, row.next()?);
        let actor = actor(row.next()?)?;
        let details: Json = serde_json::from_str(row.next()?)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Self(AuditLog {
            id,
            effective_at,
            project: project.map(|id| AuditLogProject { id: Some(id), name }),
            actor: Some(actor.to_audit()),
            chain: None,
            commit: None,
            details: Map::from_iter([(event_type.clone(), details)]),
            event_type,
        }))
    }
}

fn actor(id: &str) -> Result<Actor, StoreError> {
    if id == Actor::Operator.id() {
        return Ok(Actor::Operator);
    }
    let key = id.parse().map(Actor::ApiKey);
    key.map_err(|_| StoreError::Corrupt("an actor that is no key".to_owned()))
}
