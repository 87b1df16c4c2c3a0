//! Chains that verified under no anchor: what one stolen key can make a database keep is bounded,
//! and what previews need is there.

use countersign_types::{
    digest::ChainDigest,
    error::ErrorCode,
    observation::{Observation, ReportedOutcome},
    workload::ObservedWorkload,
};
use countersign_verify::presented::Presented;

use crate::{
    growth::bytes,
    observations::{Chain, Scene, kept_chains, leaf, seen_workloads},
    setting::{START, on_each, on_each_shared, project},
};

const DAY: u64 = 24 * 60 * 60;
/// What `docs/configuration.md` says of one scope.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A chain that anyone can make: `size` bytes that differ by the number.
fn made_up(number: u64, size: usize) -> Chain {
    let mut der = number.to_be_bytes().to_vec();
    der.resize(size, 7);
    let certificates = vec![der];
    let ders = certificates.iter().map(|der| der.clone().into());
    Chain {
        digest: Presented::new(ders.collect()).sha256(),
        certificates,
    }
}

fn refused(scene: &Scene, chain: ChainDigest) -> Observation {
    Observation {
        code: Some(ErrorCode::CertificateVerificationFailed),
        anchor: None,
        anchor_scope: None,
        ..scene.seen(Some(chain))
    }
}

#[test]
fn one_stolen_key_does_not_grow_the_database_beyond_what_is_said() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let empty = bytes(&setting).await;
        let mut number = 0;
        let mut sizes = Vec::new();
        for round in 1..=8 {
            // Many small chains, and some as large as a handshake takes.
            let mut batch: Vec<_> = (0..900).map(|at| made_up(number + at, 1500)).collect();
            batch.extend((900..960).map(|at| made_up(number + at, 50_000)));
            number += 960;
            let seen: Vec<_> = batch
                .iter()
                .map(|chain| refused(&scene, chain.digest))
                .collect();
            scene.send(round, &batch, &seen).await;
            sizes.push(bytes(&setting).await.saturating_sub(empty));
        }
        println!(
            "{:?}: after each of {} batches of 960 new refused chains: {sizes:?} bytes",
            setting.location,
            sizes.len()
        );
        assert!(sizes.iter().all(|size| *size <= MAX_BYTES), "{sizes:?}");
        let kept = kept_chains(&store, &scene.organization).await;
        assert_eq!(kept.len(), 2000);
        let bytes: usize = kept
            .values()
            .flat_map(|chain| &chain.certificates)
            .map(Vec::len)
            .sum();
        assert!((3_900_000..=4 * 1024 * 1024).contains(&bytes), "{bytes}");
        // Those that came last are the ones whose certificates are kept.
        let newest = made_up(number - 1, 50_000);
        assert_eq!(kept[&newest.digest].certificates, newest.certificates);
        let workloads = seen_workloads(&store, &scene.organization, 0).await;
        assert_eq!(workloads.len(), 2000);
    });
}

#[test]
fn a_chain_of_one_scope_does_not_push_out_anothers_nor_a_verified_one() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let elsewhere = project(&store, &scene.organization, "Elsewhere").await.id;
        let (verified, other) = (leaf("verified"), made_up(1, 100));
        let at_other = Observation {
            identity: ObservedWorkload {
                project: Some(elsewhere),
                key: None,
                chain: Some(other.digest),
            },
            ..refused(&scene, other.digest)
        };
        let first = [verified.clone(), other.clone()];
        let seen = [scene.seen(Some(verified.digest)), at_other];
        assert_eq!(scene.send(1, &first, &seen).await.accepted, 2);
        for round in 0..3 {
            let batch: Vec<_> = (0..1000)
                .map(|at| made_up(1000 * (round + 1) + at, 100))
                .collect();
            let seen: Vec<_> = batch
                .iter()
                .map(|chain| refused(&scene, chain.digest))
                .collect();
            scene.send(round + 2, &batch, &seen).await;
        }
        let kept = kept_chains(&store, &scene.organization).await;
        assert_eq!(kept.len(), 2002);
        assert_eq!(kept[&verified.digest].certificates, verified.certificates);
        assert_eq!(kept[&other.digest].certificates, other.certificates);
    });
}

#[test]
fn a_chain_that_nothing_can_let_pass_leaves_its_digest_alone() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let broken = made_up(1, 50_000);
        let seen = Observation {
            code: Some(ErrorCode::InvalidCertificate),
            ..refused(&scene, broken.digest)
        };
        for (number, day) in [(1, 0), (2, 1)] {
            setting.clock.set(START + day * DAY);
            let seen = Observation {
                last_seen: START + day * DAY,
                ..seen.clone()
            };
            let sent = [broken.clone()];
            let sent = if day == 0 { &sent[..] } else { &[] };
            // The next day it is known still.
            assert_eq!(scene.send(number, sent, &[seen]).await.accepted, 1);
        }
        let kept = kept_chains(&store, &scene.organization).await;
        assert_eq!(kept[&broken.digest].certificates, Vec::<Vec<u8>>::new());
    });
}

#[test]
fn a_refused_chain_that_verifies_later_is_one_workload_and_kept_as_such() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let chain = leaf("billing");
        let sent = [chain.clone()];
        let first = refused(&scene, chain.digest);
        assert_eq!(
            scene
                .send(1, &sent, std::slice::from_ref(&first))
                .await
                .accepted,
            1
        );
        let kept = kept_chains(&store, &scene.organization).await;
        assert_eq!(kept[&chain.digest].certificates, chain.certificates);
        // It is asked for once more, since verified chains are stored in another way.
        let passed = scene.seen(Some(chain.digest));
        let asked = scene.send(2, &[], std::slice::from_ref(&passed)).await;
        assert_eq!(asked.unknown_chains, [chain.digest]);
        assert_eq!(
            scene
                .send(2, &sent, std::slice::from_ref(&passed))
                .await
                .accepted,
            1
        );
        assert_eq!(scene.send(3, &[], &[passed, first]).await.accepted, 2);
        let workloads = seen_workloads(&store, &scene.organization, 0).await;
        assert_eq!(workloads.len(), 1, "{workloads:?}");
        assert_eq!(workloads[0].requests, 40);
        let kept = kept_chains(&store, &scene.organization).await;
        assert_eq!(kept[&chain.digest].certificates, chain.certificates);
    });
}

#[test]
fn a_chain_that_a_reported_anchor_lets_pass_counts_as_verified() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let chain = leaf("billing");
        let reported = Observation {
            anchor: None,
            anchor_scope: None,
            reported: Some(ReportedOutcome {
                code: None,
                anchor: scene.seen(Some(chain.digest)).anchor,
            }),
            ..scene.seen(Some(chain.digest))
        };
        assert_eq!(
            scene
                .send(1, std::slice::from_ref(&chain), &[reported])
                .await
                .accepted,
            1
        );
        // So nothing of it is asked for once it is enforced.
        let passed = scene.seen(Some(chain.digest));
        assert_eq!(scene.send(2, &[], &[passed]).await.accepted, 1);
    });
}
