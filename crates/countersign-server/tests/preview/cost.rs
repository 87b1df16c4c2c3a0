//! What a preview costs, printed, not judged: `COUNTERSIGN_PREVIEW_IDENTITIES` says over how many
//! distinct chains, `--no-capture` shows the figure.

use countersign_server::preview::compare;
use countersign_testca::root;
use countersign_types::certificate::Scope;

use crate::scene::{NOW, anchor, certificate, keep, organization, seen, traffic};

const PROJECTS: u128 = 10;

/// What this thread has used, as Linux counts it.
fn cpu_milliseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1_000_000
}

#[test]
fn one_signature_a_chain() {
    let identities = std::env::var("COUNTERSIGN_PREVIEW_IDENTITIES");
    let identities: u64 = identities.map_or(500, |count| count.parse().unwrap());
    let (old, new) = (root("Old").mint(), root("New").mint());
    let mut before = organization(PROJECTS);
    before.active = vec![certificate(0)];
    before.certificates = vec![anchor(0, &old, None), anchor(1, &new, None)];
    let mut after = before.clone();
    after.active.push(certificate(1));
    let mut observed = traffic(Vec::new());
    for number in 0..identities {
        let ca = if number % 10 == 0 { &new } else { &old };
        let leaf = ca.leaf(&format!("workload {number}")).mint();
        let digest = keep(&mut observed, &[leaf.der().to_vec()]);
        let at = u128::from(number) % PROJECTS;
        observed
            .workloads
            .push(seen(Some(at), digest, 1 + number % 1000));
    }
    let start = cpu_milliseconds();
    let found = compare(&before, &after, &Scope::Organization, &observed, NOW);
    let cost = cpu_milliseconds() - start;
    println!("{identities} identities: {cost} ms of CPU");
    assert_eq!(found.identities, identities);
    let renewed = u64::try_from(found.starts_to_pass.len()).unwrap();
    assert_eq!(renewed, identities.div_ceil(10));
    assert_eq!(found.still_passing, identities - renewed);
}
