//! What a preview costs for each identity that was observed. Run by `cargo xtask bench verify`;
//! prints JSON.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that goes wrong stops"
)]

#[path = "../tests/preview/scene.rs"]
mod scene;

use countersign_server::preview::compare;
use countersign_testca::root;
use countersign_types::certificate::Scope;
use serde_json::json;

use scene::{NOW, anchor, certificate, keep, organization, seen, traffic};

const PROJECTS: u128 = 10;
/// One in so many chains to the anchor that comes; the others to the one that is there.
const RENEWED: u64 = 10;

/// What this thread has used, as Linux counts it.
fn cpu_microseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e3
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let identities: u32 = if quick { 500 } else { 100_000 };
    let (old, new) = (root("Old").mint(), root("New").mint());
    let mut before = organization(PROJECTS);
    before.active = vec![certificate(0)];
    before.certificates = vec![anchor(0, &old, None), anchor(1, &new, None)];
    let mut after = before.clone();
    after.active.push(certificate(1));
    let mut observed = traffic(Vec::new());
    for number in 0..u64::from(identities) {
        let ca = if number % RENEWED == 0 { &new } else { &old };
        let leaf = ca.leaf(&format!("workload {number}")).mint();
        let digest = keep(&mut observed, &[leaf.der().to_vec()]);
        let at = u128::from(number) % PROJECTS;
        observed
            .workloads
            .push(seen(Some(at), digest, 1 + number % 1000));
    }
    let start = cpu_microseconds();
    let found = compare(&before, &after, &Scope::Organization, &observed, NOW);
    let cost = cpu_microseconds() - start;
    assert_eq!(found.identities, u64::from(identities));
    let renewed = u64::try_from(found.starts_to_pass.len()).unwrap();
    assert_eq!(renewed, u64::from(identities).div_ceil(RENEWED));
    let row = json!([{
        "key": "P-256",
        "case": "preview, one identity",
        "anchors": 2,
        "policy": false,
        "microseconds": cost / f64::from(identities),
        "signatures": 1,
    }]);
    println!("{row}");
}
