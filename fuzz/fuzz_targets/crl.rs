//! Any bytes are a revocation list that its CA signed, or are refused with what is wrong with them.
#![no_main]

use std::sync::LazyLock;

use countersign_verify::{
    certificate::Anchor,
    crl::{RevocationList, read},
};
use libfuzzer_sys::fuzz_target;

/// 2026-12-01, when the seeds are current.
const NOW: u64 = 1_796_083_200;

static ROOT: LazyLock<Anchor> = LazyLock::new(|| {
    let pem = include_str!("../../crates/countersign-verify/tests/crl/made/root.pem");
    Anchor::from_pem(pem).unwrap()
});
/// What the root signed, by the digest of its DER.
static SIGNED: LazyLock<Vec<RevocationList>> = LazyLock::new(|| {
    let lists = [
        include_str!("../seeds/crl/root.pem"),
        include_str!("../seeds/crl/empty.pem"),
        include_str!("../seeds/crl/version-1.pem"),
        include_str!("../seeds/crl/distribution-point.pem"),
    ];
    let lists = lists.map(|list| read(list.as_bytes(), &ROOT, None, NOW).unwrap());
    lists.to_vec()
});

fuzz_target!(|input: &[u8]| match read(input, &ROOT, None, NOW) {
    Ok(list) => assert!(
        SIGNED.iter().any(|signed| signed.sha256() == list.sha256()),
        "a list that nobody signed"
    ),
    Err(refused) => assert!(refused.message.ends_with('.')),
});
