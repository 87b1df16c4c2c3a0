//! docs/specification.md, section 2, step 5: hostile chains cost bounded work.

use countersign_testca::{Key, KeyKind, Minted, root};
use countersign_verify::{denial::Reason, judge::Verdict, presented::Presented};
use rustls_pki_types::CertificateDer;

use crate::scene::{check, organization, present};

fn refuse_for(case: &str, verdict: &Verdict, expected: &str) {
    let Verdict::Denial(denial) = verdict else {
        panic!("{case}: {verdict:?}");
    };
    assert_eq!(
        denial.code().as_str(),
        "certificate_verification_failed",
        "{case}"
    );
    let budgets = denial
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
        "path building steps",
    );
}

#[test]
fn so_many_possible_paths_and_no_more() {
    let ca = root("Root").mint();
    let look_alikes: Vec<_> = (0..33)
        .map(|_| ca.intermediate("Issuing").ski(&[7]).mint())
        .collect();
    let stranger = Key::generate(KeyKind::P256);
    let leaf = look_alikes[0]
        .leaf("client")
        .aki(&[7])
        .signed_with(&stranger)
        .mint();
    let judge = |count: usize| {
        let chain: Vec<_> = [&leaf].into_iter().chain(&look_alikes[..count]).collect();
        organization(&[&ca]).judge(&present(&chain))
    };
    refuse_for("33", &judge(33), "possible paths");
    let Verdict::Denial(denial) = judge(32) else {
        panic!("no denial");
    };
    let bad = denial
        .trace()
        .iter()
        .filter(|finding| finding.reason == Reason::BadSignature);
    assert_eq!(bad.count(), 32);
}

#[test]
fn so_many_signatures_and_no_more() {
    let ca = root("Root").mint();
    let top = ca.intermediate("Top").mint();
    let (upper, lower) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let uppers: Vec<_> = (0..4)
        .map(|_| top.intermediate("Upper").with_key(&upper).mint())
        .collect();
    let lowers: Vec<_> = (0..8)
        .map(|_| uppers[0].intermediate("Lower").with_key(&lower).mint())
        .collect();
    let judge = |lowers: &[Minted]| {
        // Every path is sound but for the leaf's own signature, the last to be checked: four
        // signatures each.
        let leaf = lowers[0].leaf("client").break_signature().mint();
        let above = uppers.iter().chain(lowers).chain([&top]);
        let chain: Vec<_> = [&leaf].into_iter().chain(above).collect();
        organization(&[&ca]).judge(&present(&chain))
    };
    refuse_for("32 paths", &judge(&lowers), "signature checks");
    let Verdict::Denial(denial) = judge(&lowers[..6]) else {
        panic!("no denial");
    };
    assert_eq!(denial.trace().len(), 24, "24 paths, 96 signatures");
    assert!(
        denial
            .trace()
            .iter()
            .all(|finding| finding.reason == Reason::BadSignature)
    );
}

#[test]
fn the_hundredth_signature_still_counts_and_the_next_does_not() {
    let ca = root("Root").mint();
    let top = ca.intermediate("Top").mint();
    let upper = Key::generate(KeyKind::P256);
    let uppers: Vec<_> = (0..4)
        .map(|_| top.intermediate("Upper").with_key(&upper).mint())
        .collect();
    let lower = uppers[0].intermediate("Lower").mint();
    let key = lower.key().identifier();
    // Six look-alikes under four CAs: 24 paths of four signatures, of which the last is wrong.
    let look_alikes: Vec<_> = (0..6)
        .map(|_| uppers[0].intermediate("Lower").ski(&key).mint())
        .collect();
    // A path whose first signature is wrong, tried first because it is short.
    let forged = ca.intermediate("Lower").ski(&key).break_signature().mint();
    let leaf = lower.leaf("client").mint();
    let judge = |also: &[&Minted]| {
        let mut chain = vec![&leaf, &top];
        chain.extend(uppers.iter().chain(&look_alikes));
        chain.push(&lower);
        chain.extend(also);
        organization(&[&ca]).judge(&present(&chain))
    };
    check("100", &judge(&[]), "permit cert_1");
    refuse_for("101", &judge(&[&forged]), "signature checks");
}
