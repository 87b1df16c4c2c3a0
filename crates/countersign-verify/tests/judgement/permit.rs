//! What a permit proves, and how long.

use countersign_testca::{Minted, NOT_AFTER, NOT_BEFORE, root};
use countersign_types::{certificate::Scope, digest::Sha256};
use countersign_verify::{judge::Verdict, permit::Permit};

use crate::scene::{NOW, REVISION, organization, present};

const NOW_I64: i64 = NOW as i64;

fn permit(anchors: &[&Minted], chain: &[&Minted]) -> Permit {
    match organization(anchors).judge(&present(chain)) {
        Verdict::Permit(permit) => permit,
        other => panic!("no permit: {other:?}"),
    }
}

#[test]
fn it_names_the_anchor_the_leaf_and_the_revision() {
    let ca = root("Root").mint();
    let leaf = ca.leaf("client").mint();
    let permit = permit(&[&ca], &[&leaf]);
    assert_eq!(permit.anchor().as_str(), "cert_1");
    assert_eq!(permit.scope(), &Scope::Organization);
    assert_eq!(permit.revision(), REVISION);
    assert_eq!(permit.signature_checks(), 1);
    assert_eq!(permit.leaf_sha256(), Sha256::of(leaf.der()));
}

#[test]
fn it_holds_until_the_first_certificate_of_its_path_expires() {
    let (soon, later) = (NOW_I64 + 10, NOW_I64 + 20);
    let mint = |ca: i64, issuing: i64, leaf: i64| {
        let ca = root("Root").valid(NOT_BEFORE, ca).mint();
        let issuing = ca.intermediate("Issuing").valid(NOT_BEFORE, issuing).mint();
        let leaf = issuing.leaf("client").valid(NOT_BEFORE, leaf).mint();
        (ca, issuing, leaf)
    };
    for (ca, issuing, leaf) in [
        mint(soon, later, NOT_AFTER),
        mint(later, soon, NOT_AFTER),
        mint(later, NOT_AFTER, soon),
    ] {
        let chained = permit(&[&ca], &[&leaf, &issuing]);
        assert_eq!(chained.signature_checks(), 2);
        assert_eq!(chained.not_after(), NOW + 10);
        assert!(chained.holds_at(NOW) && chained.holds_at(NOW + 10));
        assert!(!chained.holds_at(NOW + 11));
    }
    for (ca, leaf) in [(soon, later), (later, soon)] {
        let ca = root("Root").valid(NOT_BEFORE, ca).mint();
        let leaf = ca.leaf("client").valid(NOT_BEFORE, leaf).mint();
        assert_eq!(permit(&[&ca], &[&leaf]).not_after(), NOW + 10);
    }
}

#[test]
fn its_cost_does_not_depend_on_how_many_anchors_there_are() {
    let ca = root("Root").mint();
    let namesakes: Vec<_> = (0..49).map(|_| root("Root").mint()).collect();
    let anchors: Vec<_> = namesakes.iter().chain([&ca]).collect();
    let permit = permit(&anchors, &[&ca.leaf("client").mint()]);
    assert_eq!(permit.anchor().as_str(), "cert_50");
    assert_eq!(permit.signature_checks(), 1);
}

#[test]
fn it_gives_the_verified_path_and_nothing_else_that_was_presented() {
    let ca = root("Root").mint();
    let upper = ca.intermediate("Upper").mint();
    let lower = upper.intermediate("Lower").mint();
    let leaf = lower.leaf("client").mint();
    let stray = root("Stray").mint();
    let expired = ca.intermediate("Upper").valid(0, 1).mint();
    let direct = ca.leaf("client").mint();
    let path = |chain: &[&Minted]| -> Vec<Vec<u8>> {
        let presented = present(chain);
        let Verdict::Permit(permit) = organization(&[&ca]).judge(&presented) else {
            panic!("no permit");
        };
        let path = permit.intermediates(&presented);
        path.map(|der| der.to_vec()).collect()
    };
    let ders = |minted: &[&Minted]| -> Vec<Vec<u8>> {
        minted.iter().map(|one| one.der().to_vec()).collect()
    };
    for (case, chain, expected) in [
        ("direct", vec![&direct], vec![]),
        ("direct, with others", vec![&direct, &stray, &upper], vec![]),
        (
            "in order",
            vec![&leaf, &lower, &upper],
            vec![&lower, &upper],
        ),
        (
            "out of order, with others",
            vec![&leaf, &stray, &expired, &upper, &stray, &lower, &ca],
            vec![&lower, &upper],
        ),
    ] {
        assert_eq!(path(&chain), ders(&expected), "{case}");
    }
}
