//! docs/specification.md, section 2, steps 4 and 5: the leaf through presented intermediates.

use countersign_testca::{
    General, Key, KeyKind, Minted, NOT_AFTER, NOT_BEFORE, Signature, Template, Usage, oid, root,
};

use crate::scene::{NOW, check, organization, present};

const NOW_I64: i64 = NOW as i64;

#[test]
fn a_leaf_reaches_an_anchor_through_what_is_presented_in_any_order() {
    let ca = root("Root").mint();
    let upper = ca.intermediate("Upper").mint();
    let lower = upper.intermediate("Lower").mint();
    let stray = root("Stray").mint();
    let leaf = lower.leaf("client").mint();
    let trust = organization(&[&ca]);
    let missing_0 = "certificate_verification_failed: chain_path - 0 issuer_not_presented, \
                     candidate cert_1 - no_path";
    let missing_1 = "certificate_verification_failed: chain_path - 1 issuer_not_presented, \
                     candidate cert_1 - no_path";
    let no_path = "certificate_verification_failed: candidate cert_1 - no_path";
    for (case, chain, expected) in [
        ("in order", vec![&leaf, &lower, &upper], "permit cert_1"),
        ("out of order", vec![&leaf, &upper, &lower], "permit cert_1"),
        (
            "with the root",
            vec![&leaf, &lower, &upper, &ca],
            "permit cert_1",
        ),
        (
            "with another root",
            vec![&leaf, &stray, &lower, &upper],
            "permit cert_1",
        ),
        (
            "twice",
            vec![&leaf, &lower, &lower, &upper, &upper],
            "permit cert_1",
        ),
        ("without the upper", vec![&leaf, &lower], missing_1),
        ("without the lower", vec![&leaf, &upper], missing_0),
        ("its own root only", vec![&leaf, &stray], missing_0),
    ] {
        check(case, &trust.judge(&present(&chain)), expected);
    }
    check(
        "nothing but the leaf",
        &trust.judge(&present(&[&leaf])),
        "certificate_verification_failed: chain_path - 0 issuer_not_presented, \
         candidate cert_1 - other_key",
    );
    check(
        "an intermediate as anchor",
        &organization(&[&upper]).judge(&present(&[&leaf, &lower])),
        "permit cert_1",
    );
    check(
        "and its leaf's issuer",
        &organization(&[&lower]).judge(&present(&[&leaf])),
        "permit cert_1",
    );
    check(
        "a root that is not trusted",
        &organization(&[&stray]).judge(&present(&[&leaf, &lower, &upper, &ca])),
        no_path,
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one defect a row")]
fn each_defect_of_an_intermediate_closes_the_path_through_it() {
    let ca = root("Root").mint();
    let other = Key::generate(KeyKind::P256);
    let issuing = || ca.intermediate("Issuing");
    let skipped = |reason: &str| {
        format!(
            "certificate_verification_failed: chain_path - 1 {reason}, candidate cert_1 - no_path"
        )
    };
    let unlinked = |at: usize| {
        format!(
            "certificate_verification_failed: chain_path - {at} issuer_not_presented, candidate \
             cert_1 - no_path"
        )
    };
    let failed =
        |reason: &str| format!("certificate_verification_failed: chain_path cert_1 {reason}");
    for (case, issuing, expected) in [
        (
            "a second too late",
            issuing().valid(NOT_BEFORE, NOW_I64 - 1),
            skipped("expired"),
        ),
        (
            "a second too early",
            issuing().valid(NOW_I64 + 1, NOT_AFTER),
            skipped("not_yet_valid"),
        ),
        ("CA:FALSE", issuing().not_ca(), skipped("not_ca")),
        (
            "no basic constraints",
            issuing().no_basic_constraints(),
            skipped("not_ca"),
        ),
        (
            "may not sign certificates",
            issuing().key_usage(&[Usage::CrlSign]),
            skipped("key_usage"),
        ),
        (
            "servers only",
            issuing().eku(&[oid::SERVER_AUTH]),
            skipped("extended_key_usage"),
        ),
        (
            "a weak key",
            issuing().key(KeyKind::Rsa1024),
            skipped("weak_key"),
        ),
        (
            "critical",
            issuing().extension(&[1, 2, 3], true, &[5, 0]),
            skipped("unknown_critical_extension"),
        ),
        ("version 1", issuing().version(1), skipped("malformed")),
        (
            "bytes after it",
            issuing().trailing(b"\0"),
            skipped("malformed"),
        ),
        (
            "no AKI",
            issuing().no_aki(),
            skipped("no_authority_key_identifier"),
        ),
        ("another AKI", issuing().aki(&[1, 2, 3]), unlinked(1)),
        (
            "no SKI",
            issuing().no_ski(),
            skipped("no_subject_key_identifier"),
        ),
        ("another SKI", issuing().ski(&[1, 2, 3]), unlinked(0)),
        (
            "a flipped bit",
            issuing().break_signature(),
            failed("1 bad_signature"),
        ),
        (
            "signed by another key",
            issuing().signed_with(&other),
            failed("1 bad_signature"),
        ),
        (
            "SHA-1 in name",
            issuing().signature(Signature::Sha1),
            failed("1 weak_signature"),
        ),
    ] {
        let issuing = issuing.mint();
        let leaf = issuing
            .leaf("client")
            .aki(&issuing.key().identifier())
            .mint();
        check(
            case,
            &organization(&[&ca]).judge(&present(&[&leaf, &issuing])),
            &expected,
        );
    }
}

#[test]
fn what_an_intermediate_may_be_is_permitted() {
    let ca = root("Root").mint();
    let issuing = || ca.intermediate("Issuing");
    for (case, issuing) in [
        ("its first second", issuing().valid(NOW_I64, NOT_AFTER)),
        ("its last second", issuing().valid(NOT_BEFORE, NOW_I64)),
        ("no key usage", issuing().no_key_usage()),
        (
            "clients too",
            issuing().eku(&[oid::SERVER_AUTH, oid::CLIENT_AUTH]),
        ),
        ("RSA", issuing().key(KeyKind::Rsa2048)),
    ] {
        let issuing = issuing.mint();
        let leaf = issuing.leaf("client").mint();
        check(
            case,
            &organization(&[&ca]).judge(&present(&[&leaf, &issuing])),
            "permit cert_1",
        );
    }
}

#[test]
fn each_defect_of_a_leaf_closes_every_chain_path() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let leaf = || issuing.leaf("client");
    let unfit = |reason: &str| {
        format!(
            "certificate_verification_failed: chain_path - 0 {reason}, candidate cert_1 - no_path"
        )
    };
    let failed =
        |reason: &str| format!("certificate_verification_failed: chain_path cert_1 0 {reason}");
    for (case, leaf, expected) in [
        (
            "expired",
            leaf().valid(NOT_BEFORE, NOW_I64 - 1),
            unfit("expired"),
        ),
        (
            "not yet valid",
            leaf().valid(NOW_I64 + 1, NOT_AFTER),
            unfit("not_yet_valid"),
        ),
        ("a CA", leaf().ca(), unfit("leaf_is_ca")),
        (
            "no handshakes",
            leaf().key_usage(&[Usage::KeyEncipherment]),
            unfit("key_usage"),
        ),
        (
            "servers only",
            leaf().eku(&[oid::SERVER_AUTH]),
            unfit("extended_key_usage"),
        ),
        (
            "a weak key",
            leaf().key(KeyKind::Rsa1024),
            unfit("weak_key"),
        ),
        (
            "critical",
            leaf().extension(&[1, 2, 3], true, &[5, 0]),
            unfit("unknown_critical_extension"),
        ),
        (
            "a flipped bit",
            leaf().break_signature(),
            failed("bad_signature"),
        ),
    ] {
        check(
            case,
            &organization(&[&ca]).judge(&present(&[&leaf.mint(), &issuing])),
            &expected,
        );
    }
}

#[test]
fn the_anchors_own_properties_count_on_the_chain_path() {
    let chain = |ca: &Minted| {
        let issuing = ca.intermediate("Issuing").mint();
        present(&[&issuing.leaf("client").mint(), &issuing])
    };
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
            "no intermediates allowed",
            root("Root").path_len(0),
            "certificate_verification_failed: chain_path cert_1 - path_length",
        ),
        ("one allowed", root("Root").path_len(1), "permit cert_1"),
        (
            "may not sign certificates",
            root("Root").key_usage(&[Usage::CrlSign]),
            "certificate_verification_failed: candidate cert_1 - anchor_unusable",
        ),
    ] {
        let ca = ca.mint();
        check(case, &organization(&[&ca]).judge(&chain(&ca)), expected);
    }
    let ca = root("Root").mint();
    let renamed = root("Renamed").with_key(ca.key()).mint();
    check(
        "same key, other name",
        &organization(&[&renamed]).judge(&chain(&ca)),
        "certificate_verification_failed: candidate cert_1 - no_path",
    );
    let ca = root("Root").path_len(0).mint();
    check(
        "directly",
        &organization(&[&ca]).judge(&present(&[&ca.leaf("client").mint()])),
        "permit cert_1",
    );
}

#[test]
fn path_lengths_count_intermediates_but_not_self_issued_ones_below_an_anchor() {
    let ca = root("Root").path_len(1).mint();
    let rolled = ca.intermediate("Root").mint();
    let upper = rolled.intermediate("Upper").mint();
    let lower = upper.intermediate("Lower").mint();
    let trust = organization(&[&ca]);
    check(
        "one besides itself",
        &trust.judge(&present(&[&upper.leaf("client").mint(), &upper, &rolled])),
        "permit cert_1",
    );
    check(
        "two besides itself",
        &trust.judge(&present(&[
            &lower.leaf("client").mint(),
            &lower,
            &upper,
            &rolled,
        ])),
        "certificate_verification_failed: chain_path cert_1 - path_length",
    );
    let ca = root("Root").mint();
    let upper = ca.intermediate("Upper").path_len(0).mint();
    let lower = upper.intermediate("Lower").mint();
    let trust = organization(&[&ca]);
    check(
        "none below, and none is",
        &trust.judge(&present(&[&upper.leaf("client").mint(), &upper])),
        "permit cert_1",
    );
    check(
        "none below, and one is",
        &trust.judge(&present(&[&lower.leaf("client").mint(), &lower, &upper])),
        "certificate_verification_failed: chain_path - 2 path_length, candidate cert_1 - no_path",
    );
}

#[test]
fn name_constraints_bind_everything_below() {
    let host = || General::dns("example.com");
    let violated = "certificate_verification_failed: chain_path cert_1 0 name_constraints";
    let run = |ca: Template, issuing: fn(Template) -> Template, name: &str| {
        let ca = ca.mint();
        let issuing = issuing(ca.intermediate("Issuing")).mint();
        let leaf = issuing.leaf("client").san(General::dns(name)).mint();
        organization(&[&ca]).judge(&present(&[&leaf, &issuing]))
    };
    let as_is: fn(Template) -> Template = |issuing| issuing;
    check(
        "the anchor permits",
        &run(root("Root").permit(host()), as_is, "a.example.com"),
        "permit cert_1",
    );
    check(
        "the anchor does not",
        &run(root("Root").permit(host()), as_is, "example.org"),
        violated,
    );
    check(
        "the anchor excludes",
        &run(root("Root").exclude(host()), as_is, "example.com"),
        violated,
    );
    let permits: fn(Template) -> Template = |issuing| issuing.permit(General::dns("example.com"));
    check(
        "the intermediate permits",
        &run(root("Root"), permits, "example.com"),
        "permit cert_1",
    );
    check(
        "the intermediate does not",
        &run(root("Root"), permits, "example.org"),
        violated,
    );
    check(
        "both must",
        &run(
            root("Root").permit(General::dns("example.org")),
            permits,
            "example.com",
        ),
        violated,
    );
    let names_itself: fn(Template) -> Template = |issuing| issuing.san(General::dns("example.org"));
    check(
        "the intermediate's own name",
        &run(root("Root").permit(host()), names_itself, "example.com"),
        "certificate_verification_failed: chain_path cert_1 - name_constraints",
    );
}

#[test]
fn a_definite_failure_on_the_direct_path_is_final() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let chain = present(&[&issuing.leaf("client").mint(), &issuing]);
    let impostor = root("Issuing").ski(&issuing.key().identifier()).mint();
    let impostor_expired = root("Issuing")
        .ski(&issuing.key().identifier())
        .valid(NOT_BEFORE, NOW_I64 - 1)
        .mint();
    let renamed = root("Renamed").with_key(issuing.key()).mint();
    check(
        "without it",
        &organization(&[&ca]).judge(&chain),
        "permit cert_1",
    );
    check(
        "with it",
        &organization(&[&ca, &impostor]).judge(&chain),
        "certificate_verification_failed: direct_path cert_2 0 bad_signature, candidate cert_1 - no_path",
    );
    check(
        "expired, it is no candidate",
        &organization(&[&impostor_expired, &ca]).judge(&chain),
        "permit cert_2",
    );
    check(
        "of another name, it is none",
        &organization(&[&renamed, &ca]).judge(&chain),
        "permit cert_2",
    );
}

#[test]
fn every_way_up_is_tried() {
    let first = root("First").mint();
    let second = root("Second").mint();
    let key = Key::generate(KeyKind::P256);
    let under_first = |change: fn(Template) -> Template| {
        change(first.intermediate("Issuing").with_key(&key)).mint()
    };
    let under_second = second.intermediate("Issuing").with_key(&key).mint();
    let sound = under_first(|issuing| issuing);
    let leaf = sound.leaf("client").san(General::dns("example.org")).mint();
    let broken = under_first(Template::break_signature);
    let constrained = under_first(|issuing| issuing.permit(General::dns("example.com")));
    let both = organization(&[&first, &second]);
    check(
        "the first anchor",
        &both.judge(&present(&[&leaf, &under_second, &sound])),
        "permit cert_1",
    );
    check(
        "past a broken one",
        &both.judge(&present(&[&leaf, &broken, &under_second])),
        "permit cert_2",
    );
    check(
        "past a constrained one",
        &both.judge(&present(&[&leaf, &constrained, &under_second])),
        "permit cert_2",
    );
    check(
        "the one that is trusted",
        &organization(&[&second]).judge(&present(&[&leaf, &sound, &under_second])),
        "permit cert_1",
    );
    check(
        "none",
        &both.judge(&present(&[&leaf, &broken, &constrained])),
        "certificate_verification_failed: chain_path cert_1 1 bad_signature, \
         chain_path cert_1 0 name_constraints, candidate cert_2 - no_path",
    );
}

#[test]
fn only_the_path_that_the_key_identifiers_name_counts() {
    // The leaf names a self-issued intermediate's key, but the anchor itself signed it. By names
    // and signatures alone it stands directly under the anchor.
    let ca = root("Root").mint();
    let rolled = ca.intermediate("Root").mint();
    let leaf = ca.leaf("client").aki(&rolled.key().identifier()).mint();
    check(
        "astray",
        &organization(&[&ca]).judge(&present(&[&leaf, &rolled])),
        "certificate_verification_failed: chain_path cert_1 0 bad_signature",
    );
    let leaf = rolled.leaf("client").mint();
    check(
        "a CA that changed its key",
        &organization(&[&ca]).judge(&present(&[&leaf, &rolled])),
        "permit cert_1",
    );
}
