//! Any bytes as a presented chain are judged, and permitted only with a leaf that was really
//! signed: those of the seeds, since no input can forge another.
#![no_main]

use std::sync::LazyLock;

use countersign_types::certificate::Scope;
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    trust::TrustSet,
};
use libfuzzer_sys::fuzz_target;

/// 2026-12-01, when the seeds are valid.
const NOW: u64 = 1_796_083_200;
const ROOT: &str = include_str!("../seeds/chain-root.pem");
/// One under the root, one under an intermediate.
const LEAVES: [&[u8]; 2] = [
    include_bytes!("../seeds/chain-leaf.der"),
    include_bytes!("../seeds/chain-leaf-below.der"),
];

static TRUST: LazyLock<TrustSet> = LazyLock::new(|| TrustSet::from_anchors([ROOT], None));

fuzz_target!(|input: &[u8]| {
    let chain = certificates(input);
    let genuine = chain
        .first()
        .is_some_and(|leaf| LEAVES.contains(&leaf.as_slice()));
    let chain = chain.into_iter().map(Into::into).collect();
    match judge(&TRUST, &Scope::Organization, &Presented::new(chain), NOW) {
        Verdict::Permit(_) => assert!(genuine, "a certificate that nobody signed"),
        Verdict::Refusal(refusal) => assert!(!refusal.trace().is_empty()),
        Verdict::NoAnchorApplies(_) => panic!("an anchor is active"),
    }
});

/// Each certificate is as long as the two bytes before it say.
fn certificates(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (certificate, rest) = rest.split_at(length);
        chain.push(certificate.to_vec());
        input = rest;
    }
    chain
}
