//! docs/specification.md, section 2, step 5: hostile chains cost bounded work.

use countersign_testca::{General, Key, KeyKind, Minted, root};
use countersign_verify::{
    judge::Verdict,
    presented::Presented,
    refusal::{Finding, Reason},
};
use rustls_pki_types::CertificateDer;

use crate::scene::{check, organization, present};

fn refuse_for(case: &str, verdict: &Verdict, expected: &str) {
    let Verdict::Refusal(refusal) = verdict else {
        panic!("{case}: {verdict:?}");
    };
    assert_eq!(
        refusal.code().as_str(),
        "certificate_verification_failed",
        "{case}"
    );
    let budgets = refusal
        .trace()
        .iter()
        .filter_map(|finding| match finding.reason {
            Reason::Budget(of) => Some(of),
            _ => None,
        });
    assert_eq!(budgets.collect::<Vec<_>>(), [expected], "{case}");
}

#[test]
fn so_many_certificates_and_no_more() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let leaf = issuing.leaf("client").mint();
    let trust = organization(&[&ca]);
    let chain = |count: usize, stuffing: usize| {
        let mut chain = vec![
            CertificateDer::from(leaf.der().to_vec()),
            CertificateDer::from(issuing.der().to_vec()),
        ];
        chain.resize(count + 1, CertificateDer::from(vec![0; stuffing]));
        trust.judge(&Presented::new(chain))
    };
    check("40", &chain(40, 10), "permit cert_1");
    refuse_for("41", &chain(41, 10), "certificates presented");
    check(
        "64 KiB",
        &chain(2, 0x1_0000 - issuing.der().len()),
        "permit cert_1",
    );
    refuse_for(
        "64 KiB and a byte",
        &chain(2, 0x1_0001 - issuing.der().len()),
        "certificates presented",
    );
}

#[test]
fn so_many_intermediates_on_a_path_and_no_more() {
    let ca = root("Root").mint();
    let line = |length: usize| {
        let mut line: Vec<Minted> = Vec::new();
        for at in 0..length {
            let above = line.last().unwrap_or(&ca);
            line.push(above.intermediate(&format!("CA {at}")).mint());
        }
        let leaf = line.last().unwrap().leaf("client").mint();
        let chain: Vec<_> = [&leaf].into_iter().chain(&line).collect();
        organization(&[&ca]).judge(&present(&chain))
    };
    check("6", &line(6), "permit cert_1");
    check(
        "7",
        &line(7),
        "certificate_verification_failed: candidate cert_1 - no_path",
    );
}

#[test]
fn a_maze_of_intermediates_costs_bounded_steps() {
    let ca = root("Root").mint();
    let everywhere = [7];
    let maze: Vec<_> = (0..12)
        .map(|_| root("Maze").ski(&everywhere).aki(&everywhere).mint())
        .collect();
    let leaf = maze[0].leaf("client").aki(&everywhere).mint();
    let chain: Vec<_> = [&leaf].into_iter().chain(&maze).collect();
    refuse_for(
        "maze",
        &organization(&[&ca]).judge(&present(&chain)),
        "steps between certificates",
    );
}

#[test]
fn so_many_possible_paths_and_no_more() {
    let ca = root("Root").mint();
    let look_alikes: Vec<_> = (0..33)
        .map(|_| ca.intermediate("Issuing").ski(&[7]).mint())
        .collect();
    let untrusted = Key::generate(KeyKind::P256);
    let leaf = look_alikes[0]
        .leaf("client")
        .aki(&[7])
        .signed_with(&untrusted)
        .mint();
    let judge = |count: usize| {
        let chain: Vec<_> = [&leaf].into_iter().chain(&look_alikes[..count]).collect();
        organization(&[&ca]).judge(&present(&chain))
    };
    refuse_for("33", &judge(33), "possible paths");
    refuse_for("32", &judge(32), "signatures to check");
}

/// How many of these possible paths, each with one signature that does not verify, are tried.
fn paths_tried(key: &Key, possible: usize) -> usize {
    let ca = root("Root").with_key(key).mint();
    let forged: Vec<_> = (0..possible)
        .map(|_| {
            ca.intermediate("Issuing")
                .ski(&[7])
                .break_signature()
                .mint()
        })
        .collect();
    let leaf = forged.first().unwrap().leaf("client").aki(&[7]).mint();
    let chain: Vec<_> = [&leaf].into_iter().chain(&forged).collect();
    let verdict = organization(&[&ca]).judge(&present(&chain));
    let Verdict::Refusal(refusal) = verdict else {
        panic!("no refusal");
    };
    let bad = refusal.trace().iter();
    let bad = bad.filter(|finding| finding.reason == Reason::BadSignature);
    bad.count()
}

#[test]
fn the_dearer_a_key_is_to_check_the_fewer_signatures_are_checked() {
    let tried = [
        ("P-256", Key::generate(KeyKind::P256)),
        ("P-384", Key::generate(KeyKind::P384)),
        ("P-521", Key::generate(KeyKind::P521)),
        ("Ed25519", Key::generate(KeyKind::Ed25519)),
        ("RSA-2048", Key::forged_rsa(2048, &[1, 0, 1])),
        ("RSA-3072", Key::forged_rsa(3072, &[1, 0, 1])),
        ("RSA-4096", Key::forged_rsa(4096, &[1, 0, 1])),
        ("RSA-8192", Key::forged_rsa(8192, &[1, 0, 1])),
    ]
    .map(|(name, key)| (name, paths_tried(&key, 32)));
    let expected = [
        ("P-256", 17),
        ("P-384", 4),
        ("P-521", 2),
        ("Ed25519", 23),
        ("RSA-2048", 32),
        ("RSA-3072", 23),
        ("RSA-4096", 13),
        ("RSA-8192", 3),
    ];
    assert_eq!(tried, expected);
}

/// The longest sound path of each kind of key, the root presented too, as many clients do.
#[test]
fn a_real_path_is_within_the_budget_whatever_its_keys() {
    for (kind, intermediates) in [
        (KeyKind::P256, 6),
        (KeyKind::P384, 3),
        (KeyKind::P521, 2),
        (KeyKind::Ed25519, 6),
        (KeyKind::Rsa2048, 6),
    ] {
        let key = Key::generate(kind);
        let ca = root("Root").with_key(&key).mint();
        let mut line: Vec<Minted> = Vec::new();
        for at in 0..intermediates {
            let above = line.last().unwrap_or(&ca);
            let template = above.intermediate(&format!("CA {at}"));
            line.push(template.with_key(&key).mint());
        }
        let leaf = line.last().unwrap().leaf("client");
        let leaf = leaf.san(General::dns("client.example.com")).mint();
        let chain: Vec<_> = [&leaf].into_iter().chain(&line).chain([&ca]).collect();
        let policy = r#"subject.common_name == "client" && subject_alt_names.exists(san, san.type == DNS && san.value.endsWith(".example.com"))"#;
        check(
            &format!("{kind:?}"),
            &organization(&[&ca]).policy(policy).judge(&present(&chain)),
            "permit cert_1",
        );
    }
}

/// Every path is sound but for the leaf's own signature, the last to be checked.
#[test]
fn signatures_are_counted_over_all_paths_together() {
    let ca = root("Root").mint();
    let top = ca.intermediate("Top").mint();
    let (upper, lower) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let uppers: Vec<_> = (0..2)
        .map(|_| top.intermediate("Upper").with_key(&upper).mint())
        .collect();
    let lowers: Vec<_> = (0..3)
        .map(|_| uppers[0].intermediate("Lower").with_key(&lower).mint())
        .collect();
    let judge = |lowers: &[Minted]| {
        let leaf = lowers[0].leaf("client").break_signature().mint();
        let above = uppers.iter().chain(lowers).chain([&top]);
        let chain: Vec<_> = [&leaf].into_iter().chain(above).collect();
        organization(&[&ca]).judge(&present(&chain))
    };
    refuse_for("6 paths of 4", &judge(&lowers), "signatures to check");
    let Verdict::Refusal(refusal) = judge(&lowers[..2]) else {
        panic!("no refusal");
    };
    assert_eq!(refusal.trace().len(), 4, "4 paths of 4");
    let bad = |finding: &Finding| finding.reason == Reason::BadSignature;
    assert!(refusal.trace().iter().all(bad));
}

#[test]
fn anchors_that_were_not_tried_are_named() {
    let key = Key::generate(KeyKind::P521);
    let anchors: Vec<_> = (0..5).map(|_| root("Root").with_key(&key).mint()).collect();
    let leaf = anchors[0].leaf("client").break_signature().mint();
    let anchors: Vec<_> = anchors.iter().collect();
    check(
        "look-alikes",
        &organization(&anchors).judge(&present(&[&leaf])),
        "certificate_verification_failed: direct_path cert_1 0 bad_signature, \
         direct_path cert_2 0 bad_signature, direct_path cert_3 0 bad_signature, \
         direct_path cert_4 0 budget, candidate cert_5 - not_tried",
    );
}

#[test]
fn so_many_names_are_held_to_constraints_and_no_more() {
    let constrained = (0..300).fold(root("Root"), |root, number| {
        root.exclude(General::dns(&format!("n{number}.example.org")))
    });
    let ca = constrained.mint();
    let trust = organization(&[&ca]);
    let judge = |names: usize| {
        let leaf = (0..names).fold(ca.leaf("client"), |leaf, number| {
            leaf.san(General::dns(&format!("n{number}.example.com")))
        });
        trust.judge(&present(&[&leaf.mint()]))
    };
    check("10", &judge(10), "permit cert_1");
    refuse_for("1,000", &judge(1_000), "names to compare");
}

/// A policy that was saved although a crowded leaf makes it dear.
#[test]
fn a_policy_has_what_verifying_left() {
    let ca = root("Root").mint();
    let policy = r#"subject_alt_names.all(a, !a.value.matches("(a*)*b"))"#;
    let trust = organization(&[&ca]).policy(policy);
    let judge = |names: usize| {
        let leaf = (0..names).fold(ca.leaf("client"), |leaf, number| {
            leaf.san(General::uri(&format!("{number:02}{}", "a".repeat(78))))
        });
        trust.judge(&present(&[&leaf.mint()]))
    };
    check("an ordinary leaf", &judge(10), "permit cert_1");
    check(
        "a crowded leaf",
        &judge(100),
        "authentication_temporarily_unavailable: policy cert_1 0 policy_failed",
    );
}
