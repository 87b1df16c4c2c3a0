//! Which keys and signatures the verifier supports (docs/specification.md, section 2, step 5).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use rustls_pki_types::alg_id;
use x509_parser::{
    asn1_rs::{Any, FromDer as _, Oid, Tag},
    certificate::X509Certificate,
    objects::{oid_registry, oid2sn},
    oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY,
    public_key::PublicKey,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

/// An algorithm as people name it, and whether the verifier supports it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: String,
    pub(super) supported: bool,
}

/// RSA keys of these sizes, in bits (docs/specification.md, section 2; the upper bound is
/// aws-lc-rs's).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A certificate's key. Supported only if aws-lc-rs can read it too: a point off its curve is no
/// key.
pub(super) fn of_key(key: &SubjectPublicKeyInfo<'_>) -> Algorithm {
    let bits = key.subject_public_key.as_ref();
    let curves = [
        (alg_id::ECDSA_P256, "ECDSA P-256", &ECDSA_P256_SHA256_ASN1),
        (alg_id::ECDSA_P384, "ECDSA P-384", &ECDSA_P384_SHA384_ASN1),
        (alg_id::ECDSA_P521, "ECDSA P-521", &ECDSA_P521_SHA512_ASN1),
    ];
    let identifier = first_contents(key.raw).and_then(first_contents);
    let whole_bytes = key.subject_public_key.unused_bits == 0;
    let is = |known: rustls_pki_types::AlgorithmIdentifier| identifier == Some(known.as_ref());
    let curve = curves.iter().find(|(id, ..)| is(*id));
    let (name, readable) = if let Some((_, name, algorithm)) = curve {
        (
            (*name).to_owned(),
            ParsedPublicKey::new(*algorithm, bits).is_ok(),
        )
    } else if is(alg_id::ED25519) {
        (
            "Ed25519".to_owned(),
            ParsedPublicKey::new(&ED25519, bits).is_ok(),
        )
    } else if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        let size = significant_bits(rsa.modulus);
        let readable = is(alg_id::RSA_ENCRYPTION)
            && RSA_BITS.contains(&size)
            && ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bits).is_ok();
        (format!("RSA {size} bits"), readable)
    } else {
        (unsupported_key(&key.algorithm), false)
    };
    Algorithm {
        name,
        supported: readable && whole_bytes,
    }
}

fn unsupported_key(algorithm: &AlgorithmIdentifier<'_>) -> String {
    if algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return oid_name(&algorithm.algorithm);
    }
    let parameters = algorithm.parameters.as_ref();
    match parameters
        .filter(|any| any.tag() == Tag::Oid)
        .map(Any::as_oid)
    {
        Some(Ok(curve)) => format!("ECDSA on the curve {}", oid_name(&curve)),
        _ => "ECDSA on a curve given by its parameters".to_owned(),
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
    const MAX_SHOWN: usize = 64;
    match oid2sn(oid, oid_registry()) {
        Ok(name) if !name.is_empty() => name.to_owned(),
        _ => oid.to_id_string().chars().take(MAX_SHOWN).collect(),
    }
}

/// The bits of a positive integer, leading zeros not counted.
fn significant_bits(integer: &[u8]) -> usize {
    let digits = integer
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(integer.len());
    let digits = integer.get(digits..).unwrap_or_default();
    let top = digits.first().map_or(0, |byte| byte.leading_zeros());
    (digits.len() * 8).saturating_sub(usize::try_from(top).unwrap_or(0))
}
