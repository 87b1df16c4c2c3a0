//! The proofs that a request may go on. Only `judge` makes them.

use countersign_types::{UnixSeconds, certificate::Scope, id::CertificateId};

/// The SHA-256 of a leaf's DER.
pub type Fingerprint = [u8; 32];

/// Proof that a leaf was judged and permitted. It may be remembered for the connection, the key
/// and the revision that it was made for, as long as [`Permit::holds_at`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    anchor: CertificateId,
    scope: Scope,
    leaf_sha256: Fingerprint,
    not_after: UnixSeconds,
    revision: u64,
}

impl Permit {
    pub(crate) fn new(
        (anchor, scope): (CertificateId, Scope),
        leaf_sha256: Fingerprint,
        not_after: UnixSeconds,
        revision: u64,
    ) -> Self {
        Self {
            anchor,
            scope,
            leaf_sha256,
            not_after,
            revision,
        }
    }

    /// The anchor that decided.
    #[must_use]
    pub const fn anchor(&self) -> &CertificateId {
        &self.anchor
    }

    /// Where that anchor is active.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The SHA-256 of the leaf's DER.
    #[must_use]
    pub const fn leaf_sha256(&self) -> &Fingerprint {
        &self.leaf_sha256
    }

    /// The last second at which it holds, in Unix seconds: the earliest `notAfter` on the path,
    /// the anchor's own included (RFC 5280 section 4.1.2.5: `notAfter` itself is inside).
    #[must_use]
    pub const fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    /// Whether it still holds. A clock that went back does not make it hold longer.
    #[must_use]
    pub const fn holds_at(&self, now: UnixSeconds) -> bool {
        now <= self.not_after
    }

    /// The revision of the trust set that it was judged under.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}

/// Proof that no anchor is active at the scope that was asked about, nor at its organization, so
/// that no certificate is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnchorApplies {
    revision: u64,
}

impl NoAnchorApplies {
    pub(crate) const fn new(revision: u64) -> Self {
        Self { revision }
    }

    /// The revision of the trust set that it was judged under.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}
