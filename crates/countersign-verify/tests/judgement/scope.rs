//! docs/specification.md, section 2, step 1: what is active for a request, and in which order.

use countersign_testca::root;

use crate::scene::{check, organization, present};

#[test]
fn with_nothing_active_no_certificate_is_required() {
    let ca = root("Inactive").mint();
    let trust = organization(&[])
        .with("cert_idle", &ca.pem())
        .project("proj_empty", &[]);
    let leaf = present(&[&ca.leaf("client").mint()]);
    for presented in [present(&[]), leaf] {
        check(
            "organization",
            &trust.judge(&presented),
            "no anchor applies",
        );
        check(
            "project",
            &trust.judge_for("proj_empty", &presented),
            "no anchor applies",
        );
    }
}

#[test]
fn an_anchor_counts_where_it_is_active_and_nowhere_else() {
    let ours = root("Ours").mint();
    let theirs = root("Theirs").mint();
    let trust = organization(&[])
        .with("cert_ours", &ours.pem())
        .with("cert_theirs", &theirs.pem())
        .project("proj_ours", &["cert_ours"])
        .project("proj_theirs", &["cert_theirs"]);
    let leaf = present(&[&ours.leaf("client").mint()]);
    check(
        "its project",
        &trust.judge_for("proj_ours", &leaf),
        "permit cert_ours@proj_ours",
    );
    check(
        "another project",
        &trust.judge_for("proj_theirs", &leaf),
        "certificate_verification_failed: chain_path - 0 issuer_not_presented, candidate cert_theirs@proj_theirs - other_key",
    );
    check("an admin key", &trust.judge(&leaf), "no anchor applies");
}

#[test]
fn the_organizations_anchors_apply_to_every_project() {
    let wide = root("Wide").mint();
    let narrow = root("Narrow").mint();
    let trust = organization(&[&wide])
        .with("cert_narrow", &narrow.pem())
        .project("proj_plain", &[])
        .project("proj_narrow", &["cert_narrow"]);
    let wide_leaf = present(&[&wide.leaf("client").mint()]);
    let narrow_leaf = present(&[&narrow.leaf("client").mint()]);
    check(
        "plain",
        &trust.judge_for("proj_plain", &wide_leaf),
        "permit cert_1",
    );
    check(
        "beside its own",
        &trust.judge_for("proj_narrow", &wide_leaf),
        "permit cert_1",
    );
    check(
        "its own",
        &trust.judge_for("proj_narrow", &narrow_leaf),
        "permit cert_narrow@proj_narrow",
    );
    check(
        "not at the organization",
        &trust.judge(&narrow_leaf),
        "certificate_verification_failed: chain_path - 0 issuer_not_presented, candidate cert_1 - other_key",
    );
    check(
        "no leaf",
        &trust.judge_for("proj_plain", &present(&[])),
        "certificate_required: leaf - 0 not_presented",
    );
}

#[test]
fn the_projects_anchors_come_first_then_the_oldest_activation() {
    let ca = root("Same").mint();
    let again = root("Same").with_key(ca.key()).mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    let trust = organization(&[&ca, &again]);
    check("oldest first", &trust.judge(&leaf), "permit cert_1");
    let trust = organization(&[&ca])
        .with("cert_own", &again.pem())
        .project("proj_own", &["cert_own"])
        .project("proj_both", &["cert_1"]);
    check(
        "project first",
        &trust.judge_for("proj_own", &leaf),
        "permit cert_own@proj_own",
    );
    check(
        "active at both",
        &trust.judge_for("proj_both", &leaf),
        "permit cert_1@proj_both",
    );
}

#[test]
fn on_the_chain_path_too_the_projects_anchors_come_first() {
    let far = root("Far").mint();
    let near = root("Near").mint();
    let issuing = near.intermediate("Issuing").mint();
    let crossed = far.intermediate("Near").with_key(near.key()).mint();
    let trust = organization(&[&near])
        .with("cert_far", &far.pem())
        .project("proj_far", &["cert_far"]);
    let chain = present(&[&issuing.leaf("client").mint(), &issuing, &crossed]);
    check("the shorter path", &trust.judge(&chain), "permit cert_1");
    check(
        "the project's, though longer",
        &trust.judge_for("proj_far", &chain),
        "permit cert_far@proj_far",
    );
}

#[test]
fn a_project_that_is_not_known_is_not_let_through() {
    let ca = root("Any").mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    for trust in [organization(&[]), organization(&[&ca])] {
        check(
            "unknown",
            &trust.judge_for("proj_unknown", &leaf),
            "authentication_temporarily_unavailable: trust - - unknown_project",
        );
    }
}

#[test]
fn what_cannot_be_an_anchor_is_active_all_the_same() {
    let ca = root("Sound").mint();
    let leaf = present(&[&ca.leaf("client").mint()]);
    let not_a_ca = root("Leaf").not_ca().mint();
    let no_purpose = root("Servers only")
        .eku(&[countersign_testca::oid::SERVER_AUTH])
        .mint();
    for (case, trust) in [
        (
            "not PEM",
            organization(&[])
                .with("cert_bad", "garbage")
                .active(&["cert_bad"]),
        ),
        ("not in the bundle", organization(&[]).active(&["cert_bad"])),
        (
            "not a CA",
            organization(&[])
                .with("cert_bad", &not_a_ca.pem())
                .active(&["cert_bad"]),
        ),
        (
            "no clients",
            organization(&[])
                .with("cert_bad", &no_purpose.pem())
                .active(&["cert_bad"]),
        ),
        (
            "bad policy",
            organization(&[])
                .with("cert_bad", &ca.pem())
                .policy("no such")
                .active(&["cert_bad"]),
        ),
    ] {
        let unusable = "certificate_verification_failed: candidate cert_bad - anchor_unusable";
        check(case, &trust.judge(&leaf), unusable);
        check(
            case,
            &trust.judge(&present(&[])),
            "certificate_required: leaf - 0 not_presented",
        );
    }
    let trust = organization(&[])
        .with("cert_bad", "garbage")
        .active(&["cert_bad"]);
    let trust = trust.with("cert_good", &ca.pem()).active(&["cert_good"]);
    check(
        "beside a sound one",
        &trust.judge(&leaf),
        "permit cert_good",
    );
}
