//! Observations reach the control plane: every request exactly once, whatever happens in between.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use countersign_client::{ListParams, Received};
use countersign_server::store::{ObservedIdentity, Workload};
use countersign_testca::{Minted, root};
use countersign_types::{
    api_key::KeyKind,
    certificate::{Enforcement, Scope},
    digest::{ChainDigest, KeyDigest},
    error::ErrorCode,
    id::ApiKeyId,
    observation::AnchorScope,
    project::ServiceAccountApiKeyCreateRequest,
    refusal::Refusal,
};
use countersign_verify::presented::Presented;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::time::timeout;

use crate::{
    client::Tls,
    tap::{Mode, Tap},
    world::{LIMIT, World, make_project},
};

/// Long enough that the gateway stops first.
const NEVER: Duration = Duration::from_secs(100_000);

/// Who called with what, and how often: key, leaf (empty for none), and the code of the latest.
type Counted = BTreeMap<(ApiKeyId, String, Option<ErrorCode>), u64>;

async fn observed(every: Duration) -> World {
    World::with(|options| {
        options.observations = true;
        options.observation_interval = every;
    })
    .await
}

/// A world with a tap in front of its control plane.
pub(crate) async fn tapped() -> (World, Tap) {
    let mut world = observed(NEVER).await;
    world.stop().await;
    let plane = world.options.control_plane.clone();
    let plane = plane.trim_start_matches("http://").trim_end_matches("/v1");
    let tap = Tap::before(plane.parse().unwrap()).await;
    world.options.control_plane = format!("http://{}/v1", tap.address);
    world.options.observation_interval = Duration::from_millis(20);
    world.start().await;
    (world, tap)
}

async fn key_id(world: &World, value: &str) -> ApiKeyId {
    let caller = world.store.caller(KeyDigest::of(value)).await.unwrap();
    caller.unwrap().key
}

async fn another_key(world: &World) -> String {
    let accounts = world.api.service_accounts(&world.project);
    let listed = accounts.list(&Default::default()).await.unwrap();
    let request = ServiceAccountApiKeyCreateRequest::default();
    let made = accounts
        .create_api_key(&listed.data[0].id, &request)
        .await
        .unwrap();
    world.enforced(made.revision.unwrap()).await;
    made.value.value.reveal().to_owned()
}

async fn workloads(world: &World) -> Vec<Workload> {
    // A chain that is stored anew between two pages comes twice.
    let mut all = HashMap::new();
    let mut pages = world.store.workloads(&world.organization, 0);
    while let Some(page) = pages.next().await.unwrap() {
        let each = page.workloads.into_iter();
        all.extend(each.map(|workload| (workload.identity.clone(), workload)));
    }
    all.into_values().collect()
}

/// The observed chains, whole.
async fn chains(world: &World) -> HashMap<ChainDigest, ObservedIdentity> {
    let mut chains = HashMap::new();
    let mut pages = world.store.workloads(&world.organization, 0);
    while let Some(page) = pages.next().await.unwrap() {
        let some = world.store.chains_of(&world.organization, &page).await;
        chains.extend(some.unwrap());
    }
    chains
}

async fn counted(world: &World) -> Counted {
    let chains = chains(world).await;
    let mut counted = Counted::new();
    for workload in workloads(world).await {
        let leaf = workload
            .identity
            .chain
            .map(|chain| chains[&chain].leaf.subject.clone());
        let who = (
            workload.identity.key.unwrap(),
            leaf.unwrap_or_default(),
            workload.code,
        );
        *counted.entry(who).or_default() += workload.requests;
    }
    counted
}

/// Waits until the control plane knows this many requests.
pub(crate) async fn until(world: &World, requests: u64) {
    let known = async {
        loop {
            let known: u64 = workloads(world)
                .await
                .iter()
                .map(|each| each.requests)
                .sum();
            assert!(known <= requests, "{known} of {requests}");
            if known == requests {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, known)
        .await
        .expect("the observations to arrive");
}

/// This many requests on one connection.
async fn ask(world: &World, tls: &Tls, key: &str, requests: usize) {
    let mut connection = tls.connect(world.address()).await;
    for _ in 0..requests {
        connection.get("/v1/echo", key, "").await;
    }
}

async fn ask_http2(world: &World, tls: &Tls, key: &str) {
    let request = Request::get("https://localhost/v1/echo")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = tls.http2(world.address(), request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_by_caller_and_chain() {
    let mut world = observed(Duration::from_millis(20)).await;
    let (_, billing) = world.with_active_ca().await;
    let between = world.ca.intermediate("Issuing CA").mint();
    let shipping = between.leaf("shipping").mint();
    let untrusted = root("Client CA").mint().leaf("untrusted").mint();
    let second = another_key(&world).await;
    let (billed, shipped) = (world.tls(&[&billing]), world.tls(&[&shipping, &between]));
    // Two keys take turns on one connection; others have one each.
    let mut connection = billed.connect(world.address()).await;
    for turn in 0..30 {
        let key = if turn % 3 == 0 { &second } else { &world.key };
        connection.get("/v1/echo", key, "").await;
    }
    for _ in 0..5 {
        ask_http2(&world, &billed, &world.key).await;
        ask(&world, &shipped, &second, 4).await;
    }
    ask(&world, &world.tls(&[]), &world.key, 3).await;
    ask(&world, &world.tls(&[&untrusted]), &world.key, 7).await;
    ask(&world, &billed, "sk-unknown", 9).await;
    ask(&world, &billed, &world.admin_key, 2).await;
    world.stop().await;

    let (one, two) = (
        key_id(&world, &world.key).await,
        key_id(&world, &second).await,
    );
    let admin = key_id(&world, &world.admin_key).await;
    let named = |name: &str| format!("CN={name}");
    let mut seen = counted(&world).await;
    let billing = seen.keys().map(|(_, leaf, _)| leaf.clone());
    let billing = billing
        .into_iter()
        .find(|leaf| leaf.contains("billing"))
        .unwrap();
    let failed = Some(ErrorCode::CertificateVerificationFailed);
    for (key, leaf, code, requests) in [
        (&one, billing.clone(), None, 25),
        (&two, billing.clone(), None, 10),
        (&two, named("shipping"), None, 20),
        (&one, String::new(), Some(ErrorCode::CertificateRequired), 3),
        (&one, named("untrusted"), failed, 7),
        // Nothing is active for the organization: an admin key passes without a certificate.
        (&admin, billing, None, 2),
    ] {
        let who = (key.clone(), leaf, code);
        assert_eq!(seen.remove(&who), Some(requests), "{who:?}");
    }
    assert_eq!(seen, Counted::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_count_is_lost_or_doubled_while_the_control_plane_is_away() {
    let (world, tap) = tapped().await;
    let (_, leaf) = world.with_active_ca().await;
    let tls = world.tls(&[&leaf]);
    let mut connection = tls.connect(world.address()).await;
    let mut sent = 0;
    for round in 0..6 {
        for (mode, requests) in [(Mode::Closed, 5), (Mode::Lossy, 5), (Mode::Open, 5)] {
            tap.set(mode);
            for _ in 0..requests {
                connection.get("/v1/echo", &world.key, "").await;
                // Other connections open and close while no counts are sent.
                ask(&world, &tls, &world.key, 1).await;
                sent += 2;
            }
            let lost = async {
                while mode == Mode::Lossy && tap.lost() <= round {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            timeout(LIMIT, lost)
                .await
                .expect("a batch whose answer is lost");
        }
        until(&world, sent).await;
    }
    // Copies arrived, and each is equal to the first.
    let batches = tap.batches();
    let mut numbers = BTreeMap::new();
    for batch in &batches {
        let first = numbers.entry(batch.number).or_insert(batch);
        assert_eq!(first.observations, batch.observations);
    }
    assert!(numbers.len() < batches.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_sent_with_its_first_batch_and_again_when_it_is_forgotten() {
    let (world, tap) = tapped().await;
    let (_, leaf) = world.with_active_ca().await;
    let tls = world.tls(&[&leaf]);
    ask(&world, &tls, &world.key, 2).await;
    until(&world, 2).await;
    ask(&world, &tls, &world.key, 3).await;
    until(&world, 5).await;
    let brought = |tap: &Tap| {
        tap.batches()
            .iter()
            .filter(|each| !each.chains.is_empty())
            .count()
    };
    assert_eq!(brought(&tap), 1);
    // As after a restored backup.
    world.store.forget_observations(0).await.unwrap();
    ask(&world, &tls, &world.key, 4).await;
    until(&world, 4).await;
    assert_eq!(brought(&tap), 2);
    let digest = Presented::new(vec![leaf.der().to_vec().into()]).sha256();
    let chains = chains(&world).await;
    assert_eq!(chains.keys().collect::<Vec<_>>(), [&digest]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_shutdown_sends_the_remaining_counts() {
    let mut world = observed(NEVER).await;
    let (_, leaf) = world.with_active_ca().await;
    ask(&world, &world.tls(&[&leaf]), &world.key, 6).await;
    world.stop().await;
    until(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_must_not_observe_sends_nothing() {
    let mut world = World::with(|options| options.observations = false).await;
    let (_, leaf) = world.with_active_ca().await;
    ask(&world, &world.tls(&[&leaf]), &world.key, 6).await;
    world.stop().await;
    assert_eq!(workloads(&world).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anchor_and_the_reported_verdict_are_sent() {
    let (world, tap) = tapped().await;
    let (id, leaf) = world.with_active_ca().await;
    let next = root("Next CA").mint();
    let reported = world.upload(&next, Some("false")).await;
    let certificates = world.api.certificates();
    let ids = std::slice::from_ref(&reported);
    let done = certificates.activate_as(&Scope::Organization, ids, Enforcement::Report);
    world.enforced(done.await.unwrap().revision.unwrap()).await;
    let other = next.leaf("next").mint();
    let seen = async |leaf: &Minted, requests: u64| {
        ask(&world, &world.tls(&[leaf]), &world.key, 1).await;
        until(&world, requests).await;
        tap.batches().last().unwrap().observations[0].clone()
    };
    let first = seen(&leaf, 1).await;
    assert_eq!((first.code, first.anchor), (None, Some(id)));
    assert_eq!(first.anchor_scope, Some(AnchorScope::Project));
    let second = seen(&other, 2).await;
    assert_eq!(second.code, Some(ErrorCode::CertificateVerificationFailed));
    assert_eq!(second.anchor, None);
    let would = second.reported.unwrap();
    assert_eq!(
        would.code,
        Some(ErrorCode::CertificateAttributeVerificationFailed)
    );
    assert!(first.reported.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_of_two_projects_is_counted_apart() {
    let mut world = observed(NEVER).await;
    let (other, key) = make_project(&world.api, "beta").await;
    let (_, leaf) = world.with_active_ca().await;
    let tls = world.tls(&[&leaf]);
    ask(&world, &tls, &world.key, 2).await;
    ask(&world, &tls, &key, 3).await;
    let kind = world
        .store
        .caller(KeyDigest::of(&key))
        .await
        .unwrap()
        .unwrap()
        .kind;
    assert_eq!(kind, KeyKind::Project);
    world.stop().await;
    let by_project: BTreeMap<_, _> = workloads(&world)
        .await
        .into_iter()
        .map(|each| (each.identity.project.unwrap(), each.requests))
        .collect();
    assert_eq!(by_project[&world.project], 2);
    assert_eq!(by_project[&other], 3);
}

/// The refused requests that the control plane lists, by leaf (empty for none) and code.
async fn refusals(world: &World) -> BTreeMap<(String, ErrorCode), u64> {
    let params = ListParams {
        limit: Some(100),
        ..ListParams::default()
    };
    let listed = world.api.refusals().list(&params).await.unwrap().value;
    let one = |each: &Received<Refusal>| {
        let leaf = each.leaf.as_ref().map(|leaf| leaf.subject.clone());
        let code = each.code.known().unwrap();
        ((leaf.unwrap_or_default(), code), each.requests)
    };
    listed.data.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_known_by_its_leaf_without_its_chain() {
    let mut world = World::with(|options| {
        options.observations = true;
        options.observation_interval = NEVER;
        options.limits.organization_refused_chains = 2;
    })
    .await;
    let (_, good) = world.with_active_ca().await;
    ask(&world, &world.tls(&[&good]), &world.key, 2).await;
    ask(&world, &world.tls(&[]), &world.key, 3).await;
    for number in 0..5 {
        let leaf = root("Other CA")
            .mint()
            .leaf(&format!("flood {number}"))
            .mint();
        ask(&world, &world.tls(&[&leaf]), &world.key, 1).await;
    }
    let bare = world.ca.leaf("bare").no_aki().mint();
    ask(&world, &world.tls(&[&bare]), &world.key, 4).await;
    world.stop().await;
    let mut refused = refusals(&world).await;
    let mut taken = |leaf: &str, code| refused.remove(&(leaf.to_owned(), code));
    assert_eq!(taken("", ErrorCode::CertificateRequired), Some(3));
    assert_eq!(taken("CN=bare", ErrorCode::InvalidCertificate), Some(4));
    for number in 0..5 {
        let leaf = format!("CN=flood {number}");
        let failed = ErrorCode::CertificateVerificationFailed;
        assert_eq!(taken(&leaf, failed), Some(1), "{leaf}");
    }
    assert_eq!(refused, BTreeMap::new());
    // Previews have as many of their chains as is allowed.
    let kept = chains(&world).await;
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.values().all(|chain| !chain.certificates.is_empty()));
}
