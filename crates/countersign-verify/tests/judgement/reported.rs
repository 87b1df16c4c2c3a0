//! Anchors that are only reported: no part of what is enforced, and all of what would be.

use countersign_testca::root;
use countersign_types::certificate::Scope;
use countersign_verify::judge::{judge, judge_both};

use crate::scene::{NOW, organization, present, words};

#[test]
fn what_is_reported_counts_only_in_the_set_of_what_would_be() {
    let (old, new) = (root("Old").mint(), root("New").mint());
    let trust = organization(&[&old])
        .with("cert_2", &new.pem())
        .project("proj_a", &[])
        .project_with_reported(&["cert_2"])
        .project("proj_b", &[]);
    let reported = trust.compile_reported().unwrap();
    let at = |project: &str| Scope::Project(project.parse().unwrap());
    assert!(reported.reports_at(&at("proj_a")));
    for silent in [at("proj_b"), at("proj_unknown"), Scope::Organization] {
        assert!(!reported.reports_at(&silent), "{silent:?}");
    }
    assert!(!trust.compile().reports_at(&at("proj_a")));

    let chain = present(&[&new.leaf("a").mint()]);
    let denied = words(&trust.judge_for("proj_a", &chain));
    assert!(
        denied.starts_with("certificate_verification_failed"),
        "{denied}"
    );
    assert!(!denied.contains("cert_2"), "{denied}");
    let verdict = |project| words(&judge(&reported, &at(project), &chain, NOW));
    assert_eq!(verdict("proj_a"), "permit cert_2@proj_a");
    assert!(verdict("proj_b").starts_with("certificate_verification_failed"));
}

#[test]
fn report_only_enforces_nothing() {
    let ca = root("CA").mint();
    let trust = organization(&[])
        .with("cert_1", &ca.pem())
        .with_reported(&["cert_1"])
        .project("proj_a", &[]);
    let nothing = present(&[]);
    assert_eq!(words(&trust.judge(&nothing)), "no anchor applies");
    let reported = trust.compile_reported().unwrap();
    for scope in [
        Scope::Organization,
        Scope::Project("proj_a".parse().unwrap()),
    ] {
        assert!(
            reported.reports_at(&scope),
            "the organization's count everywhere"
        );
        let would = words(&judge(&reported, &scope, &nothing, NOW));
        assert!(would.starts_with("certificate_required"), "{would}");
    }
}

#[test]
fn the_order_is_that_of_the_activations_whether_reported_or_enforced() {
    // Two with one name and one key, as when a CA is issued again: the older decides.
    let ca = root("CA").mint();
    let chain = present(&[&ca.leaf("a").mint()]);
    let trust = organization(&[&ca])
        .with("cert_2", &ca.pem())
        .with_reported(&["cert_2", "cert_1"]);
    assert_eq!(words(&trust.judge(&chain)), "permit cert_1");
    let reported = trust.compile_reported().unwrap();
    let would = judge(&reported, &Scope::Organization, &chain, NOW);
    assert_eq!(words(&would), "permit cert_2");
}

#[test]
fn without_report_only_anchors_there_is_no_second_verdict() {
    let trust = organization(&[&root("CA").mint()]).project("proj_a", &["cert_1"]);
    assert!(trust.compile_reported().is_none());
}

#[test]
fn a_reported_policy_stands_in_for_the_one_that_is_enforced() {
    let ca = root("CA").mint();
    let trust = organization(&[&ca])
        .policy("subject.common_name == \"a\"")
        .reported_policy("subject.common_name == \"b\"")
        .project("proj_a", &[]);
    let reported = trust.compile_reported().unwrap();
    for (name, enforced, would) in [("a", true, false), ("b", false, true)] {
        let chain = present(&[&ca.leaf(name).mint()]);
        let is_permit = |verdict: &str| verdict.starts_with("permit");
        assert_eq!(is_permit(&words(&trust.judge(&chain))), enforced, "{name}");
        let scope = Scope::Project("proj_a".parse().unwrap());
        assert!(reported.reports_at(&scope));
        let verdict = words(&judge(&reported, &scope, &chain, NOW));
        assert_eq!(is_permit(&verdict), would, "{name}: {verdict}");
    }
}

#[test]
fn judged_together_the_verdicts_are_those_of_each_alone() {
    let (old, new, strange) = (
        root("Old").mint(),
        root("New").mint(),
        root("Strange").mint(),
    );
    let issuing = new.intermediate("Issuing").mint();
    let trust = organization(&[&old])
        .with("cert_2", &new.pem())
        .with_reported(&["cert_1", "cert_2"]);
    let (enforced, reported) = (trust.compile(), trust.compile_reported().unwrap());
    let (direct, chained) = (new.leaf("a").mint(), issuing.leaf("b").mint());
    let forged = issuing.leaf("c").break_signature().mint();
    for chain in [
        present(&[]),
        present(&[&old.leaf("a").mint()]),
        present(&[&direct]),
        present(&[&chained, &issuing]),
        present(&[&chained]),
        present(&[&forged, &issuing]),
        present(&[&strange.leaf("a").mint()]),
    ] {
        let both = [&enforced, &reported];
        let alone = both.map(|trust| judge(trust, &Scope::Organization, &chain, NOW));
        let together = judge_both(both, &Scope::Organization, &chain, NOW);
        assert_eq!(together, alone);
        let [first, second] = judge_both([&reported, &enforced], &Scope::Organization, &chain, NOW);
        assert_eq!([second, first], alone, "in whatever order");
    }
}
