//! The rules that a certificate meets or fails by itself, whatever path it stands on.

use countersign_types::UnixSeconds;

use crate::{denial::Reason, x509::Certificate};

/// RFC 5280 section 4.1.2.5: both ends of the validity are inside.
pub(crate) fn check_dates(certificate: &Certificate<'_>, now: UnixSeconds) -> Result<(), Reason> {
    if now < certificate.not_before {
        return Err(Reason::NotYetValid(certificate.not_before));
    }
    if now > certificate.not_after {
        return Err(Reason::Expired(certificate.not_after));
    }
    Ok(())
}

/// What a leaf must be, its dates aside.
pub(crate) fn check_leaf(leaf: &Certificate<'_>) -> Result<(), Reason> {
    // webpki refuses it too (mozilla::pkix does): who holds a CA's key must not pass as a client.
    if leaf.extensions.is_ca {
        return Err(Reason::LeafIsCa);
    }
    // RFC 8446 section 4.4.2.2: when present, digitalSignature must be set.
    let usage = leaf.extensions.key_usage;
    if usage.is_some_and(|usage| !usage.digital_signature) {
        return Err(Reason::KeyUsage("digitalSignature"));
    }
    check_any(leaf)
}

/// What a CA must be to sign the next certificate of a path, its dates aside.
pub(crate) fn check_ca(ca: &Certificate<'_>) -> Result<(), Reason> {
    // RFC 5280 section 6.1.4 (k).
    if !ca.extensions.is_ca {
        return Err(Reason::NotCa);
    }
    // RFC 5280 section 6.1.4 (n).
    let usage = ca.extensions.key_usage;
    if usage.is_some_and(|usage| !usage.certificate_signing) {
        return Err(Reason::KeyUsage("keyCertSign"));
    }
    check_any(ca)
}

fn check_any(certificate: &Certificate<'_>) -> Result<(), Reason> {
    // RFC 5280 section 4.2: a critical extension that is not processed refuses the certificate.
    if certificate.extensions.unknown_critical {
        return Err(Reason::UnknownCriticalExtension);
    }
    // RFC 5280 section 4.2.1.12: without the extension any purpose will do; with it, only those
    // that it names. anyExtendedKeyUsage is not taken for clientAuth, as that section allows. On
    // a CA it limits what is below, as webpki, Go and the browsers have it.
    if certificate.extensions.client_auth == Some(false) {
        return Err(Reason::ExtendedKeyUsage);
    }
    if !certificate.has_strong_key() {
        return Err(Reason::WeakKey);
    }
    Ok(())
}
