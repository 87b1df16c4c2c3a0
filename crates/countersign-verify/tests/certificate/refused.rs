//! Certificates that can be no anchor, one defect each.

use countersign_testca::{
    General, Key, KeyKind, NOT_AFTER, NOT_BEFORE, Name, Signature, Template, Usage, der, oid,
};

use crate::{DAY, NOW_EXACT, check, mint};

fn root() -> Template {
    countersign_testca::root("Example Root")
}

#[test]
fn what_is_no_ca_or_too_weak() {
    let ca = root().mint();
    let leaf = ca.leaf("billing").attribute(oid::ORGANIZATION, "A, Inc.");
    let tricks = ca.leaf("x`\n\u{202e}, CN=Example Root");
    let weak_rsa = root().key(KeyKind::Rsa2048).signature(Signature::Sha1);
    let rsa =
        |bits: usize, exponent: &[u8]| mint(root().with_key(&Key::forged_rsa(bits, exponent)));
    check(
        "no_ca_or_too_weak",
        [
            ("a leaf", mint(leaf)),
            ("a name that plays tricks", mint(tricks)),
            ("a self-signed leaf", mint(root().not_ca())),
            ("no basic constraints", mint(root().no_basic_constraints())),
            ("version 1", mint(root().version(1))),
            ("version 2", mint(root().version(2))),
            ("no subject", mint(root().subject(Name::empty()))),
            ("no keyCertSign", mint(root().key_usage(&[Usage::CrlSign]))),
            ("no key usage bit at all", mint(root().key_usage(&[]))),
            ("no key identifier", mint(root().no_ski())),
            ("an empty key identifier", mint(root().ski(&[]))),
            ("RSA of 1024 bits", mint(root().key(KeyKind::Rsa1024))),
            ("RSA of 1536 bits", rsa(1536, &[1, 0, 1])),
            ("RSA of 8200 bits", rsa(8200, &[1, 0, 1])),
            ("an exponent of 1", rsa(2048, &[1])),
            ("an even exponent", rsa(2048, &[1, 0, 0])),
            ("an exponent of 65539", rsa(2048, &[1, 0, 3])),
            (
                "an exponent of 33 bits",
                rsa(8192, &[1, 0xff, 0xff, 0xff, 0xff]),
            ),
            ("SHA-1 with RSA", mint(weak_rsa)),
            ("SHA-1 with ECDSA", mint(root().signature(Signature::Sha1))),
            ("for servers only", mint(root().eku(&[oid::SERVER_AUTH]))),
            (
                "for any purpose",
                mint(root().eku(&[oid::ANY_EXTENDED_KEY_USAGE])),
            ),
            (
                "for an unknown purpose",
                mint(root().eku(&[&[1, 3, 6, 1, 4, 1, 9, 1]])),
            ),
        ],
    );
}

#[test]
fn what_the_verifier_could_never_satisfy() {
    let critical = |id: &[u64], value: &[u8]| mint(root().extension(id, true, value));
    let directory = General::Directory(Name::empty().and(oid::ORGANIZATION, "Example"));
    let excluded = root().permit(General::dns("a")).exclude(directory.clone());
    let tree = |fields: &[u8]| {
        let tree = der::element(
            0x30,
            &[&der::element(0x82, b"example.com"), fields].concat(),
        );
        critical(
            oid::NAME_CONSTRAINTS,
            &der::sequence(&[der::element(0xa0, &tree)]),
        )
    };
    let network = General::Ip([10, 0, 0, 0].into());
    check(
        "never_satisfied",
        [
            (
                "an unknown extension",
                critical(&[1, 3, 6, 1, 4, 1, 9, 2], &[5, 0]),
            ),
            (
                "policy constraints",
                critical(oid::POLICY_CONSTRAINTS, &[0x30, 3, 0x80, 1, 0]),
            ),
            (
                "inhibitAnyPolicy",
                critical(oid::INHIBIT_ANY_POLICY, &[2, 1, 0]),
            ),
            (
                "policy mappings",
                critical(oid::POLICY_MAPPINGS, &[0x30, 0]),
            ),
            ("permitted directory names", mint(root().permit(directory))),
            ("excluded directory names", mint(excluded)),
            ("a subtree with a minimum", tree(&[0x80, 1, 1])),
            ("a subtree with a maximum", tree(&[0x81, 1, 1])),
            ("a network without its mask", mint(root().permit(network))),
            (
                "an unknown form of name",
                mint(root().permit(General::Raw(0x89, vec![0]))),
            ),
            (
                "constraints that are none",
                critical(oid::NAME_CONSTRAINTS, &[5, 0]),
            ),
        ],
    );
}

#[test]
fn name_constraints_that_would_refuse_what_they_permit() {
    check(
        "name_constraints",
        [
            (
                "permitted mail addresses",
                mint(root().permit(General::email("example.com"))),
            ),
            (
                "permitted URIs",
                mint(root().permit(General::uri("example.com"))),
            ),
            (
                "permitted registered ids",
                mint(root().permit(General::Registered(&[1, 2, 3]))),
            ),
            (
                "a DNS name with a leading dot",
                mint(root().permit(General::dns(".example.com"))),
            ),
            (
                "an excluded DNS name with a leading dot",
                mint(root().exclude(General::dns(".`example.com"))),
            ),
        ],
    );
}

#[test]
fn what_is_malformed() {
    let bare = root().no_basic_constraints();
    let basic = |value: &[u8]| mint(bare.clone().extension(oid::BASIC_CONSTRAINTS, true, value));
    let usage = |value: &[u8]| {
        let bare = root().no_key_usage();
        mint(bare.extension(oid::KEY_USAGE, true, value))
    };
    let again = root().extension(oid::BASIC_CONSTRAINTS, true, &[0x30, 0]);
    check(
        "malformed",
        [
            ("basic constraints that are none", basic(&[5, 0])),
            (
                "a negative path length",
                basic(&[0x30, 6, 1, 1, 0xff, 2, 1, 0xff]),
            ),
            (
                "a path length past 32 bits",
                basic(&[0x30, 10, 1, 1, 0xff, 2, 5, 1, 0, 0, 0, 0]),
            ),
            ("key usage that is none", usage(&[5, 0])),
            ("basic constraints twice", mint(again)),
        ],
    );
}

#[test]
fn what_has_ended() {
    let valid = |from: i64, to: i64| mint(root().valid(from, to));
    check(
        "at_its_end",
        [
            ("never valid", valid(NOT_AFTER, NOT_BEFORE)),
            ("expired a second ago", valid(NOT_BEFORE, NOW_EXACT - 1)),
            ("expired in 1960", valid(-400_000_000, -315_619_200)),
            ("in its last second", valid(NOT_BEFORE, NOW_EXACT)),
            ("24 hours left", valid(NOT_BEFORE, NOW_EXACT + DAY)),
        ],
    );
}

/// The judge's own reader has the last word.
#[test]
fn what_the_judge_cannot_read() {
    let bare = root().no_basic_constraints();
    let basic = |value: &[u8]| mint(bare.clone().extension(oid::BASIC_CONSTRAINTS, true, value));
    let many = (0..40).fold(root(), |template, number| {
        template.extension(&[1, 3, 6, 1, 4, 1, 9, number], false, &[5, 0])
    });
    check(
        "judge",
        [
            (
                "a path length past 8 bits",
                basic(&[0x30, 7, 1, 1, 0xff, 2, 2, 1, 0]),
            ),
            ("bytes after the value", basic(&[0x30, 3, 1, 1, 0xff, 5, 0])),
            ("forty extensions more", mint(many)),
        ],
    );
}
