//! Whether a certificate can be a trust anchor: every reason why not, the most telling first.
//!
//! A self-issued certificate's own signature is not verified: the anchor is trusted because a
//! person with the right to do so uploaded it, and a signature by its own key would add nothing to
//! that (RFC 5280 section 6.1 takes the anchor's name and key as given). Its algorithm is checked
//! all the same, because docs/specification.md, section 1 asks for one that the verifier supports.

use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ParsedExtension, X509Extension},
};

use super::{constraints, facts::Facts, rejection::Rejection};
use crate::{oid::ObjectId, path::TrustedKey, rules, x509};

/// Reads a certificate, and every reason why it cannot be an anchor, whatever the time is.
///
/// # Errors
/// When it is no X.509 certificate, so that nothing more can be said about it.
pub(super) fn examine(der: &[u8]) -> Result<(Facts, Vec<Rejection>), Rejection> {
    let (certificate, facts) = Facts::parse(der)?;
    let mut reasons = reasons(&certificate, &facts);
    // Only when nothing else is wrong: it would say the same again in fewer words.
    if reasons.is_empty() {
        reasons.extend(unusable(der));
    }
    Ok((facts, reasons))
}

/// Why it cannot be an anchor; empty when it can.
fn reasons(certificate: &X509Certificate<'_>, facts: &Facts) -> Vec<Rejection> {
    let extensions = certificate.extensions();
    let of_the_whole = [
        authority(facts),
        subject(certificate),
        key_usage(facts),
        key_identifier(facts),
        key(facts),
        signature(facts),
        same_signature(certificate),
        extended_key_usage(facts),
        validity(facts),
    ];
    version(facts)
        .into_iter()
        .chain(repeated(extensions))
        .chain(extensions.iter().filter_map(malformed))
        .chain(of_the_whole.into_iter().flatten())
        .chain(extensions.iter().filter_map(unprocessed))
        .chain(extensions.iter().filter_map(name_constraints))
        .collect()
}

/// What the judge itself would say against a certificate that has no other defect. It reads the
/// same bytes more strictly, and with webpki: nothing that it cannot use may be accepted here, or a
/// lock-out would follow.
fn unusable(der: &[u8]) -> Option<Rejection> {
    let why = judged(&CertificateDer::from(der)).err()?;
    Some(Rejection::invalid(
        format!("The verifier cannot use the certificate: {why}."),
        "Reissue the CA certificate as RFC 5280 describes it.",
    ))
}

fn judged(der: &CertificateDer<'_>) -> Result<(), String> {
    let fields = x509::Certificate::read(der).map_err(|what| what.to_string())?;
    rules::check_ca(&fields).map_err(|reason| reason.to_string())?;
    TrustedKey::read(der).map_err(|what| what.to_string())?;
    Ok(())
}

fn version(facts: &Facts) -> Option<Rejection> {
    (facts.version() != 3).then(|| {
        Rejection::invalid(
            format!(
                "The certificate is X.509 version {}, and only version 3 can say that it is a CA.",
                facts.version()
            ),
            "Make a CA with `basicConstraints=critical,CA:TRUE` and `subjectKeyIdentifier=hash`, \
             and upload its certificate.",
        )
    })
}

/// RFC 5280 section 4.2.1.9: without CA:TRUE its key may not verify certificates.
fn authority(facts: &Facts) -> Option<Rejection> {
    if facts.is_ca() || facts.version() != 3 {
        return None;
    }
    Some(if facts.is_self_issued() {
        Rejection::invalid(
            format!(
                "`{}` is self-signed but not a CA: it does not say CA:TRUE.",
                facts.subject()
            ),
            "Make a CA with `basicConstraints=critical,CA:TRUE`, issue the client certificates \
             from it, and upload the CA's certificate.",
        )
    } else {
        Rejection::invalid(
            format!(
                "`{}` is not a CA (it does not say CA:TRUE) but a certificate issued to a client \
                 or server.",
                facts.subject()
            ),
            &format!(
                "Upload the certificate of the CA that issued it, `{}`.",
                facts.issuer()
            ),
        )
    })
}

/// RFC 5280 section 4.1.2.6: a CA has a name; without one nothing can name it as issuer.
fn subject(certificate: &X509Certificate<'_>) -> Option<Rejection> {
    certificate.subject().iter().next().is_none().then(|| {
        Rejection::invalid(
            "The certificate's subject is empty, so no client certificate can name its issuer.",
            "Reissue the CA certificate with a subject.",
        )
    })
}

/// RFC 5280 section 4.2.1.3.
fn key_usage(facts: &Facts) -> Option<Rejection> {
    let without = |usages: &[&str]| !usages.contains(&"keyCertSign");
    facts.key_usage().is_some_and(without).then(|| {
        Rejection::invalid(
            "The certificate's keyUsage does not allow keyCertSign, so nothing that it signed can \
             verify.",
            "Reissue the CA certificate with `keyUsage=critical,keyCertSign,cRLSign`.",
        )
    })
}

/// RFC 5280 section 4.2.1.2; docs/specification.md, section 2 finds anchors by it.
fn key_identifier(facts: &Facts) -> Option<Rejection> {
    let identifier = facts.subject_key_identifier().unwrap_or_default();
    identifier.is_empty().then(|| {
        Rejection::invalid(
            "The certificate has no Subject Key Identifier, by which client certificates are \
             matched to it.",
            "Reissue the CA certificate with `subjectKeyIdentifier=hash`.",
        )
    })
}

fn key(facts: &Facts) -> Option<Rejection> {
    if facts.key.unsupported_exponent {
        return Some(Rejection::invalid(
            format!(
                "The certificate's key is {}; the verifier takes odd exponents of at most 65537, \
                 because checking a signature takes longer with larger ones.",
                facts.key_algorithm()
            ),
            "Make a CA whose key has the usual exponent, 65537 (`openssl genpkey -algorithm RSA` \
             does), and issue the client certificates from it.",
        ));
    }
    (!facts.key.supported).then(|| {
        Rejection::invalid(
            format!(
                "The certificate's key ({}) is not supported.",
                facts.key_algorithm()
            ),
            "Make a CA whose key is RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or \
             Ed25519.",
        )
    })
}

fn signature(facts: &Facts) -> Option<Rejection> {
    (!facts.signature.supported).then(|| {
        Rejection::invalid(
            format!(
                "The certificate's signature ({}) is not supported.",
                facts.signature_algorithm()
            ),
            "Reissue the CA certificate signed with RSA, RSA-PSS or ECDSA and SHA-256 or better, \
             or with Ed25519.",
        )
    })
}

/// RFC 5280 section 4.1.1.2.
fn same_signature(certificate: &X509Certificate<'_>) -> Option<Rejection> {
    let inside = &certificate.tbs_certificate.signature;
    (*inside != certificate.signature_algorithm).then(|| {
        Rejection::invalid(
            "The certificate names one signature algorithm inside and another outside.",
            "Reissue the CA certificate.",
        )
    })
}

/// RFC 5280 section 4.2.1.12: a CA that names purposes allows no others. The judge does not
/// take anyExtendedKeyUsage for clientAuth, as that section allows.
fn extended_key_usage(facts: &Facts) -> Option<Rejection> {
    let for_clients = |purpose: &String| purpose == "clientAuth";
    let without = |purposes: &[String]| !purposes.iter().any(for_clients);
    facts.extended_key_usage().is_some_and(without).then(|| {
        Rejection::invalid(
            "The certificate has an extended key usage without clientAuth, so no client \
             certificate below it can verify.",
            "Reissue the CA certificate without extended key usage, or with clientAuth in it.",
        )
    })
}

fn validity(facts: &Facts) -> Option<Rejection> {
    (facts.not_after().unix_seconds < facts.not_before().unix_seconds).then(|| {
        Rejection::invalid(
            format!(
                "The certificate is never valid: it ends at {} and begins at {}.",
                facts.not_after().text,
                facts.not_before().text
            ),
            "Reissue the CA certificate with the right dates.",
        )
    })
}

/// RFC 5280 section 4.2: no extension more than once.
fn repeated(extensions: &[X509Extension<'_>]) -> Option<Rejection> {
    let mut seen = std::collections::HashSet::new();
    let again = extensions
        .iter()
        .find(|extension| !seen.insert(&extension.oid))?;
    Some(Rejection::invalid(
        format!(
            "The certificate has the extension {} more than once.",
            id(again)
        ),
        "Reissue the CA certificate with it once.",
    ))
}

/// The arc of the standard extensions, id-ce (2.5.29), as an identifier begins in DER.
const STANDARD: &[u8] = &[0x55, 0x1d];

/// The last number of a standard extension's identifier. Compared as bytes, as the judge does: the
/// same numbers in a longer encoding are another identifier.
fn standard(extension: &X509Extension<'_>) -> Option<u8> {
    match extension.oid.as_bytes().strip_prefix(STANDARD) {
        Some([last]) => Some(*last),
        _ => None,
    }
}

/// The extension by name and number.
fn id(extension: &X509Extension<'_>) -> ObjectId {
    ObjectId::new(extension.oid.as_bytes())
}

/// Those that are read for judging: key identifiers, key usage, basic constraints, extended key
/// usage. Name constraints are looked at more closely.
fn malformed(extension: &X509Extension<'_>) -> Option<Rejection> {
    let read = matches!(standard(extension), Some(14 | 15 | 19 | 35 | 37));
    let failed = matches!(
        extension.parsed_extension(),
        ParsedExtension::ParseError { .. } | ParsedExtension::UnsupportedExtension { .. }
    );
    (read && failed).then(|| {
        Rejection::invalid(
            format!(
                "The certificate's extension {} is malformed.",
                id(extension)
            ),
            "Reissue the CA certificate.",
        )
    })
}

/// RFC 5280 section 4.2: a critical extension that is not processed may not be ignored. Processed
/// are key usage, alternative names, basic constraints, name constraints, CRL distribution points
/// (nothing is fetched) and extended key usage. Certificate policies are not.
fn unprocessed(extension: &X509Extension<'_>) -> Option<Rejection> {
    let processed = matches!(standard(extension), Some(15 | 17 | 19 | 30 | 31 | 37));
    (extension.critical && !processed).then(|| {
        Rejection::invalid(
            format!(
                "The certificate's extension {} is critical; the verifier does not process it and \
                 so may not ignore it.",
                id(extension)
            ),
            "Reissue the CA certificate without it or not critical, or upload another CA of the \
             chain.",
        )
    })
}

/// What an upload is refused for although judging could work with it: it would refuse client
/// certificates that the CA means to permit. An anchor of an older version that has it stays as
/// it was, so that an upgrade locks nobody out.
pub(super) fn refused_at_upload(der: &[u8]) -> Option<Rejection> {
    let (certificate, _) = Facts::parse(der).ok()?;
    let mut constraints = certificate
        .extensions()
        .iter()
        .filter(|extension| standard(extension) == Some(30));
    constraints.find_map(|extension| constraints::unprocessed(extension.value))
}

fn name_constraints(extension: &X509Extension<'_>) -> Option<Rejection> {
    (standard(extension) == Some(30))
        .then(|| constraints::impossible(extension.value))
        .flatten()
}

/// The rules that judging holds every CA to as well (`rules::check_ca`).
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaRule {
    Authority,
    KeyUsage,
    CriticalExtensions,
    ExtendedKeyUsage,
    Key,
}

/// Which of those rules an upload would be refused by.
#[cfg(test)]
pub(super) fn broken_ca_rules(certificate: &X509Certificate<'_>, facts: &Facts) -> Vec<CaRule> {
    let unprocessed = certificate.extensions().iter().find_map(unprocessed);
    let rules = [
        (CaRule::Authority, authority(facts)),
        (CaRule::KeyUsage, key_usage(facts)),
        (CaRule::CriticalExtensions, unprocessed),
        (CaRule::ExtendedKeyUsage, extended_key_usage(facts)),
        (CaRule::Key, key(facts)),
    ];
    let broken = rules.into_iter().filter(|(_, broken)| broken.is_some());
    broken.map(|(rule, _)| rule).collect()
}

/// Whether an extension that is read for judging could not be read here.
#[cfg(test)]
pub(super) fn is_malformed(certificate: &X509Certificate<'_>) -> bool {
    let extensions = certificate.extensions();
    extensions.iter().any(|one| malformed(one).is_some()) || repeated(extensions).is_some()
}
