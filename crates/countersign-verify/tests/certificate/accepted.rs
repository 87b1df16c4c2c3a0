//! Certificates that can be anchors, and what is told about them.

use countersign_testca::{
    General, Key, KeyKind, NOT_AFTER, NOT_BEFORE, Signature, Usage, oid, root,
};
use countersign_types::error::ErrorCode;
use countersign_verify::certificate::{Anchor, inspect, read_upload, why_unusable};

use crate::{DAY, NOW, NOW_EXACT, mint, refuse};

#[test]
fn anchors_of_every_sort_are_accepted() {
    let ca = root("Example Root").mint();
    let root = || root("Example Root");
    let rsa = Key::generate(KeyKind::Rsa2048);
    let accepted = [
        ("a root", root()),
        ("P-384", root().key(KeyKind::P384)),
        ("P-521", root().key(KeyKind::P521)),
        ("Ed25519", root().key(KeyKind::Ed25519)),
        ("RSA", root().with_key(&rsa)),
        (
            "RSA-PSS",
            root().with_key(&rsa).signature(Signature::PssSha512),
        ),
        ("an intermediate", ca.intermediate("Issuing")),
        (
            "an intermediate without AKI",
            ca.intermediate("Issuing").no_aki(),
        ),
        (
            "a small exponent",
            root().with_key(&Key::forged_rsa(2048, &[3])),
        ),
        ("a path length", root().path_len(0)),
        ("no key usage", root().no_key_usage()),
        ("for clients", root().eku(&[oid::CLIENT_AUTH])),
        ("DNS names", root().permit(General::dns("example.com"))),
        ("URIs", root().exclude(General::uri("example.com"))),
        ("mail", root().exclude(General::email("example.com"))),
        (
            "an unknown extension",
            root().extension(&[1, 3, 6, 1, 4, 1, 99_999, 2], false, &[5, 0]),
        ),
        ("not yet valid", root().valid(NOT_AFTER - DAY, NOT_AFTER)),
        (
            "a second more than a day left",
            root().valid(NOT_BEFORE, NOW_EXACT + DAY + 1),
        ),
        ("valid since 1960", root().valid(-315_619_200, NOT_AFTER)),
        (
            "valid until the year 9999",
            root().valid(NOT_BEFORE, 253_402_300_799),
        ),
        ("a serial of zero", root().serial(&[0])),
        ("a negative serial", root().serial(&[0xff, 1])),
        ("another signature's bits", root().break_signature()),
    ];
    for (name, template) in accepted {
        let minted = template.mint();
        let anchor = read_upload(&minted.pem(), NOW).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(anchor.der(), minted.der(), "{name}");
        assert_eq!(inspect(&minted.pem(), NOW).reasons, [], "{name}");
        assert_eq!(Anchor::from_pem(&minted.pem()).unwrap(), anchor, "{name}");
    }
}

#[test]
fn an_expired_anchor_still_reads_for_a_gateway() {
    let pem = mint(root("Example Root").valid(NOT_BEFORE, NOT_BEFORE + DAY));
    assert_eq!(refuse(&pem).code, ErrorCode::ExpiredCertificate);
    assert!(Anchor::from_pem(&pem).is_ok());
}

#[test]
fn inspection_shows_everything() {
    let ca = root("Example Root").mint();
    let minted = ca
        .intermediate("Issuing, Inc.")
        .key(KeyKind::Rsa1024)
        .attribute(oid::ORGANIZATION, "Example")
        .serial(&[1, 0xa2])
        .ski(b"ski")
        .aki(b"aki")
        .path_len(3)
        .key_usage(&[Usage::CrlSign])
        .eku(&[oid::SERVER_AUTH, &[1, 3, 6, 1, 4, 1, 99_999, 1]])
        .exclude(General::dns("example.org"))
        .valid(-1, NOW_EXACT + 60)
        .mint();
    let inspection = inspect(&minted.pem(), NOW);
    let facts = inspection.facts.unwrap();
    assert_eq!(facts.subject(), "O=Example,CN=Issuing\\, Inc.");
    assert_eq!(facts.issuer(), "CN=Example Root");
    assert!(!facts.is_self_issued());
    assert_eq!(facts.serial(), "01:a2");
    assert_eq!(facts.version(), 3);
    assert_eq!(facts.subject_key_identifier(), Some(b"ski".as_slice()));
    assert_eq!(facts.authority_key_identifier(), Some(b"aki".as_slice()));
    assert_eq!(facts.key_algorithm(), "RSA 1024 bits");
    assert_eq!(facts.signature_algorithm(), "ECDSA with SHA-256");
    assert_eq!(facts.not_before().unix_seconds, -1);
    assert_eq!(facts.not_before().clamped(), 0);
    assert_eq!(facts.not_before().text, "1969-12-31T23:59:59Z");
    assert_eq!(facts.not_after().text, "2027-01-15T08:01:00Z");
    assert!(facts.is_ca());
    assert_eq!(facts.path_length(), Some(3));
    assert_eq!(facts.key_usage(), Some(["cRLSign"].as_slice()));
    assert_eq!(
        facts.extended_key_usage().unwrap(),
        ["serverAuth", "1.3.6.1.4.1.99999.1"]
    );
    assert!(facts.name_constraints().is_some());
    assert_eq!(facts.public_key(), minted.key().spki());
    let codes: Vec<&str> = inspection.reasons.iter().map(|r| r.code.as_str()).collect();
    let invalid = "mtls_certificate_invalid";
    assert_eq!(codes, [invalid, invalid, invalid, "expired_certificate"]);
    assert!(!format!("{facts:?}").contains("ski"));
}

/// What an upload is refused for now, and an anchor that was uploaded before goes on with.
#[test]
fn what_only_an_upload_is_refused_for_still_reads_for_a_gateway() {
    let pem = mint(root("Example Root").permit(General::email("example.com")));
    assert_eq!(refuse(&pem).code, ErrorCode::MtlsCertificateInvalid);
    assert!(Anchor::from_pem(&pem).is_ok());
    assert_eq!(why_unusable(&pem), None);
}

/// What an older version may have let in and no gateway can judge by any more.
#[test]
fn a_large_exponent_makes_an_anchor_unusable() {
    let pem = mint(root("Example Root").with_key(&Key::forged_rsa(2048, &[1, 0, 0, 0, 1])));
    assert_eq!(why_unusable(&pem), Some(refuse(&pem)));
}
