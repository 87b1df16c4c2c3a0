//! docs/specification.md, section 2, step 6: the selected anchor's policy decides.

use countersign_testca::{General, oid, root};
use countersign_verify::judge::Verdict;

use crate::scene::{check, code, organization, present};

const PRODUCTION: &str = r#"subject.organizational_unit == "Production""#;

#[test]
fn it_sees_the_verified_leaf_on_either_path() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let trust = organization(&[&ca]).policy(PRODUCTION);
    let unit = |leaf: countersign_testca::Template, unit: &str| {
        leaf.attribute(oid::ORGANIZATIONAL_UNIT, unit).mint()
    };
    let denied = "certificate_attribute_verification_failed: policy cert_1 0 policy_denied";
    for (name, expected) in [("Production", "permit cert_1"), ("Test", denied)] {
        check(
            name,
            &trust.judge(&present(&[&unit(ca.leaf("client"), name)])),
            expected,
        );
        check(
            name,
            &trust.judge(&present(&[&unit(issuing.leaf("client"), name), &issuing])),
            expected,
        );
    }
    let twice = ca
        .leaf("client")
        .attribute(oid::ORGANIZATIONAL_UNIT, "Production");
    check(
        "twice",
        &trust.judge(&present(&[&unit(twice, "Production")])),
        denied,
    );
}

#[test]
fn it_is_not_asked_about_a_leaf_that_does_not_verify() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]).policy("true");
    let broken = ca.leaf("client").break_signature().mint();
    assert_eq!(
        code(&trust.judge(&present(&[&broken]))),
        "certificate_verification_failed"
    );
}

#[test]
fn no_other_anchor_overrules_it() {
    let ca = root("Root").mint();
    let again = root("Root").with_key(ca.key()).mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    let denied_first = organization(&[&ca])
        .policy("false")
        .with("cert_open", &again.pem())
        .active(&["cert_open"]);
    check(
        "the first says no",
        &denied_first.judge(&leaf),
        "certificate_attribute_verification_failed: policy cert_1 0 policy_denied",
    );
    let project = denied_first.project("proj_open", &["cert_open"]);
    check(
        "another is first",
        &project.judge_for("proj_open", &leaf),
        "permit cert_open@proj_open",
    );
}

#[test]
fn an_error_in_it_is_not_a_no() {
    let ca = root("Root").mint();
    let trust = organization(&[&ca]).policy(r#"subject_alt_names[1].value == "b""#);
    let named = ca.leaf("client").san(General::dns("a"));
    check(
        "too few names",
        &trust.judge(&present(&[&named.mint()])),
        "authentication_temporarily_unavailable: policy cert_1 0 policy_failed",
    );
    let named = ca
        .leaf("client")
        .san(General::dns("a"))
        .san(General::dns("b"));
    check(
        "enough names",
        &trust.judge(&present(&[&named.mint()])),
        "permit cert_1",
    );
}

#[test]
fn a_leaf_that_only_the_policy_cannot_read_is_invalid() {
    let ca = root("Root").mint();
    let odd = ca
        .leaf("client")
        .extension(oid::SUBJECT_ALT_NAME, false, &[0x30, 1, 0x82])
        .mint();
    let plain = organization(&[&ca]).judge(&present(&[&odd]));
    assert!(matches!(plain, Verdict::Permit(_)), "{plain:?}");
    let asked = organization(&[&ca]).policy("true").judge(&present(&[&odd]));
    check(
        "with a policy",
        &asked,
        "invalid_certificate: policy cert_1 0 policy_failed",
    );
}

#[test]
fn a_refusal_serializes_for_programs_and_people() {
    let ca = root("Root").mint();
    let trust = organization(&[])
        .with("cert_ca", &ca.pem())
        .policy("false")
        .project("proj_a", &["cert_ca"]);
    let Verdict::Refusal(refusal) =
        trust.judge_for("proj_a", &present(&[&ca.leaf("client").mint()]))
    else {
        panic!("no refusal");
    };
    insta::assert_json_snapshot!(refusal);
}
