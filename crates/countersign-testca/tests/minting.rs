//! What is minted is what was asked for: rustls-webpki and x509-parser say so.

#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share are tests too"
)]

use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey,
};
use countersign_testca::{
    General, Key, KeyKind, Minted, NOT_AFTER, NOT_BEFORE, Name, Signature, Usage, oid, root,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn verify(leaf: &Minted, intermediates: &[&Minted], root: &Minted) -> Result<(), Error> {
    let root = CertificateDer::from(root.der());
    let intermediates: Vec<_> = intermediates
        .iter()
        .map(|minted| CertificateDer::from(minted.der()))
        .collect();
    let leaf = CertificateDer::from(leaf.der());
    EndEntityCert::try_from(&leaf)?
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &[anchor_from_trusted_cert(&root)?],
            &intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
}

fn parse(minted: &Minted) -> X509Certificate<'_> {
    let (rest, parsed) = X509Certificate::from_der(minted.der()).unwrap();
    assert!(rest.is_empty());
    parsed
}

#[test]
fn chains_of_every_key_verify() {
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ] {
        let root = root("Root").key(kind).mint();
        let issuing = root.intermediate("Issuing").key(kind).path_len(0).mint();
        let leaf = issuing.leaf("leaf").key(kind).mint();
        assert_eq!(verify(&leaf, &[&issuing], &root), Ok(()), "{kind:?}");

        let broken = issuing.leaf("leaf").break_signature().mint();
        assert!(verify(&broken, &[&issuing], &root).is_err(), "{kind:?}");
        let other = issuing.leaf("leaf").signed_with(root.key()).mint();
        assert!(verify(&other, &[&issuing], &root).is_err(), "{kind:?}");
    }
}

#[test]
fn every_supported_signature_verifies_and_sha_1_does_not() {
    let (rsa, p521) = (
        Key::generate(KeyKind::Rsa2048),
        Key::generate(KeyKind::P521),
    );
    let (rsa, p521) = (
        root("RSA").with_key(&rsa).mint(),
        root("P-521").with_key(&p521).mint(),
    );
    let sound = [
        (&rsa, Signature::Sha256),
        (&rsa, Signature::Sha384),
        (&rsa, Signature::Sha512),
        (&rsa, Signature::PssSha256),
        (&rsa, Signature::PssSha384),
        (&rsa, Signature::PssSha512),
        (&p521, Signature::Sha256),
        (&p521, Signature::Sha384),
        (&p521, Signature::Sha512),
    ];
    for (root, signature) in sound {
        let leaf = root.leaf("leaf").signature(signature).mint();
        assert_eq!(verify(&leaf, &[], root), Ok(()), "{signature:?}");
    }
    let weak = rsa.leaf("leaf").signature(Signature::Sha1).mint();
    assert!(verify(&weak, &[], &rsa).is_err());
}

#[test]
fn weak_rsa_is_true_rsa() {
    let old = root("Old").key(KeyKind::Rsa1024).mint();
    let parsed = parse(&old);
    let key = UnparsedPublicKey::new(
        &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        parsed.public_key().subject_public_key.as_ref(),
    );
    key.verify(
        parsed.tbs_certificate.as_ref(),
        &parsed.signature_value.data,
    )
    .unwrap();

    let modern = Key::generate(KeyKind::Rsa2048);
    for key in [old.key(), &modern] {
        let sha1 = root("Old").with_key(key).signature(Signature::Sha1).mint();
        let parsed = parse(&sha1);
        UnparsedPublicKey::new(
            &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            parsed.public_key().subject_public_key.as_ref(),
        )
        .verify(
            parsed.tbs_certificate.as_ref(),
            &parsed.signature_value.data,
        )
        .unwrap();
    }
}

#[test]
fn names_constraints_and_dates_read_as_written() {
    let root = root("Root")
        .valid(-1, 4_102_444_800)
        .permit(General::dns("example.com"))
        .exclude(General::Network(
            [10, 0, 0, 0].into(),
            [255, 0, 0, 0].into(),
        ))
        .mint();
    assert_eq!(parse(&root).validity().not_before.timestamp(), -1);
    assert_eq!(parse(&root).validity().not_after.timestamp(), 4_102_444_800);

    let leaf = root
        .leaf("billing")
        .attribute(oid::ORGANIZATIONAL_UNIT, "Blue")
        .attribute(oid::ORGANIZATIONAL_UNIT, "Green")
        .san(General::dns("a.example.com"))
        .san(General::email("a@example.org"))
        .san(General::Ip([192, 0, 2, 1].into()))
        .san(General::uri("spiffe://example.org/a"))
        .san(General::Other(
            &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
            "a@b".to_owned(),
        ))
        .mint();
    assert_eq!(verify(&leaf, &[], &root), Ok(()));
    let parsed = parse(&leaf);
    assert_eq!(parsed.subject().iter_organizational_unit().count(), 2);
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 5);
    assert_eq!(parsed.validity().not_before.timestamp(), NOT_BEFORE);
    assert_eq!(parsed.validity().not_after.timestamp(), NOT_AFTER);

    for outside in [
        General::dns("a.example.org"),
        General::Ip([10, 1, 1, 1].into()),
    ] {
        let leaf = root.leaf("billing").san(outside).mint();
        assert_eq!(
            verify(&leaf, &[], &root),
            Err(Error::NameConstraintViolation)
        );
    }
}

#[test]
fn key_identifiers_are_the_requested_ones() {
    let root = root("Root").ski(b"chosen").mint();
    let authority = |minted: &Minted| {
        let parsed = parse(minted);
        let found = parsed.iter_extensions().find_map(|extension| {
            use x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier;
            match extension.parsed_extension() {
                AuthorityKeyIdentifier(aki) => Some(aki.clone()),
                _ => None,
            }
        });
        found.map(|aki| aki.key_identifier.map(|identifier| identifier.0.to_vec()))
    };
    assert_eq!(authority(&root), None);
    assert_eq!(
        authority(&root.leaf("leaf").mint()),
        Some(Some(b"chosen".to_vec()))
    );
    assert_eq!(
        authority(&root.leaf("leaf").aki(b"other").mint()),
        Some(Some(b"other".to_vec()))
    );
    assert_eq!(authority(&root.leaf("leaf").no_aki().mint()), None);
    assert_eq!(
        authority(&root.leaf("leaf").aki_without_key_identifier().mint()),
        Some(None)
    );
}

#[test]
fn the_older_versions_have_no_extensions() {
    let parent = root("Root").mint();
    for (version, value) in [(1, 0), (2, 1), (3, 2)] {
        let minted = parent.intermediate("Old").version(version).mint();
        let parsed = parse(&minted);
        assert_eq!(parsed.version().0, value);
        assert_eq!(parsed.extensions().is_empty(), version < 3);
    }
    let usage = root("Root").key_usage(&[Usage::DigitalSignature]).mint();
    let usage = parse(&usage).key_usage().unwrap().unwrap().value.flags;
    assert_eq!(usage, 1);
    let nameless = parent.leaf("").subject(Name::empty()).mint();
    assert_eq!(parse(&nameless).subject().iter().count(), 0);
}
