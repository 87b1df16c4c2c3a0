//! Three readers look at a certificate: `x509`, which judging uses, webpki, which judging uses too
//! (`path`), and x509-parser, which uploads and explanations use. Where two of them read a field,
//! they must read the same; and what an upload is held to must be what judging holds an anchor to.
//! Otherwise a certificate could mean one thing to whoever uploads it and another at the gateway.

use std::sync::OnceLock;

use countersign_testca::{General, Key, KeyKind, Signature, Template, Usage, oid, root};
use proptest::{
    prelude::{ProptestConfig, Strategy, any, prop_oneof},
    proptest,
    sample::Index,
};
use rustls_pki_types::CertificateDer;

use super::{
    anchor_rules::{self, CaRule},
    facts::Facts,
    pem,
};
use crate::{
    path::{self, TrustedKey},
    refusal::{Reason, TimeAndNow},
    rules,
    x509::Certificate,
};

/// Compares everything that more than one reader says of a certificate.
fn check_agreement(case: &str, der: &[u8]) {
    // What judging cannot read, it refuses: there is nothing to disagree about.
    let Ok(judged) = Certificate::read(der) else {
        return;
    };
    if let Ok((parsed, facts)) = Facts::parse(der) {
        check_fields(case, &judged, &facts, anchor_rules::is_malformed(&parsed));
        check_rules(case, &judged, &facts, &parsed);
    }
    check_webpki(case, &judged, der);
    if let Ok((_, reasons)) = anchor_rules::examine(der)
        && reasons.is_empty()
    {
        assert!(rules::check_ca(&judged).is_ok(), "{case}: accepted");
        let read = TrustedKey::read(&CertificateDer::from(der));
        assert!(read.is_ok(), "{case}: accepted, but no anchor to webpki");
    }
}

/// `x509` and x509-parser.
fn check_fields(case: &str, judged: &Certificate<'_>, facts: &Facts, malformed: bool) {
    assert_eq!(judged.not_before, facts.not_before().clamped(), "{case}");
    assert_eq!(judged.not_after, facts.not_after().clamped(), "{case}");
    assert_eq!(judged.is_self_issued(), facts.is_self_issued(), "{case}");
    assert!(facts.public_key().ends_with(judged.key), "{case}: key");
    // An extension that x509-parser could not read has no fields to compare; such an upload is
    // refused for it.
    if malformed {
        return;
    }
    let extensions = &judged.extensions;
    let not_empty = |id: Option<&'_ [u8]>| id.filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
    assert_eq!(
        not_empty(extensions.authority_key),
        not_empty(facts.authority_key_identifier()),
        "{case}: authority key identifier"
    );
    assert_eq!(
        not_empty(extensions.subject_key),
        not_empty(facts.subject_key_identifier()),
        "{case}: subject key identifier"
    );
    assert_eq!(extensions.is_ca, facts.is_ca(), "{case}: CA");
    assert_eq!(
        extensions.path_length.map(u32::from),
        facts.path_length(),
        "{case}: path length"
    );
    let usage = extensions
        .key_usage
        .map(|usage| [usage.digital_signature, usage.certificate_signing]);
    let named =
        |usages: &[&str]| ["digitalSignature", "keyCertSign"].map(|name| usages.contains(&name));
    assert_eq!(usage, facts.key_usage().map(named), "{case}: key usage");
    let for_clients = |purposes: &[String]| purposes.iter().any(|name| name == "clientAuth");
    assert_eq!(
        extensions.client_auth,
        facts.extended_key_usage().map(for_clients),
        "{case}: extended key usage"
    );
}

/// `x509` and webpki, which says what it read only by what it refuses, and when.
fn check_webpki(case: &str, judged: &Certificate<'_>, der: &[u8]) {
    let der = CertificateDer::from(der);
    let (from, to) = (judged.not_before, judged.not_after);
    for now in [from.saturating_sub(1), from, to, to.saturating_add(1)] {
        let said = match path::judged_alone(&der, now) {
            // webpki refuses it on every path.
            Err(Reason::Malformed(_) | Reason::UnknownCriticalExtension(_)) => return,
            said => said,
        };
        let expected = if now < from {
            Err(Reason::NotYetValid(TimeAndNow { at: from, now }))
        } else if now > to {
            Err(Reason::Expired(TimeAndNow { at: to, now }))
        } else if judged.extensions.is_ca {
            Err(Reason::LeafIsCa)
        } else if judged.extensions.client_auth == Some(false) {
            Err(Reason::ExtendedKeyUsage)
        } else {
            Ok(())
        };
        assert_eq!(said, expected, "{case} at {now}");
    }
}

/// The rules for a CA that an upload is held to, and those that judging holds an anchor to.
fn check_rules(
    case: &str,
    judged: &Certificate<'_>,
    facts: &Facts,
    parsed: &x509_parser::certificate::X509Certificate<'_>,
) {
    if anchor_rules::is_malformed(parsed) {
        return;
    }
    let broken = anchor_rules::broken_ca_rules(parsed, facts);
    let expected = match rules::check_ca(judged) {
        Ok(()) => None,
        Err(Reason::NotCa) => Some(CaRule::Authority),
        Err(Reason::KeyUsage(_)) => Some(CaRule::KeyUsage),
        Err(Reason::UnknownCriticalExtension(_)) => Some(CaRule::CriticalExtensions),
        Err(Reason::ExtendedKeyUsage) => Some(CaRule::ExtendedKeyUsage),
        Err(Reason::WeakKey(_)) => Some(CaRule::Key),
        Err(other) => panic!("{case}: no rule for {other:?}"),
    };
    match expected {
        Some(rule) => assert!(broken.contains(&rule), "{case}: {rule:?} not in {broken:?}"),
        // A key of a supported kind that is not a key, such as a point off its curve, is refused
        // at upload alone: no signature verifies under it.
        None => assert!(
            broken.iter().all(|rule| *rule == CaRule::Key),
            "{case}: {broken:?} only at upload"
        ),
    }
}

macro_rules! openssl_files {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../tests/certificate/openssl/", $name, ".pem"))),)*]
    };
}

/// What `openssl` made (`tests/certificate/openssl/make.sh`).
fn made_by_openssl() -> impl Iterator<Item = (String, Vec<u8>)> {
    let files = openssl_files![
        "root" "root-rsa" "root-ed25519" "root-signed-with-pss" "intermediate" "root-constrained"
        "root-compressed-point" "root-explicit-curve" "root-key-for-pss-only"
        "root-signed-with-sha1" "root-rsa-1024" "root-secp224r1" "root-secp256k1"
        "root-brainpoolP256r1" "root-ed448" "root-dsa" "root-no-keycertsign" "root-for-servers"
        "root-policies" "self-signed-leaf" "leaf-version-1" "leaf"
    ];
    let read = |(name, text): (&str, &str)| {
        (
            name.to_owned(),
            pem::first_certificate(text).unwrap_or_default(),
        )
    };
    files.into_iter().map(read)
}

/// Certificates with one feature or defect each.
fn minted() -> Vec<(String, Vec<u8>)> {
    let ca = root("Root").mint();
    let base = || root("Root");
    let odd = |template: Template, id: &[u64], value: &[u8]| template.extension(id, true, value);
    let mut templates = vec![
        base(),
        base().key(KeyKind::P384).path_len(3),
        base().key(KeyKind::Ed25519).path_len(127),
        base().with_key(&Key::generate(KeyKind::Rsa2048)),
        base().key(KeyKind::Rsa1024),
        base().not_ca(),
        base().no_basic_constraints(),
        base().key_usage(&[]),
        base().key_usage(&[Usage::CrlSign]),
        base().no_key_usage().no_ski(),
        base().eku(&[oid::SERVER_AUTH]),
        base().eku(&[oid::SERVER_AUTH, oid::CLIENT_AUTH]),
        base().eku(&[oid::ANY_EXTENDED_KEY_USAGE]),
        base()
            .permit(General::dns("example.com"))
            .exclude(General::uri("a")),
        base().valid(-1, 253_402_300_799),
        base().valid(2_000_000_000, 1_000_000_000),
        base().aki_without_key_identifier(),
        base().aki(&[]).ski(&[]),
        odd(base(), &[1, 2, 3, 4], &[5, 0]),
        odd(base(), oid::POLICY_CONSTRAINTS, &[0x30, 3, 0x80, 1, 0]),
        base().signature(Signature::Sha1),
        ca.intermediate("Issuing").path_len(0),
        ca.leaf("client").san(General::dns("a.example.com")),
        ca.leaf("client").no_eku().no_key_usage(),
        ca.leaf("client").version(1),
    ];
    let bare = || base().no_basic_constraints();
    for value in [
        &[0x30, 0][..],
        &[0x30, 3, 1, 1, 0xff],
        &[0x30, 3, 1, 1, 0x01],
        &[0x30, 3, 1, 1, 0x00],
        &[0x30, 6, 1, 1, 0xff, 2, 1, 0xff],
        &[0x30, 7, 1, 1, 0xff, 2, 2, 0, 0x80],
        &[0x30, 7, 1, 1, 0xff, 2, 2, 1, 0],
        &[0x30, 3, 2, 1, 3],
        &[5, 0],
    ] {
        templates.push(odd(bare(), oid::BASIC_CONSTRAINTS, value));
    }
    for value in [
        &[3, 1, 0][..],
        &[3, 2, 2, 4],
        &[3, 2, 7, 0x80],
        &[3, 3, 7, 0x84, 0x80],
        &[3, 4, 0, 0x84, 0, 0],
        &[5, 0],
    ] {
        templates.push(odd(base().no_key_usage(), oid::KEY_USAGE, value));
    }
    let number = |(at, template): (usize, Template)| {
        (format!("minted {at}"), template.mint().der().to_vec())
    };
    templates.into_iter().enumerate().map(number).collect()
}

fn corpus() -> &'static [(String, Vec<u8>)] {
    static CORPUS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    CORPUS.get_or_init(|| made_by_openssl().chain(minted()).collect())
}

#[test]
fn the_readers_agree_on_certificates_of_every_sort() {
    for (case, der) in corpus() {
        assert!(!der.is_empty(), "{case}");
        check_agreement(case, der);
    }
}

/// One change that leaves most of a certificate readable.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    FlipBit(Index, u8),
    /// Writes the value of one place over another.
    Copy(Index, Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        (any::<Index>(), any::<Index>(), 1..12_u8)
            .prop_map(|(from, to, length)| Change::Copy(from, to, length)),
    ]
}

fn changed(der: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut der = der.to_vec();
    for change in changes {
        match change {
            Change::Set(at, byte) => *at.get_mut(&mut der) = *byte,
            Change::FlipBit(at, bit) => *at.get_mut(&mut der) ^= 1 << bit,
            Change::Copy(from, to, length) => {
                let length = usize::from(*length).min(der.len());
                let end = der.len() - length + 1;
                let from = from.index(end);
                der.copy_within(from..from + length, to.index(end));
            }
        }
    }
    der
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_readers_agree_on_damaged_certificates(
        at: Index,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let (case, der) = at.get(corpus());
        check_agreement(case, &changed(der, &changes));
    }

    /// Changes inside of the extensions alone, where the readers differ most easily.
    #[test]
    fn the_readers_agree_on_damaged_extensions(
        at: Index,
        changes in proptest::collection::vec(change(), 1..3),
    ) {
        let (case, der) = at.get(corpus());
        let marker = [0x06, 0x03, 0x55, 0x1d];
        let found = der.windows(marker.len()).position(|window| window == marker);
        let Some(begin) = found else { return Ok(()) };
        let end = der.len().saturating_sub(70).max(begin);
        let (head, rest) = der.split_at(begin);
        let (extensions, tail) = rest.split_at(end - begin);
        if !extensions.is_empty() {
            let damaged = changed(extensions, &changes);
            check_agreement(case, &[head, &damaged, tail].concat());
        }
    }
}

/// Times, where each reader has a parser of its own.
#[test]
fn the_readers_agree_on_times() {
    let sound = root("Root").valid(1_577_836_800, 2_366_841_600).mint();
    let written = b"200101000000Z";
    let at = sound
        .der()
        .windows(written.len())
        .position(|window| window == written);
    let at = at.unwrap_or_default();
    for time in [
        "000101000000Z",
        "240229235959Z",
        "230229235959Z",
        "491231235959Z",
        "500101000000Z",
        "691231235959Z",
        "700101000000Z",
        "200101240000Z",
        "200101000060Z",
        "20010100000 Z",
        "2001010000+01",
        "200100000000Z",
        "201301000000Z",
        "200101006000Z",
    ] {
        let mut der = sound.der().to_vec();
        der.splice(at..at + written.len(), time.bytes());
        check_agreement(time, &der);
    }
    assert!(at > 0);
}
