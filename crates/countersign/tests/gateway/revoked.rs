//! Revocation lists at the gateway: who is refused and cut, who is not touched, and what a missing one means.

use std::sync::atomic::Ordering;

use countersign_testca::Minted;
use countersign_types::{
    crl::{Crl, CrlAddRequest, CrlMissing},
    id::{CertificateId, CrlId},
};
use tokio::time::timeout;

use crate::{
    changes::{open_events, open_socket},
    client::plain_get,
    denied::{of_leaf, request},
    observations::tapped,
    tap::Mode,
    world::{LIMIT, NOW, World},
};

const REFUSED: &str = "certificate_verification_failed";
/// When the lists here are made, before any clock of these tests.
const MADE: i64 = 1_700_000_000;
/// The end of those that are current at the gateway.
const LATER: i64 = NOW.cast_signed() + 3600;
/// 2028-01-01, after which lists are current at the control plane and out of date at the gateway.
const BEFORE_NOW: i64 = 1_830_297_600;

/// A list of the world's CA that names these certificates.
fn list(world: &World, number: u8, named: &[&Minted], end: i64) -> CrlAddRequest {
    let empty = world.ca.crl().number(Some(&[number]));
    let named = named.iter().fold(empty, |list, leaf| list.revoke(leaf));
    CrlAddRequest {
        crl: Some(named.current(MADE, Some(end)).pem()),
        url: None,
        interval: None,
        issuer_certificates: None,
    }
}

async fn add(world: &World, anchor: &CertificateId, list: &CrlAddRequest) -> Crl {
    let added = world.api.crls(anchor).add(list).await.unwrap();
    world.enforced(added.revision.unwrap()).await;
    (*added.value).clone()
}

async fn remove(world: &World, anchor: &CertificateId, id: &CrlId) {
    let removed = world.api.crls(anchor).delete(id).await.unwrap();
    world.enforced(removed.revision.unwrap()).await;
}

async fn deny_missing(world: &World, anchor: &CertificateId, missing: Option<CrlMissing>) {
    let set = world.api.crls(anchor).set_missing(missing).await.unwrap();
    world.enforced(set.revision.unwrap()).await;
}

async fn two_clients(world: &World) -> (CertificateId, Minted, Minted) {
    let (id, other) = world.with_active_ca().await;
    (id, world.ca.leaf("laptop").mint(), other)
}

#[tokio::test]
async fn a_list_cuts_the_streams_of_whom_it_names_and_leaves_the_others_alone() {
    let world = World::new().await;
    let (anchor, revoked, other) = two_clients(&world).await;
    let mut untouched = world.tls(&[&other]).connect(world.address()).await;
    open_socket(&world, &mut untouched).await;
    let first = add(&world, &anchor, &list(&world, 1, &[], LATER)).await;
    assert_eq!(world.code(&[&revoked], &world.key).await, "");
    let mut events = world.tls(&[&revoked]).connect(world.address()).await;
    open_events(&world, &mut events).await;
    let mut idle = world.tls(&[&revoked]).connect(world.address()).await;
    assert_eq!(idle.get("/v1/echo", &world.key, "").await.code(), "");

    let next = add(&world, &anchor, &list(&world, 2, &[&revoked], LATER)).await;
    assert_eq!((&next.id, next.entries), (&first.id, 1));
    let cut = timeout(LIMIT, events.rest()).await;
    assert!(cut.is_ok(), "the stream to be cut");
    let answer = idle.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.code(), REFUSED);
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!told.contains("revoked at"), "{told}");
    let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let id = answer.header("x-request-id").unwrap().to_owned();
    let why = plain_get(operator, &format!("/refusals/{id}")).await;
    assert!(
        why.contains("revoked at ") && why.contains(anchor.as_str()),
        "{why}"
    );
    assert_eq!(world.code(&[&revoked], &world.key).await, REFUSED);
    assert_eq!(world.code(&[&other], &world.key).await, "");

    remove(&world, &anchor, &next.id).await;
    assert_eq!(world.code(&[&revoked], &world.key).await, "");
    let open = timeout(std::time::Duration::from_millis(100), untouched.rest()).await;
    assert!(open.is_err(), "the other's socket goes on");
}

#[tokio::test]
async fn a_list_that_is_out_of_date_refuses_whom_it_names_and_with_deny_everyone() {
    let world = World::new().await;
    let (anchor, revoked, other) = two_clients(&world).await;
    add(&world, &anchor, &list(&world, 1, &[&revoked], BEFORE_NOW)).await;
    assert_eq!(world.code(&[&revoked], &world.key).await, REFUSED);
    assert_eq!(world.code(&[&other], &world.key).await, "");
    deny_missing(&world, &anchor, Some(CrlMissing::Deny)).await;
    assert_eq!(world.code(&[&other], &world.key).await, REFUSED);
    add(&world, &anchor, &list(&world, 2, &[&revoked], LATER)).await;
    assert_eq!(world.code(&[&other], &world.key).await, "");
    // Until its last second, and no longer, without a word from anyone.
    world.clock.store(NOW + 3600, Ordering::SeqCst);
    assert_eq!(world.code(&[&other], &world.key).await, "");
    world.clock.store(NOW + 3601, Ordering::SeqCst);
    assert_eq!(world.code(&[&other], &world.key).await, REFUSED);
    world.clock.store(NOW, Ordering::SeqCst);
    deny_missing(&world, &anchor, None).await;
    assert_eq!(world.code(&[&other], &world.key).await, "");
}

#[tokio::test]
async fn a_gateway_that_starts_without_its_control_plane_knows_the_lists() {
    let mut world = World::new().await;
    let (anchor, revoked, other) = two_clients(&world).await;
    add(&world, &anchor, &list(&world, 1, &[&revoked], LATER)).await;
    world.stop().await;
    let mut alone = world.options.clone();
    alone.control_plane = "http://127.0.0.1:1/v1".to_owned();
    world.gateway = Some(world.gateway_with(alone, 7));
    assert_eq!(world.code(&[&revoked], &world.key).await, REFUSED);
    assert_eq!(world.code(&[&other], &world.key).await, "");
}

#[tokio::test]
async fn a_list_that_cannot_be_fetched_holds_back_itself_and_no_other_change() {
    let (world, tap) = tapped().await;
    let (anchor, revoked, other) = two_clients(&world).await;
    let next = world.ca.leaf("next").mint();
    add(&world, &anchor, &list(&world, 1, &[&revoked], LATER)).await;
    assert_eq!(world.code(&[&revoked], &world.key).await, REFUSED);
    tap.set(Mode::WithoutSets);
    let both = list(&world, 2, &[&revoked, &next], LATER);
    let added = world.api.crls(&anchor).add(&both).await.unwrap();
    let revision = added.revision.unwrap();
    let denials = world.api.denials();
    let denied = denials.create(&request(of_leaf(&other))).await.unwrap();
    let refused = async {
        while world.code(&[&other], &world.key).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let refused = timeout(LIMIT, refused).await;
    assert!(refused.is_ok(), "the denial to be enforced");
    // The earlier list stays in force, and nobody is told that the new one is.
    assert_eq!(world.code(&[&revoked], &world.key).await, REFUSED);
    assert_eq!(world.code(&[&next], &world.key).await, "");
    let listed = world.api.countersign().gateways().await.unwrap();
    assert!(listed.value.gateways[0].is_pending(revision));
    tap.set(Mode::Open);
    world.enforced(denied.revision.unwrap()).await;
    assert_eq!(world.code(&[&next], &world.key).await, REFUSED);
    assert_eq!(world.code(&[&other], &world.key).await, REFUSED);
}
