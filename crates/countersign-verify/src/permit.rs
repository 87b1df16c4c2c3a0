//! The proofs that a request may go on. Only `judge` makes them.

use countersign_types::{UnixSeconds, certificate::Scope, digest::Sha256, id::CertificateId};
use rustls_pki_types::CertificateDer;

use crate::{budget::MAX_PATH_INTERMEDIATES, presented::Presented};

/// Proof that a leaf was judged and permitted. It may be remembered for the connection, the key
/// and the revision that it was made for, as long as [`Permit::holds_at`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    proven: Proven,
    revision: u64,
}

/// What a judgement proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) anchor: CertificateId,
    pub(crate) scope: Scope,
    pub(crate) leaf_sha256: Sha256,
    pub(crate) path: VerifiedPath,
    /// The earliest `notAfter` on the path, or before that the end of a revocation list that must be current,
    /// in Unix seconds.
    pub(crate) not_after: UnixSeconds,
    /// Whether a current revocation list was missing, and the anchor allows that.
    pub(crate) list_missing: bool,
    pub(crate) signature_checks: usize,
}

/// The positions in what was presented of the intermediates of the verified path, the leaf's
/// issuer first. Positions and not certificates, so that a permit is small and nothing is copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct VerifiedPath([Option<u8>; MAX_PATH_INTERMEDIATES]);

impl VerifiedPath {
    /// A path through the certificates at these positions, the leaf being 0.
    pub(crate) fn through(positions: impl Iterator<Item = usize>) -> Self {
        let mut path = Self::default();
        for (slot, position) in path.0.iter_mut().zip(positions) {
            *slot = u8::try_from(position).ok();
        }
        path
    }
}

impl Permit {
    pub(crate) const fn new(proven: Proven, revision: u64) -> Self {
        Self { proven, revision }
    }

    pub(crate) const fn proven(&self) -> &Proven {
        &self.proven
    }

    /// The anchor that decided.
    #[must_use]
    pub const fn anchor(&self) -> &CertificateId {
        &self.proven.anchor
    }

    /// Where that anchor is active.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.proven.scope
    }

    /// The SHA-256 of the leaf's DER.
    #[must_use]
    pub const fn leaf_sha256(&self) -> Sha256 {
        self.proven.leaf_sha256
    }

    /// The intermediates of the verified path out of the chain that was judged, the leaf's issuer
    /// first: without the leaf, without the anchor, and without whatever else was presented. What
    /// goes upstream as `Client-Cert-Chain` (RFC 9440 section 2.3).
    pub fn intermediates<'p>(
        &self,
        judged: &'p Presented,
    ) -> impl Iterator<Item = &'p CertificateDer<'static>> + use<'p> {
        let positions = self.proven.path.0.into_iter().flatten();
        positions.filter_map(|position| {
            let index = usize::from(position).checked_sub(1)?;
            judged.intermediates().get(index)
        })
    }

    /// The last second at which it holds, in Unix seconds: the earliest `notAfter` on the path,
    /// the anchor's own included (RFC 5280 section 4.1.2.5: `notAfter` itself is inside), and the
    /// nextUpdate of each revocation list without which the anchor denies.
    #[must_use]
    pub const fn not_after(&self) -> UnixSeconds {
        self.proven.not_after
    }

    /// Whether it still holds. A clock that went back does not make it hold longer.
    #[must_use]
    pub const fn holds_at(&self, now: UnixSeconds) -> bool {
        now <= self.proven.not_after
    }

    /// Whether a revocation list was missing or out of date that the anchor has a use for, and goes without
    /// (`crl_missing: "allow"`).
    #[must_use]
    pub const fn without_current_list(&self) -> bool {
        self.proven.list_missing
    }

    /// How many signatures were checked to get it: one for a direct path, one more for each
    /// intermediate, more where other paths were tried before.
    #[must_use]
    pub const fn signature_checks(&self) -> usize {
        self.proven.signature_checks
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
