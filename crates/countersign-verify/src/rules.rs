//! The rules that a certificate meets or fails by itself, whatever path it stands on. What an
//! upload is held to (`certificate::anchor_rules`) includes those of a CA; a test holds the two
//! together (`certificate::agreement`).

use countersign_types::UnixSeconds;

use crate::{
    refusal::{CriticalExtension, ObjectId, Reason, TimeAndNow},
    x509::Certificate,
};

/// RFC 5280 section 4.1.2.5: both ends of the validity are inside.
pub(crate) fn check_dates(certificate: &Certificate<'_>, now: UnixSeconds) -> Result<(), Reason> {
    let (from, to) = (certificate.not_before, certificate.not_after);
    if now < from {
        return Err(Reason::NotYetValid(TimeAndNow { at: from, now }));
    }
    if now > to {
        return Err(Reason::Expired(TimeAndNow { at: to, now }));
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

/// What an intermediate must be: a CA that says which key it has, and which key signed it.
pub(crate) fn check_intermediate(ca: &Certificate<'_>) -> Result<(), Reason> {
    check_ca(ca)?;
    // RFC 5280 sections 4.2.1.1 and 4.2.1.2: only what is self-signed may go without.
    if ca.extensions.authority_key.is_none() && !ca.is_self_issued() {
        return Err(Reason::NoAuthorityKeyIdentifier);
    }
    if ca.extensions.subject_key.is_none() {
        return Err(Reason::NoSubjectKeyIdentifier);
    }
    Ok(())
}

fn check_any(certificate: &Certificate<'_>) -> Result<(), Reason> {
    // RFC 5280 section 4.2: a critical extension that is not processed refuses the certificate.
    if let Some(id) = certificate.extensions.unknown_critical {
        let id = CriticalExtension(Some(ObjectId::new(id)));
        return Err(Reason::UnknownCriticalExtension(id));
    }
    // RFC 5280 section 4.2.1.12: without the extension any purpose will do; with it, only those
    // that it names. anyExtendedKeyUsage is not taken for clientAuth, as that section allows. On
    // a CA it limits what is below, as webpki, Go and the browsers have it.
    if certificate.extensions.client_auth == Some(false) {
        return Err(Reason::ExtendedKeyUsage);
    }
    // An intermediate's key signs the next certificate, so its price counts too (`budget`); a
    // leaf's is checked in each handshake.
    let key = certificate.public_key();
    if !key.is_supported() {
        return Err(Reason::WeakKey(key.to_string()));
    }
    Ok(())
}
