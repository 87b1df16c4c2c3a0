//! What a remembered verdict costs: the whole way from a connection and an identity to the
//! authorization. Run by `cargo xtask bench verify`; prints JSON.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that goes wrong stops"
)]
#![expect(
    dead_code,
    unused_imports,
    reason = "the gateway's own source, of which only this is measured"
)]

#[path = "../src/caller/mod.rs"]
mod caller;
#[path = "../src/connection.rs"]
mod connection;
#[path = "../src/json_line.rs"]
mod json_line;
#[path = "../src/log_fields.rs"]
mod log_fields;
#[path = "../src/observing/mod.rs"]
mod observing;
#[cfg(test)]
#[path = "../src/recorded.rs"]
mod recorded;
#[path = "../src/shares.rs"]
mod shares;
#[path = "../src/unauthenticated.rs"]
mod unauthenticated;
#[path = "../src/verdict/mod.rs"]
mod verdict;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use caller::{credential::Credential, snapshot::Snapshot};
use connection::{Arrival, Connection};
use countersign_testca::root;
use countersign_types::{
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleKey, BundleProject, OrganizationBundle},
    digest::KeyDigest,
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
};
use countersign_verify::presented::Presented;
use observing::tally::Observer;
use rustix::time::{ClockId, clock_gettime};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use shares::{ShareLimits, Shares};

/// 2027-01-15T08:00:00Z, when everything minted is valid.
const NOW: u64 = 1_800_000_000;
const KEY: &str = "sk-remembered";

fn organization(pem: String) -> OrganizationBundle {
    let (certificate, project) = (CertificateId::from_random(1), ProjectId::from_random(1));
    OrganizationBundle {
        id: OrganizationId::from_random(1),
        revision: 1,
        digest: None,
        certificates: vec![BundleCertificate {
            id: certificate.clone(),
            pem,
            cel_policy: None,
            reported_policy: None,
            revocation: None,
            floor: None,
            reported_floor: None,
        }],
        active: vec![certificate],
        with_reported: Vec::new(),
        projects: vec![BundleProject {
            id: project.clone(),
            archived: false,
            active: Vec::new(),
            with_reported: Vec::new(),
        }],
        keys: vec![BundleKey {
            id: ApiKeyId::from_random(1),
            kind: KeyKind::Project,
            sha256: KeyDigest::of(KEY),
            project: Some(project),
            expires_at: None,
        }],
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: Vec::new(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a thread's CPU time in nanoseconds is far below 2^53"
)]
fn cpu_microseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, batch) = if quick { (1, 1_000) } else { (21, 200_000) };
    let ca = root("Example Root").mint();
    let leaf = ca.leaf("billing").mint();
    let snapshot = Snapshot::default().after(1, true, vec![organization(ca.pem())], &[]);
    let credential = Credential::KeyDigest(KeyDigest::of(KEY));
    let caller = snapshot.caller(&credential, NOW).unwrap();
    let presented = Presented::new(vec![CertificateDer::from(leaf.der().to_vec())]);
    let connection = Connection::new(presented, ([127, 0, 0, 1], 1).into(), None);
    let (observer, _tallies) = Observer::new();
    let limits = ShareLimits {
        verification: Duration::from_secs(1),
        streams: 1,
        connections: 1,
    };
    let arrival = Arrival {
        observer: Some(&observer),
        shares: &Shares::new(limits, 1),
        thread: 0,
        takes_place: true,
        clock: &Instant::now,
    };
    let arrival = Some(&arrival);
    connection.authorize(caller, NOW, arrival).unwrap();
    let mut samples: Vec<f64> = (0..rounds)
        .map(|_| {
            let before = cpu_microseconds();
            for _ in 0..batch {
                let passed = connection.authorize(black_box(caller), black_box(NOW), arrival);
                black_box(passed).unwrap();
            }
            (cpu_microseconds() - before) / f64::from(batch)
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    let row = json!([{
        "key": "P-256",
        "case": "remembered",
        "anchors": 1,
        "policy": false,
        "microseconds": samples.get(samples.len() / 2),
        "signatures": 0,
    }]);
    println!("{row}");
}
