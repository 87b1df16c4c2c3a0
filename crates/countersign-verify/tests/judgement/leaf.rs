//! docs/specification.md, section 2, step 2: a leaf that is missing or cannot be read.

use countersign_testca::{oid, root};
use countersign_types::certificate::Scope;
use countersign_verify::{
    judge::{Verdict, judge},
    presented::{Presented, can_be_verified},
};
use rustls_pki_types::CertificateDer;

use crate::scene::{NOW, check, organization, present};

#[test]
fn a_leaf_must_be_one_certificate_that_names_the_key_that_signed_it() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let leaf = || ca.leaf("client");
    let malformed = "invalid_certificate: leaf - 0 malformed";
    let nameless = "invalid_certificate: leaf - 0 no_authority_key_identifier";
    for (case, leaf, expected) in [
        ("sound", leaf(), "permit cert_1"),
        ("bytes after it", leaf().trailing(b"\0"), malformed),
        ("version 1", leaf().version(1), malformed),
        ("version 2", leaf().version(2), malformed),
        (
            "an extension twice",
            leaf().extension(&[1, 2, 3, 4], false, &[5, 0]).extension(
                &[1, 2, 3, 4],
                false,
                &[5, 0],
            ),
            malformed,
        ),
        (
            "two key identifiers",
            leaf().extension(&[2, 5, 29, 35], false, &[0x30, 3, 0x80, 1, 7]),
            malformed,
        ),
        ("no AKI", leaf().no_aki(), nameless),
        (
            "AKI of issuer and serial",
            leaf().aki_without_key_identifier(),
            nameless,
        ),
        ("AKI of nothing", leaf().aki(&[]), nameless),
        ("expired, and no AKI", leaf().no_aki().valid(0, 1), nameless),
    ] {
        check(case, &trust.judge(&present(&[&leaf.mint()])), expected);
    }
    let garbage = |bytes: &[u8]| Presented::new(vec![CertificateDer::from(bytes.to_vec())]);
    for bytes in [&b""[..], b"garbage", &ca.leaf("client").mint().der()[1..]] {
        check("garbage", &trust.judge(&garbage(bytes)), malformed);
    }
}

/// Whose key the handshake does not ask for: never a leaf that could pass.
#[test]
fn only_a_leaf_that_never_passes_is_let_off_the_proof_of_its_key() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let leaf = || ca.leaf("client");
    for (leaf, expected) in [
        (leaf(), true),
        (leaf().no_aki(), true),
        (leaf().valid(0, 1), true),
        (leaf().trailing(b"\0"), false),
        (leaf().version(1), false),
        (leaf().extension(&[1, 2, 3], true, &[5, 0]), false),
    ] {
        let presented = present(&[&leaf.mint()]);
        let proven = can_be_verified(presented.leaf().unwrap());
        assert_eq!(proven, expected);
        let permitted = matches!(trust.judge(&presented), Verdict::Permit(_));
        assert!(proven || !permitted);
    }
}

#[test]
fn a_leaf_with_more_extensions_than_are_read_is_malformed() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let with = |more: u64| {
        let leaf = (0..more).fold(ca.leaf("client"), |leaf, at| {
            leaf.extension(&[1, 2, 3, at], false, &[5, 0])
        });
        present(&[&leaf.mint()])
    };
    check("32 or fewer", &trust.judge(&with(20)), "permit cert_1");
    check(
        "more",
        &trust.judge(&with(33)),
        "invalid_certificate: leaf - 0 malformed",
    );
}

#[test]
fn a_critical_extension_that_nobody_processes_is_no_matter_of_reading() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let odd = |id: &[u64]| present(&[&ca.leaf("client").extension(id, true, &[5, 0]).mint()]);
    for id in [&[1, 2, 3, 4][..], &[2, 5, 29, 99], oid::CLIENT_AUTH] {
        check(
            "critical",
            &trust.judge(&odd(id)),
            "certificate_verification_failed: direct_path cert_1 0 unknown_critical_extension",
        );
    }
}

#[test]
fn no_flipped_bit_and_no_cut_of_a_leaf_is_permitted() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]).compile();
    let sound = ca.leaf("client").mint().der().to_vec();
    let is_denied = |der: Vec<u8>| {
        let presented = Presented::new(vec![CertificateDer::from(der)]);
        let verdict = judge(&trust, &Scope::Organization, &presented, NOW);
        matches!(verdict, Verdict::Denial(_))
    };
    for at in 0..sound.len() {
        for bit in 0..8 {
            let mut der = sound.clone();
            der[at] ^= 1 << bit;
            assert!(is_denied(der), "bit {bit} of byte {at}");
        }
        assert!(is_denied(sound[..at].to_vec()), "cut at {at}");
    }
    assert!(!is_denied(sound));
}

#[test]
fn no_flipped_bit_of_an_intermediate_is_permitted() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let trust = organization(&[&ca]).compile();
    let leaf = CertificateDer::from(issuing.leaf("client").mint().der().to_vec());
    let sound = issuing.der().to_vec();
    for at in 0..sound.len() {
        let mut der = sound.clone();
        der[at] ^= 1 << (at % 8);
        let presented = Presented::new(vec![leaf.clone(), CertificateDer::from(der)]);
        let verdict = judge(&trust, &Scope::Organization, &presented, NOW);
        assert!(matches!(verdict, Verdict::Denial(_)), "byte {at}");
    }
}
