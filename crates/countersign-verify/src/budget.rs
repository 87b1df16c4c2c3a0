//! What one verdict may cost, whatever a client presents. Exceeding any of these denies with
//! `certificate_verification_failed`: such a chain is hostile or broken, and trying again would
//! cost the same, so it is no `authentication_temporarily_unavailable`.
//!
//! Within one path webpki has a bound of its own on name constraint comparisons (250,000, as Go's
//! crypto/x509); reaching that ends the judgement too.

/// The most certificates after the leaf that a chain path is looked for in. The largest graph of
/// the conformance suites that must be accepted (BetterTLS, path building) has 35.
pub(crate) const MAX_INTERMEDIATES: usize = 40;

/// The most bytes that they may have together: what rustls takes as a handshake's certificates
/// (`CERTIFICATE_MAX_SIZE_LIMIT`), so nothing that arrives over TLS is refused by it.
pub(crate) const MAX_INTERMEDIATE_BYTES: usize = 0x1_0000;

/// The most intermediates on one path: webpki's `MAX_SUB_CA_COUNT`, taken from mozilla::pkix.
pub(crate) const MAX_PATH_INTERMEDIATES: usize = 6;

/// The most steps from a certificate to a possible issuer. The conformance suites take at most
/// 109 (BetterTLS); this is about ten times that, some tens of microseconds.
pub(crate) const MAX_STEPS: usize = 1_000;

/// The most paths whose names and key identifiers fit that are then verified. The conformance
/// suites have at most 15 (CVE-2024-0567).
pub(crate) const MAX_ROUTES: usize = 32;

/// The most signatures that are checked, over all paths: the limit of Go's crypto/x509 (the cure
/// of CVE-2018-16875), which webpki has too, there for one anchor. About 5 ms of P-256.
pub(crate) const MAX_SIGNATURES: usize = 100;
