//! What is refused although it verifies: denials and floors.

use countersign_testca::{General, Minted, root};
use countersign_types::{
    UnixSeconds,
    bundle::BundleFloor,
    certificate::{Enforcement, Scope},
    denial::{DenialMatch, IssuerAndSerial, SubjectAltName, SubjectAltNameType},
    digest::Sha256,
    id::ApiKeyId,
};
use countersign_verify::{
    denial::LeafIdentity,
    judge::{Verdict, judge, judge_again},
    presented::Presented,
    trust::TrustSet,
};

use crate::scene::{NOW, Trust, organization, present, words};

fn identity(leaf: &Minted) -> LeafIdentity {
    LeafIdentity::read(leaf.der()).unwrap()
}

fn name(kind: SubjectAltNameType, value: &str) -> DenialMatch {
    DenialMatch::SubjectAltName(SubjectAltName {
        kind,
        value: value.to_owned(),
        oid: None,
    })
}

/// Each way in which a leaf can be denied, with the name of the reason.
fn ways(leaf: &Minted) -> Vec<(DenialMatch, &'static str)> {
    let of = identity(leaf);
    let dns = of.names.first().unwrap().clone();
    vec![
        (DenialMatch::LeafSha256(of.sha256), "- 0 leaf_denied"),
        (DenialMatch::SpkiSha256(of.spki_sha256), "- 0 key_denied"),
        (
            DenialMatch::IssuerAndSerial(of.issuer_and_serial),
            "cert_1 0 serial_denied",
        ),
        (DenialMatch::SubjectAltName(dns), "cert_1 0 name_denied"),
    ]
}

fn worker(ca: &Minted) -> Minted {
    ca.leaf("worker")
        .san(General::dns("Worker.example.com"))
        .mint()
}

#[test]
fn each_kind_refuses_its_leaf_and_no_other() {
    let ca = root("CA").mint();
    let (denied, other) = (
        worker(&ca),
        ca.leaf("other")
            .san(General::dns("other.example.com"))
            .mint(),
    );
    for (matches, reason) in ways(&denied) {
        let trust = organization(&[&ca]).denied("deny_1", matches);
        let refused = format!("certificate_verification_failed: denial {reason}");
        assert_eq!(words(&trust.judge(&present(&[&denied]))), refused);
        assert_eq!(words(&trust.judge(&present(&[&other]))), "permit cert_1");
    }
}

#[test]
fn the_operator_reads_which_denial_by_whom_and_since_when() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let trust = organization(&[&ca]).denied("deny_1", ways(&leaf).remove(0).0);
    let Verdict::Refusal(refusal) = trust.judge(&present(&[&leaf])) else {
        panic!("let in");
    };
    let said = refusal.trace()[0].to_string();
    let by = "denied by `stolen laptop` (deny_1), added by key_1 at 2026-11-22T20:13:20Z";
    assert!(said.ends_with(by), "{said}");
    assert_eq!(refusal.denied_by().unwrap().id.as_str(), "deny_1");
}

#[test]
fn a_denial_of_a_project_holds_there_and_ends_in_its_second() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let chain = present(&[&leaf]);
    for (matches, _) in ways(&leaf) {
        let trust = organization(&[&ca])
            .project("proj_a", &[])
            .project("proj_b", &[])
            .denied("deny_1", matches)
            .denied_in("proj_a")
            .denied_until(NOW + 10);
        let compiled = trust.compile();
        let passes = |scope: &Scope, now| {
            let verdict = judge(&compiled, scope, &chain, now);
            matches!(verdict, Verdict::Permit(_))
        };
        let [a, b] = ["proj_a", "proj_b"].map(|id| Scope::Project(id.parse().unwrap()));
        assert!(!passes(&a, NOW) && !passes(&a, NOW + 9));
        assert!(passes(&a, NOW + 10));
        // A clock that goes back finds it in force.
        assert!(!passes(&a, NOW));
        assert!(passes(&b, NOW) && passes(&Scope::Organization, NOW));
    }
}

#[test]
fn of_two_denials_of_the_same_the_one_that_lasts_longer_counts() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let matches = || ways(&leaf).remove(0).0;
    let trust = organization(&[&ca])
        .denied("deny_long", matches())
        .denied_until(NOW + 100)
        .denied("deny_short", matches())
        .denied_until(NOW + 1)
        .compile();
    let verdict = judge(&trust, &Scope::Organization, &present(&[&leaf]), NOW + 50);
    let Verdict::Refusal(refusal) = verdict else {
        panic!("let in");
    };
    assert_eq!(refusal.denied_by().unwrap().id.as_str(), "deny_long");
    assert_eq!(refusal.denied_until(), NOW + 100);
}

#[test]
fn a_spelling_hides_no_name() {
    use SubjectAltNameType::{Dns, Email, IpAddress, Uri};
    let ca = root("CA").mint();
    let leaf = ca
        .leaf("a")
        .san(General::dns("Worker.Example.COM"))
        .san(General::Uri("SPIFFE://Example.org/a/../b%63".to_owned()))
        .san(General::email("Alice@Example.com"))
        .san(General::Ip("::ffff:192.0.2.1".parse().unwrap()))
        .mint();
    let chain = present(&[&leaf]);
    for (kind, value) in [
        (Dns, "worker.example.com."),
        (Uri, "spiffe://example.ORG/bc"),
        (Email, "\"ALICE\"@example.com."),
        (IpAddress, "192.0.2.1"),
    ] {
        let trust = organization(&[&ca]).denied("deny_1", name(kind, value));
        let verdict = words(&trust.judge(&chain));
        assert!(verdict.ends_with("name_denied"), "{value}: {verdict}");
    }
    for (kind, value) in [
        (Dns, "*.example.com"),
        (Dns, "worker.example.co"),
        (Email, "worker.example.com@example.com"),
        (Uri, "spiffe://example.org/BC"),
        (IpAddress, "192.0.2.11"),
    ] {
        let trust = organization(&[&ca]).denied("deny_1", name(kind, value));
        assert_eq!(words(&trust.judge(&chain)), "permit cert_1", "{value}");
    }
}

#[test]
fn where_nothing_is_active_nothing_is_asked_for() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let trust = organization(&[]).denied("deny_1", ways(&leaf).remove(0).0);
    assert_eq!(words(&trust.judge(&present(&[&leaf]))), "no anchor applies");
}

#[test]
fn an_issuer_is_found_in_any_spelling_through_intermediates() {
    let ca = root("CA").mint();
    let issuing = ca.intermediate("Issuing CA").mint();
    let leaf = issuing.leaf("worker").mint();
    let serial = identity(&leaf).issuer_and_serial.serial_number;
    for (issuer, passes) in [("cn = issuing  CA", false), ("CN=CA", true)] {
        let matches = DenialMatch::IssuerAndSerial(IssuerAndSerial {
            issuer: issuer.to_owned(),
            serial_number: format!("00:{}", serial.to_uppercase()),
        });
        let trust = organization(&[&ca]).denied("deny_1", matches);
        let verdict = trust.judge(&present(&[&leaf, &issuing]));
        assert_eq!(matches!(verdict, Verdict::Permit(_)), passes, "{issuer}");
    }
}

#[test]
fn a_floor_refuses_what_was_issued_before_it_on_its_anchor_alone() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let chain = present(&[&leaf]);
    let issued = identity(&leaf).not_before;
    let floor = |at: UnixSeconds| BundleFloor {
        refuse_issued_before: at,
        set_by: "key_1".parse().unwrap(),
        set_at: NOW - 100,
    };
    let at = |second| organization(&[&ca]).floor("cert_1", floor(second));
    assert_eq!(words(&at(issued).judge(&chain)), "permit cert_1");
    let below = at(issued + 1);
    let refused = "certificate_verification_failed: floor cert_1 0 issued_before_floor";
    assert_eq!(words(&below.judge(&chain)), refused);
    let Verdict::Refusal(refusal) = below.judge(&chain) else {
        panic!("let in");
    };
    let said = refusal.trace()[0].to_string();
    assert!(
        said.contains("set by key_1 at 2026-11-22T23:58:20Z"),
        "{said}"
    );
    // Through an intermediate the leaf's own date counts.
    let issuing = ca.intermediate("Issuing").mint();
    let of_issuing = present(&[&issuing.leaf("a").mint(), &issuing]);
    assert!(words(&below.judge(&of_issuing)).contains("floor cert_1 0 issued_before_floor"));
    // Another anchor of the same key has no floor.
    let twice = at(issued + 1).with("cert_2", &ca.pem()).active(&["cert_2"]);
    assert_eq!(words(&twice.judge(&chain)), "permit cert_2");
}

#[test]
fn what_is_only_reported_refuses_only_in_the_set_of_what_would_be() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let chain = present(&[&leaf]);
    let trust = organization(&[&ca])
        .project("proj_a", &[])
        .project("proj_b", &[])
        .denied("deny_1", ways(&leaf).remove(0).0)
        .denied_in("proj_a")
        .only_reported();
    let a = Scope::Project("proj_a".parse().unwrap());
    assert_eq!(words(&trust.judge_for("proj_a", &chain)), "permit cert_1");
    let reported = trust.compile_reported().unwrap();
    assert!(reported.reports_at(&a) && !reported.reports_at(&Scope::Organization));
    let would = words(&judge(&reported, &a, &chain, NOW));
    assert!(would.ends_with("leaf_denied"), "{would}");
}

/// Denials of every kind of these leaves, and of others.
fn some_denials(mut trust: Trust, leaves: &[Minted], seed: u8) -> Trust {
    for (number, leaf) in (0_u8..).zip(leaves) {
        for (way, (matches, _)) in (0_u8..).zip(ways(leaf)) {
            let chosen = Sha256::of([seed, number, way]).as_bytes()[0];
            if !chosen.is_multiple_of(8) {
                continue;
            }
            trust = trust.denied(&format!("deny_{number}_{way}"), matches);
            if chosen.is_multiple_of(16) {
                trust = trust.denied_in("proj_a");
            }
            if chosen.is_multiple_of(32) {
                trust = trust.denied_until(NOW + 5);
            }
        }
    }
    trust
}

#[test]
fn judged_again_after_a_change_of_denials_the_verdict_is_the_same() {
    let ca = root("CA").mint();
    let leaf = |number: u8| {
        let name = format!("{number}.example.com");
        ca.leaf(&name).san(General::dns(&name)).mint()
    };
    let leaves: Vec<Minted> = (0..8).map(leaf).collect();
    let scene = || organization(&[&ca]).project("proj_a", &[]);
    let before = scene().compile();
    let a = Scope::Project("proj_a".parse().unwrap());
    let (mut refused, mut passed) = (0, 0);
    for seed in 0..20 {
        let after = some_denials(scene(), &leaves, seed);
        let bundle = after.bundle();
        let shared = before.with_denials_of(bundle);
        let alone = TrustSet::compile(bundle);
        for (leaf, now) in leaves.iter().zip([NOW, NOW + 5].into_iter().cycle()) {
            let chain: Presented = present(&[leaf]);
            for scope in [&a, &Scope::Organization] {
                let Verdict::Permit(permit) = judge(&before, scope, &chain, now) else {
                    panic!("refused without denials");
                };
                let again = judge_again(&shared, scope, &chain, &permit, now);
                assert_eq!(again, judge(&alone, scope, &chain, now));
                match again {
                    Verdict::Permit(_) => passed += 1,
                    _ => refused += 1,
                }
            }
        }
    }
    assert!(refused > 50 && passed > 50, "{refused} {passed}");
}

#[test]
fn the_key_that_added_a_denial_need_not_be_known() {
    let ca = root("CA").mint();
    let leaf = worker(&ca);
    let mut trust = organization(&[&ca]).denied("deny_1", ways(&leaf).remove(0).0);
    trust.bundle_mut().denials[0].created_by = ApiKeyId::opaque("operator");
    trust.bundle_mut().denials[0].enforcement = Enforcement::Enforce;
    assert!(matches!(
        trust.judge(&present(&[&leaf])),
        Verdict::Refusal(_)
    ));
}
