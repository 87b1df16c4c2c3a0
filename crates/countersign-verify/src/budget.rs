//! What one verdict may cost, whatever a client presents and whatever its organization activated.
//! Exceeding any of these denies with `certificate_verification_failed`: such a chain is hostile
//! or broken, and trying again would cost the same, so it is no
//! `authentication_temporarily_unavailable`.
//!
//! Work is counted in nanoseconds of one core, by kind and size: a signature of P-521 costs as
//! much as seven of P-256, so counting signatures would bound nothing. The prices were measured
//! with aws-lc-rs 1.19 on x86-64 (`cargo xtask bench verify`, "signature check" and "hostile").
//! Another machine has other prices; what matters is how they stand to one another.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{key::PublicKey, x509::NameLoad};

/// The most certificates after the leaf that a chain path is looked for in. The largest graph of
/// the conformance suites that must be accepted (BetterTLS, path building) has 35.
pub(crate) const MAX_INTERMEDIATES: usize = 40;

/// The most bytes that they may have together: what rustls takes as a handshake's certificates
/// (`CERTIFICATE_MAX_SIZE_LIMIT`), so nothing that arrives over TLS is refused by it.
pub(crate) const MAX_INTERMEDIATE_BYTES: usize = 0x1_0000;

/// The most intermediates on one path: webpki's `MAX_SUB_CA_COUNT`, taken from mozilla::pkix.
pub(crate) const MAX_PATH_INTERMEDIATES: usize = 6;

/// The most paths whose names and key identifiers fit that are then verified. The conformance
/// suites have at most 15 (CVE-2024-0567).
pub(crate) const MAX_POSSIBLE_PATHS: usize = 32;

/// The most work of one verdict, so that with what is not counted, such as wording a refusal, it
/// is twenty times a good one at most: a P-256 leaf directly under its anchor, 54 µs. A real path
/// is a leaf under one or two intermediates: two or three signatures. This is enough for 19
/// signatures of P-256, 50 of RSA-2048, 5 of P-384, 4 of RSA-8192, and for the three of a P-521
/// path with two intermediates, which is the costliest path that is real.
const MOST: u64 = 1_005_000;

/// What a policy may cost when verifying left less: ten times the usual policy on the usual leaf.
const LEAST_FOR_POLICY: u64 = 10_000;

/// The work of one verdict so far.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// webpki asks that whatever checks signatures may be shared between threads.
    spent: AtomicU64,
}

/// There is less left than a piece of work costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    /// Takes the price of some work before it is done. Once a price could not be paid, no other
    /// can: a verdict that went past its budget ends.
    pub(crate) fn charge(&self, nanoseconds: u64) -> Result<(), Exhausted> {
        let spent = self.spent.load(Ordering::Relaxed);
        let spent = spent.saturating_add(nanoseconds);
        if spent > MOST {
            self.spent.store(u64::MAX, Ordering::Relaxed);
            return Err(Exhausted);
        }
        self.spent.store(spent, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a price could not be paid.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.spent.load(Ordering::Relaxed) == u64::MAX
    }

    /// What evaluating a policy may cost.
    pub(crate) fn left_for_policy(&self) -> u64 {
        let left = MOST.saturating_sub(self.spent.load(Ordering::Relaxed));
        left.max(LEAST_FOR_POLICY)
    }
}

/// The price of checking one signature by a key of these bits over a message of this many bytes.
pub(crate) fn signature_check(key: PublicKey<'_>, bits: &[u8], message: usize) -> u64 {
    let (check, decompression) = match key {
        PublicKey::P256 => (50_000, 15_000),
        PublicKey::P384 => (194_000, 37_000),
        // Three of these, the costliest path that is real, must leave something for the rest.
        PublicKey::P521 => (325_000, 85_000),
        PublicKey::Ed25519 => (37_000, 0),
        PublicKey::Rsa { bits: ..=2048, .. } => (18_000, 0),
        PublicKey::Rsa { bits: ..=3072, .. } => (37_000, 0),
        PublicKey::Rsa { bits: ..=4096, .. } => (63_000, 0),
        PublicKey::Rsa { .. } => (240_000, 0),
        // None of these is checked at all.
        PublicKey::OtherCurve(_)
        | PublicKey::ExplicitCurve
        | PublicKey::OtherAlgorithm(_)
        | PublicKey::Malformed => (MOST, 0),
    };
    // SEC 1 section 2.3.4: the other coordinate of a compressed point is a square root to be found.
    let compressed = matches!(bits.first(), Some(2 | 3));
    let point = if compressed { decompression } else { 0 };
    // SHA-512, the slower one where SHA-256 is in hardware.
    check + point + bytes(message) * 2
}

/// The price of reading a certificate.
pub(crate) fn reading(der: usize) -> u64 {
    500 + bytes(der)
}

/// The price of setting out to verify a path, besides its signatures and names: webpki reads each
/// intermediate again for each certificate that it may have issued.
pub(crate) fn path(intermediates: usize, extensions: u64) -> u64 {
    let times = bytes(intermediates);
    1_000 + times * (times * 200 + extensions * 30)
}

/// The price of holding every one of these names to every one of these constraints. webpki looks
/// at each byte of both.
pub(crate) fn name_comparisons(names: NameLoad, constraints: NameLoad) -> u64 {
    let pairs = names.count.saturating_mul(constraints.count);
    let read = names.count.saturating_mul(constraints.bytes);
    let read = read.saturating_add(constraints.count.saturating_mul(names.bytes));
    pairs
        .saturating_mul(20)
        .saturating_add(read.saturating_mul(3))
}

/// The price of comparing byte strings: so many pairs, with so many bytes to look at in all.
pub(crate) fn comparisons(pairs: usize, total: usize) -> u64 {
    bytes(pairs) * 10 + bytes(total) / 16
}

/// The price of one step from a certificate to a possible issuer.
pub(crate) const STEP: u64 = 100;

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX / 1_000)
}
