//! docs/specification.md, section 2, step 2: a leaf that is missing or cannot be read.

use countersign_testca::{Key, der, oid, root};
use countersign_types::{certificate::Scope, error::ErrorCode};
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

/// Keys that are not supported, and how they are named.
fn unsupported_keys() -> Vec<(Key, &'static str)> {
    let rsa = |bits, exponent: &[u8]| Key::forged_rsa(bits, exponent);
    let curve = |curve: &[u8]| {
        let identifier = [&[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], curve].concat();
        let algorithm = der::element(0x30, &identifier);
        Key::unknown(&[algorithm, der::element(3, &[0, 4, 1, 2])].concat())
    };
    let other = |id: &[u8]| {
        let algorithm = der::element(0x30, &der::element(6, id));
        Key::unknown(&[algorithm, der::element(3, &[0, 4, 1, 2])].concat())
    };
    vec![
        (rsa(1024, &[1, 0, 1]), "RSA 1024 bits"),
        (rsa(1536, &[1, 0, 1]), "RSA 1536 bits"),
        (rsa(2047, &[1, 0, 1]), "RSA 2047 bits"),
        (rsa(8193, &[1, 0, 1]), "RSA 8193 bits"),
        (rsa(16384, &[1, 0, 1]), "RSA 16384 bits"),
        (
            rsa(4096, &[1, 0, 3]),
            "RSA 4096 bits with the exponent 65539",
        ),
        (
            rsa(8192, &[1, 0, 0, 0, 1]),
            "RSA 8192 bits with an exponent of 33 bits",
        ),
        (
            curve(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1]),
            "ECDSA on the curve P-192",
        ),
        (
            curve(&[6, 5, 0x2b, 0x81, 4, 0, 0x21]),
            "ECDSA on the curve P-224",
        ),
        (
            curve(&[6, 5, 0x2b, 0x81, 4, 0, 0x0a]),
            "ECDSA on the curve secp256k1",
        ),
        (
            curve(&[6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]),
            "ECDSA on the curve brainpoolP256r1",
        ),
        (
            curve(&[0x30, 3, 2, 1, 1]),
            "ECDSA on a curve given by its parameters",
        ),
        (other(&[0x2b, 0x65, 0x71]), "ed448"),
        (other(&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1]), "id-dsa"),
        (
            other(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]),
            "rsassa-pss",
        ),
    ]
}

/// Keys that a handshake cannot check, or not cheaply: refused with a word on the key, and never
/// let through, so that nobody has to prove that they hold it.
#[test]
fn a_leaf_whose_key_is_not_supported_is_refused_by_its_kind_and_size() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let trust = organization(&[&ca]);
    for (key, expected) in unsupported_keys() {
        let direct = ca.leaf("client").with_key(&key).mint();
        let below = issuing.leaf("client").with_key(&key).mint();
        let untrusted = root("Other").mint().leaf("client").with_key(&key).mint();
        for chain in [&[&direct][..], &[&below, &issuing], &[&untrusted]] {
            let presented = present(chain);
            assert!(!can_be_verified(presented.leaf().unwrap()), "{expected}");
            let Verdict::Refusal(refusal) = trust.judge(&presented) else {
                panic!("{expected}: no refusal");
            };
            assert_eq!(refusal.code(), ErrorCode::CertificateVerificationFailed);
            let says = format!(
                "leaf (`CN=client`): the certificate's key ({expected}) is too weak or not \
                 supported"
            );
            let said: Vec<_> = refusal.trace().iter().map(ToString::to_string).collect();
            assert!(said.contains(&says), "{said:?}");
        }
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
        matches!(verdict, Verdict::Refusal(_))
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
        assert!(matches!(verdict, Verdict::Refusal(_)), "byte {at}");
    }
}
