//! What revocation lists refuse, and whose certificates they can never refuse.

use countersign_testca::{CrlTemplate, Minted, NEXT_UPDATE, crl_extension, oid, root};
use countersign_types::{
    UnixSeconds,
    bundle::{BundleRevocation, CrlMissing},
    certificate::Scope,
};
use countersign_verify::{
    certificate::Anchor,
    crl::{RevocationList, read},
    judge::{Verdict, judge},
    trust::TrustSet,
    unchanged::unchanged_until,
};

use crate::scene::{NOW, Trust, check, organization, present, words};

/// When the lists of this file end.
const END: UnixSeconds = NEXT_UPDATE as UnixSeconds;

fn believed(anchor: &Minted, with: &[&Minted], list: CrlTemplate) -> RevocationList {
    let anchor = Anchor::from_pem(&anchor.pem()).unwrap();
    let issuers: String = with.iter().map(|each| each.pem()).collect();
    let issuers = (!with.is_empty()).then_some(issuers);
    read(&list.mint(), &anchor, issuers.as_deref(), NOW).unwrap()
}

fn revocation(missing: CrlMissing, lists: &[RevocationList]) -> BundleRevocation {
    let lists = lists.iter().cloned().map(RevocationList::into_bundle);
    BundleRevocation {
        missing,
        lists: lists.collect(),
    }
}

/// With these lists for the anchor of this number.
fn with_lists(trust: Trust, number: usize, missing: CrlMissing, lists: &[RevocationList]) -> Trust {
    trust.revocation(number, revocation(missing, lists))
}

const REVOKED: &str = "certificate_verification_failed: direct_path cert_1 0 revoked";

#[test]
fn a_list_refuses_what_it_names_and_nothing_else_of_its_issuer() {
    let ca = root("Root").mint();
    let (revoked, good) = (ca.leaf("revoked").mint(), ca.leaf("good").mint());
    let reason = crl_extension(oid::REASON_CODE, false, &[0x0a, 1, 1]);
    let list = ca
        .crl()
        .number(Some(&[42]))
        .entry(revoked.serial(), &[reason]);
    let list = believed(&ca, &[], list);
    let trust = with_lists(organization(&[&ca]), 1, CrlMissing::Allow, &[list]);
    let refused = trust.judge(&present(&[&revoked]));
    check("named", &refused, REVOKED);
    check(
        "not named",
        &trust.judge(&present(&[&good])),
        "permit cert_1",
    );
    let Verdict::Refusal(refused) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        refused.trace()[0].to_string(),
        "leaf (`CN=revoked`): the certificate was revoked at 2026-10-31T00:00:00Z (keyCompromise) by the \
         revocation list 42 of `CN=Root`, kept for cert_1"
    );
}

/// The fault of others (envoyproxy/envoy 18268 and 29197, haproxy 1201): one CA's list changes what becomes of
/// another's clients.
#[test]
fn a_list_never_refuses_another_issuer_s_certificates() {
    let [mine, other, namesake] = [
        root("Root").mint(),
        root("Other").mint(),
        root("Root").mint(),
    ];
    let issuing = mine.intermediate("Issuing").mint();
    let serial = mine.leaf("a").mint().serial().to_vec();
    let leaf = |ca: &Minted| ca.leaf("a").serial(&serial).mint();
    let list = || believed(&mine, &[], mine.crl().entry(&serial, &[]));
    let trust = organization(&[&mine, &other, &namesake]);
    let trust = with_lists(trust, 1, CrlMissing::Deny, &[list()]);
    for (case, chain, expected) in [
        ("another name", vec![&leaf(&other)], "permit cert_2"),
        ("the same name", vec![&leaf(&namesake)], "permit cert_3"),
    ] {
        check(case, &trust.judge(&present(&chain)), expected);
    }
    let own = words(&trust.judge(&present(&[&leaf(&mine)])));
    assert!(own.starts_with(REVOKED), "{own}");
    // The same serial number one step below is another issuer's too. Without `deny`, a list that is missing
    // for the intermediate changes nothing.
    let trust = with_lists(organization(&[&mine]), 1, CrlMissing::Allow, &[list()]);
    let below = leaf(&issuing);
    check(
        "below",
        &trust.judge(&present(&[&below, &issuing])),
        "permit cert_1",
    );
}

#[test]
fn a_revoked_intermediate_refuses_what_came_through_it_alone() {
    let [one, two] = [root("One").mint(), root("Two").mint()];
    let issuing = one.intermediate("Issuing").mint();
    let crossed = two.intermediate("Issuing").with_key(issuing.key()).mint();
    let other = one.intermediate("Other").mint();
    let leaf = issuing.leaf("a").mint();
    let list = believed(&one, &[], one.crl().revoke(&issuing));
    let trust = organization(&[&one, &two]);
    let trust = with_lists(trust, 1, CrlMissing::Allow, &[list]);
    let through = trust.judge(&present(&[&leaf, &issuing]));
    let said = words(&through);
    assert!(said.contains("chain_path cert_1 1 revoked"), "{said}");
    for (case, chain, expected) in [
        (
            "another intermediate",
            vec![&other.leaf("b").mint(), &other],
            "permit cert_1",
        ),
        (
            "signed by another, too",
            vec![&leaf, &issuing, &crossed],
            "permit cert_2",
        ),
    ] {
        check(case, &trust.judge(&present(&chain)), expected);
    }
    // The intermediate's own list holds under both.
    let named = believed(&one, &[&issuing], issuing.crl().revoke(&leaf));
    let trust = with_lists(organization(&[&one, &two]), 1, CrlMissing::Allow, &[named]);
    for chain in [[&leaf, &issuing], [&leaf, &crossed]] {
        let said = words(&trust.judge(&present(&chain)));
        assert!(said.contains(" 0 revoked"), "{said}");
    }
}

/// A CA that is renewed with its key would otherwise let in what it revoked.
#[test]
fn a_ca_that_is_issued_again_with_its_key_keeps_its_list() {
    let old = root("Root").mint();
    let new = root("Root").with_key(old.key()).mint();
    let leaf = old.leaf("a").mint();
    let list = believed(&old, &[], old.crl().revoke(&leaf));
    for order in [[&old, &new], [&new, &old]] {
        let number = if order[0].der() == old.der() { 1 } else { 2 };
        let trust = with_lists(
            organization(&order),
            number,
            CrlMissing::Allow,
            std::slice::from_ref(&list),
        );
        let said = words(&trust.judge(&present(&[&leaf])));
        assert!(!said.starts_with("permit"), "{said}");
    }
}

fn judge_at(trust: &TrustSet, chain: &[&Minted], now: UnixSeconds) -> Verdict {
    judge(trust, &Scope::Organization, &present(chain), now)
}

#[test]
fn a_missing_list_means_what_the_anchor_says() {
    let ca = root("Root").mint();
    let (revoked, good) = (ca.leaf("a").mint(), ca.leaf("b").mint());
    let list = [believed(&ca, &[], ca.crl().revoke(&revoked))];
    let trust = |missing, lists: &[RevocationList]| {
        with_lists(organization(&[&ca]), 1, missing, lists).compile()
    };
    let (allow, deny) = (
        trust(CrlMissing::Allow, &list),
        trust(CrlMissing::Deny, &list),
    );
    let missing = "certificate_verification_failed: direct_path cert_1 0 crl_missing";
    for (case, trust, leaf, now, expected) in [
        ("current", &allow, &good, END, "permit cert_1"),
        ("current", &deny, &good, END, "permit cert_1"),
        ("ended", &allow, &good, END + 1, "permit cert_1"),
        ("ended", &deny, &good, END + 1, missing),
        ("ended, and named", &allow, &revoked, END + 1, REVOKED),
        ("ended, and named", &deny, &revoked, END + 1, REVOKED),
        (
            "none",
            &trust(CrlMissing::Allow, &[]),
            &good,
            NOW,
            "permit cert_1",
        ),
        ("none", &trust(CrlMissing::Deny, &[]), &good, NOW, missing),
    ] {
        check(case, &judge_at(trust, &[leaf], now), expected);
    }
    let permit = |trust: &TrustSet, now| match judge_at(trust, &[&good], now) {
        Verdict::Permit(permit) => permit,
        other => panic!("{other:?}"),
    };
    assert_eq!(permit(&deny, NOW).not_after(), END);
    assert!(permit(&allow, NOW).not_after() > END);
    assert!(!permit(&allow, NOW).without_current_list());
    assert!(permit(&allow, END + 1).without_current_list());
    let presented = present(&[&good]);
    let until = |now| unchanged_until(&deny, &Scope::Organization, &presented, now);
    assert_eq!(until(NOW), END + 1);
    assert!(until(END + 1) > END + 1);
}

#[test]
fn a_list_whose_serial_numbers_are_not_at_hand_refuses() {
    let ca = root("Root").mint();
    let good = ca.leaf("b").mint();
    let mut revocation = revocation(CrlMissing::Allow, &[believed(&ca, &[], ca.crl())]);
    revocation.lists[0].set = None;
    let trust = organization(&[&ca]).revocation(1, revocation);
    check("without", &trust.judge(&present(&[&good])), REVOKED);
}

#[test]
fn a_list_of_user_certificates_says_nothing_of_cas() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let (below, leaf) = (issuing.leaf("a").mint(), ca.leaf("b").mint());
    let users = |list: CrlTemplate| {
        list.extension(
            oid::ISSUING_DISTRIBUTION_POINT,
            true,
            &[0x30, 3, 0x81, 1, 0xff],
        )
    };
    let list = users(ca.crl().revoke(&issuing).revoke(&leaf));
    let list = [believed(&ca, &[], list)];
    let trust = with_lists(organization(&[&ca]), 1, CrlMissing::Allow, &list);
    check("a user", &trust.judge(&present(&[&leaf])), REVOKED);
    check(
        "through a CA",
        &trust.judge(&present(&[&below, &issuing])),
        "permit cert_1",
    );
}
