//! What can go wrong in the store. It knows no HTTP: the HTTP layer decides what a client sees.

use std::{
    fmt,
    io::{self, ErrorKind},
};

use countersign_types::{certificate::Scope, id::RotationId};

use countersign_verify::crl::CrlRejection;

use super::{kept_assertion::UnjudgedChange, quotas::Quota};

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
    /// A gateway.
    Gateway,
    /// An assertion.
    Assertion,
    /// A denial.
    Denial,
    /// A revocation list.
    Crl,
    /// The serial numbers that a revocation list names.
    RevokedSet,
    /// A workload identity provider.
    WorkloadIdentityProvider,
    /// A federation rule.
    FederationRule,
    /// A key for receipts.
    ReceiptKey,
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
            Self::Gateway => "gateway",
            Self::Assertion => "assertion",
            Self::Denial => "denial",
            Self::Crl => "revocation list",
            Self::RevokedSet => "set of serial numbers",
            Self::WorkloadIdentityProvider => "workload identity provider",
            Self::FederationRule => "federation rule",
            Self::ReceiptKey => "receipt key",
        })
    }
}

/// Why the database cannot answer at the moment. None of them needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The disk is full.
    DiskFull,
    /// The database cannot be written.
    ReadOnly,
    /// The database cannot be reached, or the connection to it was lost.
    Disconnected,
    /// The database, or every connection to it, was in use for too long.
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
    /// The old anchor was deleted after the rotation started.
    OldDeleted,
    /// The new anchor was deleted after the rotation started.
    NewDeleted,
    /// The new anchor is expired.
    NewExpired,
    /// The old anchor was deactivated after the rotation started.
    OldNotActive(Scope),
    /// The new anchor was deactivated after the rotation started.
    NewNotActive(Scope),
}

impl RotationProblem {
    /// Whether finishing anyway would leave a scope without a usable anchor: not even `force`
    /// overrides that.
    pub(super) const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::NewDeleted | Self::NewExpired | Self::NewNotActive(_)
        )
    }
}

/// Why an operation of the store failed. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The organization has nothing with this id. Another organization's id counts as unknown.
    #[error("no {kind} `{id}`")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id that it was looked for by.
        id: String,
    },
    /// The page was to start after (or end before) something that is not in the list.
    #[error("the cursor `{0}` is not in the list")]
    UnknownCursor(String),
    /// The certificate is active, so it cannot be deleted.
    #[error("the certificate is active at {} scopes", scopes.len())]
    CertificateInUse {
        /// Everywhere that it is active: the organization first, then projects by id.
        scopes: Vec<Scope>,
    },
    /// The organization has the most certificates that it may have.
    #[error("the organization has reached its limit of certificates")]
    CertificateLimit,
    /// The organization, or the provider, has as many of something as it may have.
    #[error("there are {most} {quota} already, as many as there may be")]
    QuotaReached {
        /// What it has as many of.
        quota: Quota,
        /// How many those are.
        most: u32,
    },
    /// The organization believes the receipts of as many keys as it may.
    #[error("the organization has reached its limit of receipt keys")]
    ReceiptKeyLimit,
    /// A certificate that was to be activated is expired.
    #[error("certificate number {index} of the request is expired")]
    Expired {
        /// Its index in the ids of the request, from 0.
        index: usize,
    },
    /// What is active at the scope is not what the caller expected.
    #[error("what is active at the scope is not what was expected")]
    ScopeChanged,
    /// The certificate that was to be rotated is not active there.
    #[error("the certificate to rotate is not active there")]
    NotActive {
        /// The project's index in those of the request; `None` when it is active nowhere.
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
    #[error("{} problems prevent the rotation from finishing", problems.len())]
    RotationBroken {
        /// What prevents it.
        problems: Vec<RotationProblem>,
    },
    /// A scope where something is enforced would be left with nothing enforced.
    #[error("a scope would be left with nothing enforced")]
    WouldDisarm {
        /// The scope.
        scope: Scope,
    },
    /// The project is archived, so nothing can be created or activated in it.
    #[error("the project is archived")]
    ProjectArchived,
    /// The revocation list cannot take the place of the kept one: why, and what to do, in full sentences.
    #[error("{0}")]
    CrlRefused(CrlRejection),
    /// The anchor has the lists of as many CAs as it may have.
    #[error("the certificate has reached its limit of revocation lists")]
    CrlLimit,
    /// Another assertion of the organization has the name.
    #[error("another assertion has this name")]
    NameTaken,
    /// The change affects trust that assertions are about, and was not judged by them.
    #[error("a change of trust was not judged by the organization's assertions")]
    Unjudged(Box<UnjudgedChange>),
    /// The key of the request was deleted or expired after it was checked.
    #[error("the key of the request is no longer valid")]
    KeyRevoked,
    /// The database cannot answer at the moment; trying again later can help.
    #[error("{0}: {1}")]
    Unavailable(Outage, String),
    /// The database cannot be opened as it is configured; the text says why.
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
    /// The database holds something that this program never writes.
    #[error("the database holds unreadable data: {0}")]
    Corrupt(String),
    /// The database refused a statement: a bug in this program.
    #[error("the database refused a statement: {0}")]
    Internal(String),
}

impl StoreError {
    /// Of a file that could not be written.
    pub(super) fn of_disk(error: &io::Error) -> Self {
        let outage = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Outage::DiskFull,
            ErrorKind::ReadOnlyFilesystem => Outage::ReadOnly,
            _ => Outage::InputOutput,
        };
        Self::Unavailable(outage, error.to_string())
    }

    pub(super) fn not_found(kind: Kind, id: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            id: id.into(),
        }
    }
}
