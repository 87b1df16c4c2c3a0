//! docs/specification.md, section 2, step 3: the leaf directly under an anchor.

use countersign_testca::{
    General, Key, KeyKind, NOT_AFTER, NOT_BEFORE, Name, Signature, Template, Usage, oid, root,
};
use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

use crate::scene::{NOW, check, organization, present};

const NOW_I64: i64 = NOW as i64;

#[test]
fn every_supported_kind_of_key_and_signature_is_permitted() {
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ] {
        let ca = root("Root").key(kind).mint();
        let leaf = ca.leaf("client").key(kind).mint();
        check(
            &format!("{kind:?}"),
            &organization(&[&ca]).judge(&present(&[&leaf])),
            "permit cert_1",
        );
    }
    let ca = root("Root").key(KeyKind::Rsa2048).mint();
    for signature in [
        Signature::Sha256,
        Signature::Sha384,
        Signature::Sha512,
        Signature::PssSha256,
        Signature::PssSha384,
        Signature::PssSha512,
    ] {
        let leaf = ca.leaf("client").signature(signature).mint();
        check(
            &format!("{signature:?}"),
            &organization(&[&ca]).judge(&present(&[&leaf])),
            "permit cert_1",
        );
    }
}

#[test]
fn each_defect_of_a_leaf_is_definite_once_its_anchor_is_selected() {
    let ca = root("Root").mint();
    let rsa = root("RSA Root").key(KeyKind::Rsa2048).mint();
    let other = Key::generate(KeyKind::P256);
    let leaf = || ca.leaf("client");
    for (case, leaf, reason) in [
        (
            "a second too late",
            leaf().valid(NOT_BEFORE, NOW_I64 - 1),
            "expired",
        ),
        (
            "a second too early",
            leaf().valid(NOW_I64 + 1, NOT_AFTER),
            "not_yet_valid",
        ),
        ("a CA", leaf().ca(), "leaf_is_ca"),
        (
            "no handshakes",
            leaf().key_usage(&[Usage::KeyEncipherment]),
            "key_usage",
        ),
        (
            "servers only",
            leaf().eku(&[oid::SERVER_AUTH]),
            "extended_key_usage",
        ),
        (
            "any purpose",
            leaf().eku(&[oid::ANY_EXTENDED_KEY_USAGE]),
            "extended_key_usage",
        ),
        ("a weak key", leaf().key(KeyKind::Rsa1024), "weak_key"),
        ("a flipped bit", leaf().break_signature(), "bad_signature"),
        (
            "signed by another key",
            leaf().signed_with(&other),
            "bad_signature",
        ),
        (
            "SHA-1 in name",
            leaf().signature(Signature::Sha1),
            "weak_signature",
        ),
    ] {
        let expected = format!("certificate_verification_failed: direct_path cert_1 0 {reason}");
        check(
            case,
            &organization(&[&ca]).judge(&present(&[&leaf.mint()])),
            &expected,
        );
    }
    let sha1 = rsa.leaf("client").signature(Signature::Sha1).mint();
    check(
        "SHA-1 in truth",
        &organization(&[&rsa]).judge(&present(&[&sha1])),
        "certificate_verification_failed: direct_path cert_1 0 weak_signature",
    );
}

#[test]
fn what_a_leaf_may_be_is_permitted() {
    let ca = root("Root").mint();
    let leaf = || ca.leaf("client");
    for (case, leaf) in [
        ("its first second", leaf().valid(NOW_I64, NOT_AFTER)),
        ("its last second", leaf().valid(NOT_BEFORE, NOW_I64)),
        ("no key usage", leaf().no_key_usage()),
        ("no extended key usage", leaf().no_eku()),
        (
            "servers too",
            leaf().eku(&[oid::SERVER_AUTH, oid::CLIENT_AUTH]),
        ),
        ("no basic constraints", leaf().no_basic_constraints()),
        ("no subject key identifier", leaf().no_ski()),
        (
            "an unknown extension",
            leaf().extension(&[1, 2, 3, 4], false, &[5, 0]),
        ),
    ] {
        check(
            case,
            &organization(&[&ca]).judge(&present(&[&leaf.mint()])),
            "permit cert_1",
        );
    }
}

#[test]
fn an_anchor_outside_its_own_validity_is_no_candidate_but_active() {
    let leaf_of = |ca: &countersign_testca::Minted| present(&[&ca.leaf("client").mint()]);
    for (case, ca, expected) in [
        (
            "expired",
            root("Root").valid(NOT_BEFORE, NOW_I64 - 1),
            "certificate_verification_failed: candidate cert_1 - anchor_expired",
        ),
        (
            "not yet valid",
            root("Root").valid(NOW_I64 + 1, NOT_AFTER),
            "certificate_verification_failed: candidate cert_1 - anchor_not_yet_valid",
        ),
        (
            "its first second",
            root("Root").valid(NOW_I64, NOT_AFTER),
            "permit cert_1",
        ),
        (
            "its last second",
            root("Root").valid(NOT_BEFORE, NOW_I64),
            "permit cert_1",
        ),
        (
            "since before 1970",
            root("Root").valid(-1, NOT_AFTER),
            "permit cert_1",
        ),
    ] {
        let ca = ca.mint();
        check(case, &organization(&[&ca]).judge(&leaf_of(&ca)), expected);
    }
}

#[test]
fn an_anchor_is_a_candidate_by_its_key_identifier_and_its_name() {
    let ca = root("Root").mint();
    let renamed = root("Renamed").with_key(ca.key()).mint();
    let namesake = root("Root").mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    let other_key = "certificate_verification_failed: chain_path - 0 issuer_not_presented, \
                     candidate cert_1 - other_key";
    let other_issuer = "certificate_verification_failed: candidate cert_1 - other_issuer";
    check(
        "same name, other key",
        &organization(&[&namesake]).judge(&leaf),
        other_key,
    );
    check(
        "same key, other name",
        &organization(&[&renamed]).judge(&leaf),
        other_issuer,
    );
    check(
        "neither is in the way",
        &organization(&[&namesake, &renamed, &ca]).judge(&leaf),
        "permit cert_3",
    );
    let forged = namesake.leaf("client").aki(&ca.key().identifier()).mint();
    check(
        "a namesake's leaf under a foreign key identifier",
        &organization(&[&ca]).judge(&present(&[&forged])),
        "certificate_verification_failed: direct_path cert_1 0 bad_signature",
    );
    let misnamed = ca.leaf("client").issuer_name(Name::common("Nobody")).mint();
    check(
        "its issuer's name is another",
        &organization(&[&ca]).judge(&present(&[&misnamed])),
        other_issuer,
    );
    let astray = ca.leaf("client").aki(&[1, 2, 3]).mint();
    check(
        "its issuer's key is another",
        &organization(&[&ca]).judge(&present(&[&astray])),
        other_key,
    );
}

#[test]
fn of_anchors_with_one_key_identifier_the_first_that_verifies_is_selected() {
    let ca = root("Root").mint();
    let again = root("Root").with_key(ca.key()).mint();
    let expired = root("Root")
        .with_key(ca.key())
        .valid(NOT_BEFORE, NOW_I64 - 1)
        .mint();
    let impostor = root("Root").ski(&ca.key().identifier()).mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    let broken = present(&[&ca.leaf("client").break_signature().mint()]);
    check(
        "past one that expired",
        &organization(&[&expired, &again]).judge(&leaf),
        "permit cert_2",
    );
    check(
        "past one of another key",
        &organization(&[&impostor, &ca]).judge(&leaf),
        "permit cert_2",
    );
    check(
        "none verifies",
        &organization(&[&impostor, &ca, &expired]).judge(&broken),
        "certificate_verification_failed: direct_path cert_1 0 bad_signature, \
         direct_path cert_2 0 bad_signature, candidate cert_3 - anchor_expired",
    );
}

#[test]
fn intermediates_are_ignored_when_the_leaf_is_directly_under_an_anchor() {
    let ca = root("Root").mint();
    let leaf = ca.leaf("client").mint();
    let mut chain = vec![CertificateDer::from(leaf.der().to_vec())];
    chain.extend((0..100).map(|_| CertificateDer::from(vec![0; 1000])));
    check(
        "rubbish",
        &organization(&[&ca]).judge(&Presented::new(chain)),
        "permit cert_1",
    );
}

#[test]
fn the_anchors_name_constraints_bind_the_leaf() {
    let constrained = |base: General| root("Root").permit(base).mint();
    let host = || General::dns("example.com");
    let named = |name: General| move |leaf: Template| leaf.san(name);
    let violated = "certificate_verification_failed: direct_path cert_1 0 name_constraints";
    let inside = constrained(host());
    for (case, change, expected) in [
        (
            "inside",
            named(General::dns("a.example.com")),
            "permit cert_1",
        ),
        ("outside", named(General::dns("example.org")), violated),
        (
            "a suffix only",
            named(General::dns("badexample.com")),
            violated,
        ),
        (
            "of another kind",
            named(General::email("a@example.org")),
            "permit cert_1",
        ),
    ] {
        let leaf = change(inside.leaf("client")).mint();
        check(
            case,
            &organization(&[&inside]).judge(&present(&[&leaf])),
            expected,
        );
    }
    let outside = root("Root").exclude(host()).mint();
    for (case, name, expected) in [
        ("excluded", "example.com", violated),
        ("below the excluded", "a.example.com", violated),
        ("a wildcard over the excluded", "*.com", violated),
        ("beside the excluded", "example.org", "permit cert_1"),
    ] {
        let leaf = outside.leaf("client").san(General::dns(name)).mint();
        check(
            case,
            &organization(&[&outside]).judge(&present(&[&leaf])),
            expected,
        );
    }
    let dotted = constrained(General::dns(".example.com"));
    let leaf = dotted
        .leaf("client")
        .san(General::dns("a.example.com"))
        .mint();
    check(
        "a constraint with a leading dot",
        &organization(&[&dotted]).judge(&present(&[&leaf])),
        "certificate_verification_failed: candidate cert_1 - anchor_unusable",
    );
}
