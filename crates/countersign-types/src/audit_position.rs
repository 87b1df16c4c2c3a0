//! Where an audit event stands: in the chain of its organization's events, and in the history.

use serde::{Deserialize, Serialize};

use crate::{UnixSeconds, digest::Sha256, history::RevisionToken, or_unknown::OrUnknown};

/// An event's position in the hash chain of its organization's events, which makes tampering
/// visible (see `docs/audit.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditChain {
    /// Its number in the organization, from 1.
    pub number: u64,
    /// SHA-256 of the event before it, in hexadecimal; of the first, 64 zeros.
    pub previous_sha256: Sha256,
    /// SHA-256 of this event, in hexadecimal.
    pub sha256: Sha256,
}

/// The change that an event was written with, and perhaps others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditCommit {
    /// The change's token.
    pub token: RevisionToken,
    /// The revision of the organization's change before it; 0 for the first.
    pub after: u64,
}

/// The newest event of an organization and its hash. Whoever keeps it elsewhere can check later
/// that the log up to it is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditHead {
    /// Always `audit_log.head`.
    #[cfg_attr(feature = "openapi", schema(value_type = AuditHeadObject))]
    pub object: OrUnknown<AuditHeadObject>,
    /// The event's number, which is also the number of events.
    pub number: u64,
    /// SHA-256 of the event, in hexadecimal.
    pub sha256: Sha256,
    /// When it happened, in Unix seconds.
    pub effective_at: UnixSeconds,
}

/// The object type `audit_log.head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditHeadObject {
    /// `audit_log.head`
    #[default]
    #[serde(rename = "audit_log.head")]
    AuditLogHead,
}
