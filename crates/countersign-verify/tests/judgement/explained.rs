//! What an explanation says: which certificate, which extension, which field, and what the clock
//! has to do with it.

use countersign_testca::{General, Name, Signature, Template, oid, root};
use countersign_verify::judge::Verdict;

use crate::scene::{NOW, Trust, organization, present};

const NOW_I64: i64 = NOW as i64;

/// The tag of a PrintableString.
const PRINTABLE: u8 = 0x13;

/// The trace of a refusal, a line for each finding.
fn explain(trust: &Trust, chain: &[&countersign_testca::Minted]) -> String {
    let Verdict::Refusal(refusal) = trust.judge(&present(chain)) else {
        panic!("no refusal");
    };
    let lines: Vec<_> = refusal.trace().iter().map(ToString::to_string).collect();
    format!("{}\n{}", refusal.code().as_str(), lines.join("\n"))
}

#[track_caller]
fn says(explained: &str, expected: &str) {
    assert!(
        explained.contains(expected),
        "{explained}\ndoes not say: {expected}"
    );
}

#[test]
fn times_are_shown_with_their_distance_and_the_clock() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let leaf = |from: i64, to: i64| ca.leaf("client").valid(from, to).mint();
    says(
        &explain(&trust, &[&leaf(NOW_I64 + 20, NOW_I64 + 1_000)]),
        "leaf (`CN=client`): the certificate is not valid before 2026-11-23T00:00:20Z, 20 s from \
         now; the clock here says 2026-11-23T00:00:00Z",
    );
    says(
        &explain(&trust, &[&leaf(0, NOW_I64 - 86_400 * 3)]),
        "leaf (`CN=client`): the certificate expired at 2026-11-20T00:00:00Z, 3 days ago; the \
         clock here says 2026-11-23T00:00:00Z",
    );
    let old = root("Root").valid(0, NOW_I64 - 600).mint();
    says(
        &explain(&organization(&[&old]), &[&old.leaf("client").mint()]),
        "the anchor expired at 2026-11-22T23:50:00Z, 10 min ago; the clock here says",
    );
}

#[test]
fn the_certificate_at_fault_is_named_by_position_and_subject() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let through = |issuing: Template| {
        let issuing = issuing.mint();
        let leaf = issuing.leaf("client").mint();
        explain(&trust, &[&leaf, &issuing])
    };
    let issuing = || ca.intermediate("Issuing");
    for (issuing, expected) in [
        (
            issuing().break_signature(),
            "presented certificate 1 (`CN=Issuing`): the signature does not verify under the \
             issuer's key",
        ),
        (
            issuing().key_usage(&[]),
            "presented certificate 1 (`CN=Issuing`): the certificate's keyUsage (2.5.29.15) lacks \
             keyCertSign",
        ),
        (
            issuing().eku(&[oid::SERVER_AUTH]),
            "presented certificate 1 (`CN=Issuing`): the certificate's extendedKeyUsage \
             (2.5.29.37) lacks clientAuth (1.3.6.1.5.5.7.3.2)",
        ),
        (
            issuing().extension(&[1, 2, 3, 4], true, &[5, 0]),
            "presented certificate 1 (`CN=Issuing`): the certificate has a critical extension \
             that is not processed here: 1.2.3.4",
        ),
        (
            issuing().extension(oid::POLICY_CONSTRAINTS, true, &[0x30, 0]),
            "a critical extension that is not processed here: policyConstraints (2.5.29.36)",
        ),
        (
            issuing()
                .no_basic_constraints()
                .extension(oid::BASIC_CONSTRAINTS, true, &[5, 0]),
            "presented certificate 1: the certificate cannot be read: its extension \
             basicConstraints (2.5.29.19) is malformed",
        ),
        (
            issuing().signature(Signature::Sha1),
            "presented certificate 1 (`CN=Issuing`): a signature's algorithm is too weak",
        ),
        (
            issuing().permit(General::dns(".example.com")),
            "presented certificate 1: the certificate cannot be read: its extension \
             nameConstraints (2.5.29.30) has a DNS name that begins with a dot",
        ),
    ] {
        says(&through(issuing), expected);
    }
}

#[test]
fn the_field_of_a_leaf_that_cannot_be_read_is_named() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]);
    let twice = ca
        .leaf("client")
        .extension(oid::KEY_USAGE, true, &[3, 2, 7, 0x80]);
    says(
        &explain(&trust, &[&twice.mint()]),
        "invalid_certificate\nleaf: the certificate cannot be read: its extension keyUsage \
         (2.5.29.15) is there twice",
    );
    let none = ca.leaf("client").no_aki().mint();
    says(
        &explain(&trust, &[&none]),
        "leaf: the certificate has no authorityKeyIdentifier extension (2.5.29.35) with a key",
    );
}

#[test]
fn an_issuer_that_was_not_presented_is_named_with_its_key() {
    let ca = root("Root").mint();
    let upper = ca.intermediate("Upper").mint();
    let lower = upper.intermediate("Lower").mint();
    let leaf = lower.leaf("client").mint();
    let trust = organization(&[&ca]);
    let key = |minted: &countersign_testca::Minted| {
        let digits = minted.key().identifier();
        let digits = digits.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    says(
        &explain(&trust, &[&leaf]),
        &format!(
            "leaf (`CN=client`): its issuer, `CN=Lower`, key identifier {}, was not presented",
            key(&lower)
        ),
    );
    says(
        &explain(&trust, &[&leaf, &lower]),
        &format!(
            "presented certificate 1 (`CN=Lower`): its issuer, `CN=Upper`, key identifier {}, was \
             not presented",
            key(&upper)
        ),
    );
    // It was presented, and is no good: that is said, and nothing is missing.
    let expired = ca
        .intermediate("Upper")
        .with_key(upper.key())
        .valid(0, 1)
        .mint();
    let explained = explain(&trust, &[&leaf, &lower, &expired]);
    says(
        &explained,
        "presented certificate 2 (`CN=Upper`): the certificate expired at",
    );
    assert!(!explained.contains("not presented"), "{explained}");
}

#[test]
fn the_same_name_in_another_string_type_is_explained() {
    let printable = Name::empty().and_as(PRINTABLE, oid::COMMON_NAME, "Root");
    let ca = root("Root").mint();
    let leaf = ca.leaf("client").issuer_name(printable.clone()).mint();
    let expected = "the key identifiers match, but its issuer's name is the same text in another \
                    string type: PrintableString in the certificate, UTF8String in the CA, and \
                    names are compared byte for byte";
    says(&explain(&organization(&[&ca]), &[&leaf]), expected);
    let other = ca.leaf("client").issuer_name(Name::common("Other")).mint();
    says(
        &explain(&organization(&[&ca]), &[&other]),
        "the key identifiers match, but the certificate's issuer is not this anchor's subject",
    );
    let top = root("Top").mint();
    let issuing = top.intermediate("Root").mint();
    let leaf = issuing.leaf("client").issuer_name(printable).mint();
    says(
        &explain(&organization(&[&top]), &[&leaf, &issuing]),
        &format!("presented certificate 1 (`CN=Root`): {expected}"),
    );
}

#[test]
fn more_names_than_a_policy_may_see_are_no_passing_fault() {
    let ca = root("Root").mint();
    let leaf = (0..101).fold(ca.leaf("client"), |leaf, number| {
        leaf.san(General::dns(&format!("n{number}.example.com")))
    });
    let leaf = leaf.mint();
    let trust = organization(&[&ca]).policy("subject_alt_names.exists(san, san.type == URI)");
    let explained = explain(&trust, &[&leaf]);
    says(
        &explained,
        "certificate_attribute_verification_failed\nleaf (`CN=client`): the",
    );
    says(
        &explained,
        "more subject alternative names than a policy may see: at most 100",
    );
    // A policy that does not ask for them decides.
    let trust = organization(&[&ca]).policy("subject.common_name == \"client\"");
    let verdict = trust.judge(&present(&[&leaf]));
    assert!(matches!(verdict, Verdict::Permit(_)), "{verdict:?}");
}
