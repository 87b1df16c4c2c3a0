//! What the file holds, and what is written to it.

use std::{io, sync::Arc};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleKey, OrganizationBundle},
    digest::Sha256,
    history::{HistoryPoint, RevisionToken},
    id::OrganizationId,
};
use serde::{Deserialize, Serialize};

use crate::caller::organization::Organization;

/// The format of the file, in `user_version`. A file of a later one is not read.
pub(super) const FORMAT: u32 = 3;
/// The format before revocation lists, which differs in having no sets.
pub(super) const FORMAT_WITHOUT_SETS: u32 = 2;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("it was written by a later version of this program (format {0})")]
    LaterFormat(u32),
    #[error("it is gone")]
    Gone,
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The point that it vouches for; the start where all is to be asked for again.
    pub(crate) point: HistoryPoint,
    /// The revision, whatever the point is good for.
    pub(crate) revision: u64,
    pub(crate) contact: UnixSeconds,
    pub(crate) organizations: Vec<OrganizationBundle>,
}

/// What is to be written.
pub(crate) struct Entry<'a> {
    pub(crate) point: HistoryPoint,
    pub(crate) contact: UnixSeconds,
    /// Whether the organizations that are there go first.
    pub(crate) all: bool,
    pub(crate) changed: Vec<Arc<Organization>>,
    pub(crate) removed: &'a [OrganizationId],
}

/// A part of an organization's keys.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyPart {
    pub(super) organization: OrganizationId,
    pub(super) part: u32,
    pub(super) keys: Vec<BundleKey>,
}

/// The sum of the checksums of all rows, in whatever order they come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(pub(super) [u8; 32]);

impl Sum {
    /// Adds a checksum that is not in it, or takes out one that is.
    pub(super) fn toggle(&mut self, checksum: &[u8]) {
        for (byte, other) in self.0.iter_mut().zip(checksum) {
            *byte ^= other;
        }
    }

    /// Adds the sum of other rows.
    pub(super) fn add(&mut self, other: Self) {
        self.toggle(&other.0);
    }

    /// The checksum of a row that says this, and with it of the sum itself.
    pub(super) fn seal(&self, revision: u64, token: RevisionToken) -> Sha256 {
        let mut text = format!("{revision} {token} ").into_bytes();
        text.extend(self.0);
        Sha256::of(text)
    }
}

pub(super) fn damaged(error: impl std::fmt::Display) -> StateError {
    StateError::Damaged(error.to_string())
}

/// SQLite's numbers have a sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> Result<u64, StateError> {
    u64::try_from(number).map_err(damaged)
}
