//! What each denial, floor and revocation list refused, as the API says it.

use std::time::Duration;

use countersign_client::Received;
use countersign_testca::Minted;
use countersign_types::{
    certificate::Enforcement,
    crl::CrlAddRequest,
    denial::{Denial, DenialCreateRequest},
    id::CertificateId,
    refused_by::RefusalCounts,
    usage::{CertificateUsage, Windows},
};
use futures_util::TryStreamExt as _;
use tokio::time::timeout;

use crate::{
    denied::{deny, of_leaf, request},
    world::{LIMIT, NOW, World},
};

/// Waits until this many were refused and reported of each, the denials first.
async fn until(world: &World, anchor: &CertificateId, wanted: [(u64, u64); 4]) {
    let counted = async {
        loop {
            let all = counts(world, anchor).await;
            let shown = all.map(|each| (each.refused.days_1, each.reported.days_1));
            if shown == wanted {
                return all;
            }
            let fits =
                |(each, most): (&(u64, u64), (u64, u64))| each.0 <= most.0 && each.1 <= most.1;
            assert!(shown.iter().zip(wanted).all(fits), "{shown:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let all = timeout(LIMIT, counted).await.expect("the counts to arrive");
    for each in all {
        assert_eq!(each.last_refused.is_some(), each.refused.days_30 > 0);
        assert_eq!(each.last_reported.is_some(), each.reported.days_30 > 0);
        assert_eq!(each.refused.days_7, each.refused.days_30);
    }
}

/// Those of the enforced denial, the reported one, the floor and the list.
async fn counts(world: &World, anchor: &CertificateId) -> [RefusalCounts; 4] {
    let listed = world.api.denials().stream_with_usage(&Default::default());
    let denials: Vec<Received<Denial>> = listed.try_collect().await.unwrap();
    let of = |enforcement| {
        let found = denials.iter().find(|each| each.enforcement == enforcement);
        found.unwrap().usage.unwrap()
    };
    let certificates = world.api.certificates();
    let anchor = certificates.retrieve_with_usage(anchor).await.unwrap();
    let CertificateUsage { floor, crls, .. } = anchor.value.usage.clone().unwrap();
    assert_eq!(crls.len(), 1);
    let denied = [Enforcement::Enforce, Enforcement::Report].map(of);
    [denied[0], denied[1], floor.unwrap(), crls[0].counts]
}

async fn revoke(world: &World, anchor: &CertificateId, leaf: &Minted) {
    let end = Some(NOW.cast_signed() + 3600);
    let list = world.ca.crl().number(Some(&[1])).revoke(leaf);
    let request = CrlAddRequest {
        crl: Some(list.current(1_700_000_000, end).pem()),
        url: None,
        interval: None,
        issuer_certificates: None,
    };
    let added = world.api.crls(anchor).add(&request).await.unwrap();
    world.enforced(added.revision.unwrap()).await;
}

#[tokio::test]
async fn each_denial_floor_and_list_counts_what_it_refuses_and_would_refuse() {
    let world = World::with(|options| {
        options.observations = true;
        options.observation_interval = Duration::from_millis(20);
    })
    .await;
    let (anchor, other) = world.with_active_ca().await;
    let [denied, reported, revoked] =
        ["denied", "reported", "revoked"].map(|name| world.ca.leaf(name).mint());
    let made = deny(&world, &request(of_leaf(&denied))).await;
    let only_reported = DenialCreateRequest {
        enforcement: Enforcement::Report,
        ..request(of_leaf(&reported))
    };
    deny(&world, &only_reported).await;
    revoke(&world, &anchor, &revoked).await;
    let certificates = world.api.certificates();
    let floor = Some(1_790_000_000);
    let set = certificates.set_floor(&anchor, floor, Enforcement::Report);
    world.enforced(set.await.unwrap().revision.unwrap()).await;
    until(&world, &anchor, [(0, 0); 4]).await;
    for (leaf, times, passes) in [
        (&denied, 2, false),
        (&reported, 3, true),
        (&revoked, 4, false),
        (&other, 5, true),
    ] {
        let mut connection = world.tls(&[leaf]).connect(world.address()).await;
        for _ in 0..times {
            let answer = connection.get("/v1/echo", &world.key, "").await;
            assert_eq!(answer.code().is_empty(), passes);
        }
    }
    until(&world, &anchor, [(2, 0), (0, 3), (0, 5), (4, 0)]).await;
    let denials = world.api.denials();
    let one = denials.retrieve_with_usage(&made.id);
    let windows = Windows {
        days_1: 2,
        days_7: 2,
        days_30: 2,
    };
    assert_eq!(one.await.unwrap().value.usage.unwrap().refused, windows);
    let plain = denials.retrieve(&made.id).await.unwrap();
    assert_eq!(plain.value.usage, None);
}
