//! What can go wrong in the store. It knows no HTTP: the edge decides what a client is told.

use std::fmt;

use countersign_types::{certificate::Scope, id::RotationId};

/// Which kind of thing an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// A certificate.
    Certificate,
    /// A service account.
    ServiceAccount,
    /// A key.
    ApiKey,
    /// A rotation.
    Rotation,
    /// A webhook.
    Webhook,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Certificate => "certificate",
            Self::ServiceAccount => "service account",
            Self::ApiKey => "api key",
            Self::Rotation => "rotation",
            Self::Webhook => "webhook",
        })
    }
}

/// Why the store cannot answer at all just now. Each goes away without a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The disk is full.
    DiskFull,
    /// The database cannot be written.
    ReadOnly,
    /// The database cannot be reached, or the connection to it was lost.
    Disconnected,
    /// Others held the database, or every connection to it, for too long.
    Busy,
    /// The disk or the file system failed.
    InputOutput,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full",
            Self::ReadOnly => "the database is read-only",
            Self::Disconnected => "the database cannot be reached",
            Self::Busy => "the database is busy",
            Self::InputOutput => "the disk failed",
        })
    }
}

/// Why a rotation cannot be finished as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationProblem {
    /// The old anchor was deleted meanwhile.
    OldDeleted,
    /// The new anchor was deleted meanwhile.
    NewDeleted,
    /// The new anchor is expired.
    NewExpired,
    /// The old anchor was deactivated meanwhile.
    OldNotActive(Scope),
    /// The new anchor was deactivated meanwhile.
    NewNotActive(Scope),
}

impl RotationProblem {
    /// Whether finishing all the same would leave a scope without an anchor that can be verified
    /// under: then nothing overrules it.
    pub(super) const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::NewDeleted | Self::NewExpired | Self::NewNotActive(_)
        )
    }
}

/// Why the store did not do what it was asked. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The organization has nothing of that id. Another organization's id is the same.
    #[error("no {kind} `{id}`")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id that it was looked for by.
        id: String,
    },
    /// A page was asked for after (or before) something that is not in the list.
    #[error("no `{0}` in the list to go on from")]
    UnknownCursor(String),
    /// The certificate is active, so it cannot be deleted.
    #[error("the certificate is active at {} scopes", scopes.len())]
    CertificateInUse {
        /// Everywhere that it is active: the organization first, then projects by id.
        scopes: Vec<Scope>,
    },
    /// The organization holds as many certificates as it may.
    #[error("the organization holds as many certificates as it may")]
    CertificateLimit,
    /// The organization has as many webhooks as it may.
    #[error("the organization has as many webhooks as it may")]
    WebhookLimit,
    /// A certificate that was to be activated is expired.
    #[error("certificate number {index} of the request is expired")]
    Expired {
        /// Its place in the ids of the request, from 0.
        index: usize,
    },
    /// What is active at the scope is not what the caller expected.
    #[error("what is active at the scope is not what was expected")]
    ScopeChanged,
    /// The certificate that was to be rotated is not active there.
    #[error("the certificate to rotate is not active there")]
    NotActive {
        /// The place of the project in those of the request; `None` when it is active nowhere.
        index: Option<usize>,
    },
    /// Another rotation of one of the certificates is under way.
    #[error("rotation `{id}` of one of the certificates is under way")]
    RotationInProgress {
        /// The other rotation.
        id: RotationId,
    },
    /// The rotation was ended the other way.
    #[error("the rotation was ended already")]
    RotationEnded,
    /// The rotation cannot be finished as it is.
    #[error("{} problems stand in the rotation's way", problems.len())]
    RotationBroken {
        /// What stands in the way.
        problems: Vec<RotationProblem>,
    },
    /// A scope would be left with nothing enforced, where something is.
    #[error("nothing would be enforced where something is")]
    WouldDisarm {
        /// The scope.
        scope: Scope,
    },
    /// The project is archived, so nothing new can be made or activated in it.
    #[error("the project is archived")]
    ProjectArchived,
    /// The key that writes was deleted or expired after it was read.
    #[error("the key that writes is no longer valid")]
    KeyRevoked,
    /// The database cannot answer just now; asking again later can help.
    #[error("{0}: {1}")]
    Unavailable(Outage, String),
    /// The store cannot be opened as it was configured; the text says why.
    #[error("{0}")]
    Configuration(String),
    /// The database was written by a newer version of this program.
    #[error(
        "the database is at schema version {found}, newer than this program's {known}: \
         run a program at least as new as the one that wrote it"
    )]
    TooNew {
        /// The database's schema version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The database holds what this program never writes.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// The database refused a statement: a fault of this program.
    #[error("the database refused a statement: {0}")]
    Internal(String),
}

impl StoreError {
    pub(super) fn not_found(kind: Kind, id: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            id: id.into(),
        }
    }
}
