//! Which keys and signatures the verifier supports (docs/specification.md, section 2, step 5).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use rustls_pki_types::alg_id;
use x509_parser::{
    asn1_rs::{Any, FromDer as _, Oid},
    certificate::X509Certificate,
    x509::SubjectPublicKeyInfo,
};

use crate::{key::PublicKey, oid::name_or_numbers};

/// An algorithm as people name it, and whether the verifier supports it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: String,
    pub(super) supported: bool,
    /// Whether it is an RSA key that is not supported for its public exponent alone.
    pub(super) unsupported_exponent: bool,
}

/// A certificate's key. Supported only if aws-lc-rs can read it too: a point off its curve is no
/// key.
pub(super) fn of_key(key: &SubjectPublicKeyInfo<'_>) -> Algorithm {
    let kind = first_contents(key.raw).map_or(PublicKey::Malformed, PublicKey::read);
    let bits = key.subject_public_key.as_ref();
    let readable = match kind {
        PublicKey::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bits).is_ok(),
        PublicKey::P384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, bits).is_ok(),
        PublicKey::P521 => ParsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, bits).is_ok(),
        PublicKey::Ed25519 => ParsedPublicKey::new(&ED25519, bits).is_ok(),
        PublicKey::Rsa { .. } => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bits).is_ok(),
        PublicKey::OtherCurve(_)
        | PublicKey::ExplicitCurve
        | PublicKey::OtherAlgorithm(_)
        | PublicKey::Malformed => false,
    };
    Algorithm {
        name: kind.to_string(),
        supported: readable && kind.is_supported(),
        unsupported_exponent: kind.has_unsupported_exponent(),
    }
}

/// A certificate's signature algorithm, of those that `path` verifies with.
pub(super) fn of_signature(certificate: &X509Certificate<'_>) -> Algorithm {
    let supported = [
        (alg_id::ECDSA_SHA256, "ECDSA with SHA-256"),
        (alg_id::ECDSA_SHA384, "ECDSA with SHA-384"),
        (alg_id::ECDSA_SHA512, "ECDSA with SHA-512"),
        (alg_id::RSA_PKCS1_SHA256, "RSA with SHA-256"),
        (alg_id::RSA_PKCS1_SHA384, "RSA with SHA-384"),
        (alg_id::RSA_PKCS1_SHA512, "RSA with SHA-512"),
        (alg_id::RSA_PSS_SHA256, "RSA-PSS with SHA-256"),
        (alg_id::RSA_PSS_SHA384, "RSA-PSS with SHA-384"),
        (alg_id::RSA_PSS_SHA512, "RSA-PSS with SHA-512"),
        (alg_id::ED25519, "Ed25519"),
    ];
    let identifier = signature_identifier(certificate);
    // RFC 4055 section 5 wants the parameters of RSA to be NULL; `path` verifies without, too.
    let is = |known: &[u8]| {
        let without = known.strip_suffix(&[5, 0]);
        identifier.is_some_and(|found| found == known || Some(found) == without)
    };
    let known = supported.iter().find(|(known, _)| is(known));
    Algorithm {
        name: match known {
            Some((_, name)) => (*name).to_owned(),
            None => unsupported_name(&certificate.signature_algorithm.algorithm),
        },
        supported: known.is_some(),
        unsupported_exponent: false,
    }
}

fn unsupported_name(oid: &Oid<'_>) -> String {
    match oid.to_id_string().as_str() {
        "1.2.840.113549.1.1.4" => "RSA with MD5".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA with SHA-1".to_owned(),
        "1.2.840.113549.1.1.10" => "RSA-PSS with other parameters".to_owned(),
        "1.2.840.10045.4.1" => "ECDSA with SHA-1".to_owned(),
        _ => oid_name(oid),
    }
}

/// What stands in the signatureAlgorithm of a certificate, parameters included.
fn signature_identifier<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    let whole = first_contents(certificate.as_raw())?;
    let signed = certificate.tbs_certificate.as_ref().len();
    first_contents(whole.get(signed..)?)
}

/// The contents of the first element.
fn first_contents(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, element)| element.data)
}

/// The short name of an object identifier, or its numbers, as many as an honest one has.
pub(super) fn oid_name(oid: &Oid<'_>) -> String {
    name_or_numbers(oid.as_bytes()).into_owned()
}
