//! Revocation lists: which are believed, what they say of whom, and why the others are refused.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

mod believed;
mod hostile;
mod made;
mod refused;

use countersign_testca::{CrlTemplate, Minted};
use countersign_types::UnixSeconds;
use countersign_verify::{
    certificate::Anchor,
    crl::{CrlRejection, RevocationList, read},
};

/// 2026-12-01.
pub(crate) const NOW: UnixSeconds = 1_796_083_200;

/// Reads a list for an anchor, with the certificates that came with it.
pub(crate) fn read_for(
    anchor: &Minted,
    with: &[&Minted],
    list: CrlTemplate,
) -> Result<RevocationList, CrlRejection> {
    let anchor = Anchor::from_pem(&anchor.pem()).unwrap();
    let issuers: String = with.iter().map(|each| each.pem()).collect();
    let issuers = (!with.is_empty()).then_some(issuers);
    read(&list.mint(), &anchor, issuers.as_deref(), NOW)
}

/// Whether a list names a certificate.
pub(crate) fn names(list: &RevocationList, certificate: &Minted) -> bool {
    list.revoked().find(certificate.serial()).is_some()
}
