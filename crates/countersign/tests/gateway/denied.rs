//! Denials and floors at the gateway: who is refused and cut, and who is not touched.

use std::{sync::atomic::Ordering, time::Duration};

use countersign_testca::{General, Minted};
use countersign_types::{
    certificate::Enforcement,
    denial::{Denial, DenialCreateRequest, DenialMatch, SubjectAltName, SubjectAltNameType},
    id::{CertificateId, DenialId},
};
use countersign_verify::denial::LeafIdentity;
use tokio::time::timeout;

use crate::{
    changes::{open_events, open_socket},
    client::{Connection, plain_get},
    world::{LIMIT, NOW, World},
};

const REFUSED: &str = "certificate_verification_failed";

pub(crate) fn request(matches: DenialMatch) -> DenialCreateRequest {
    DenialCreateRequest {
        name: "stolen laptop".to_owned(),
        reason: None,
        matches,
        project_id: None,
        enforcement: Enforcement::Enforce,
        expires_at: None,
    }
}

pub(crate) fn of_leaf(leaf: &Minted) -> DenialMatch {
    DenialMatch::LeafSha256(identity(leaf).sha256)
}

fn identity(leaf: &Minted) -> LeafIdentity {
    LeafIdentity::read(leaf.der()).unwrap()
}

pub(crate) async fn deny(world: &World, request: &DenialCreateRequest) -> Denial {
    let made = world.api.denials().create(request).await.unwrap();
    world.enforced(made.revision.unwrap()).await;
    (*made.value).clone()
}

async fn undo(world: &World, id: &DenialId) {
    let deleted = world.api.denials().delete(id).await.unwrap();
    world.enforced(deleted.revision.unwrap()).await;
}

/// Two clients of one CA, the first with a name of its own.
async fn two_clients(world: &World) -> (CertificateId, Minted, Minted) {
    let (id, other) = world.with_active_ca().await;
    let denied = world
        .ca
        .leaf("laptop")
        .san(General::dns("Laptop.Example.com"));
    (id, denied.mint(), other)
}

fn every_match(leaf: &Minted) -> [DenialMatch; 4] {
    let of = identity(leaf);
    [
        DenialMatch::LeafSha256(of.sha256),
        DenialMatch::SpkiSha256(of.spki_sha256),
        DenialMatch::IssuerAndSerial(of.issuer_and_serial),
        DenialMatch::SubjectAltName(SubjectAltName {
            kind: SubjectAltNameType::Dns,
            value: "LAPTOP.example.com.".to_owned(),
            oid: None,
        }),
    ]
}

async fn is_open(connection: &mut Connection) -> bool {
    let ended = timeout(Duration::from_millis(100), connection.rest()).await;
    ended.is_err()
}

#[tokio::test]
async fn each_kind_cuts_the_streams_of_its_leaf_and_leaves_the_others_alone() {
    let world = World::new().await;
    let (_, denied, other) = two_clients(&world).await;
    let mut untouched = world.tls(&[&other]).connect(world.address()).await;
    open_events(&world, &mut untouched).await;
    for matches in every_match(&denied) {
        let mut events = world.tls(&[&denied]).connect(world.address()).await;
        open_events(&world, &mut events).await;
        let mut socket = world.tls(&[&denied]).connect(world.address()).await;
        open_socket(&world, &mut socket).await;
        let mut idle = world.tls(&[&denied]).connect(world.address()).await;
        assert_eq!(idle.get("/v1/echo", &world.key, "").await.code(), "");
        let made = deny(&world, &request(matches.clone())).await;
        for connection in [&mut events, &mut socket] {
            let cut = timeout(LIMIT, connection.rest()).await;
            assert!(cut.is_ok(), "the stream to be cut by {matches}");
        }
        assert_eq!(idle.get("/v1/echo", &world.key, "").await.code(), REFUSED);
        assert_eq!(world.code(&[&denied], &world.key).await, REFUSED);
        assert_eq!(world.code(&[&other], &world.key).await, "");
        undo(&world, &made.id).await;
        assert_eq!(world.code(&[&denied], &world.key).await, "", "{matches}");
    }
    assert!(is_open(&mut untouched).await, "the other's stream goes on");
}

#[tokio::test]
async fn a_denial_ends_in_its_second_and_is_back_when_the_clock_is() {
    let world = World::new().await;
    let (_, denied, _) = two_clients(&world).await;
    let mut lasting = request(of_leaf(&denied));
    lasting.expires_at = Some(NOW + 10);
    deny(&world, &lasting).await;
    for (now, code) in [
        (NOW, REFUSED),
        (NOW + 9, REFUSED),
        (NOW + 10, ""),
        (NOW + 9, REFUSED),
        (NOW + 10, ""),
    ] {
        world.clock.store(now, Ordering::SeqCst);
        let got = world.code(&[&denied], &world.key).await;
        // What passed is remembered until its permit ends, whatever the clock does.
        let remembered = now == NOW + 9 && code == REFUSED && got.is_empty();
        assert!(got == code || remembered, "{now}: {got}");
    }
}

#[tokio::test]
async fn what_is_only_reported_lets_pass_and_is_explained() {
    let world = World::new().await;
    let (_, denied, _) = two_clients(&world).await;
    let mut events = world.tls(&[&denied]).connect(world.address()).await;
    open_events(&world, &mut events).await;
    let mut reported = request(of_leaf(&denied));
    reported.enforcement = Enforcement::Report;
    deny(&world, &reported).await;
    let mut connection = world.tls(&[&denied]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.code(), "");
    assert!(is_open(&mut events).await);
    let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let id = answer.header("x-request-id").unwrap().to_owned();
    let why = plain_get(operator, &format!("/refusals/{id}")).await;
    assert!(why.contains("denied by `stolen laptop`"), "{why}");
}

#[tokio::test]
async fn a_refusal_names_the_denial_or_the_floor_and_tells_the_client_neither() {
    let world = World::new().await;
    let (anchor, denied, other) = two_clients(&world).await;
    let made = deny(&world, &request(of_leaf(&denied))).await;
    let floor = identity(&other).not_before + 1;
    let certificates = world.api.certificates();
    let set = certificates.set_floor(&anchor, Some(floor), Enforcement::Enforce);
    world.enforced(set.await.unwrap().revision.unwrap()).await;
    let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let key = made.created_by.as_str();
    for (leaf, says) in [
        (&denied, "denied by `stolen laptop`"),
        (&other, "before the floor of"),
    ] {
        let mut connection = world.tls(&[leaf]).connect(world.address()).await;
        let answer = connection.get("/v1/echo", &world.key, "").await;
        assert_eq!(answer.code(), REFUSED);
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            !told.contains("stolen") && !told.contains("floor"),
            "{told}"
        );
        let id = answer.header("x-request-id").unwrap().to_owned();
        let why = plain_get(operator, &format!("/refusals/{id}")).await;
        assert!(why.contains(says) && why.contains(key), "{why}");
    }
    let lifted = certificates.set_floor(&anchor, None, Enforcement::Enforce);
    world
        .enforced(lifted.await.unwrap().revision.unwrap())
        .await;
    assert_eq!(world.code(&[&other], &world.key).await, "");
}

#[tokio::test]
async fn what_passed_while_a_denial_was_made_is_cut_all_the_same() {
    let world = World::new().await;
    let (_, denied, _) = two_clients(&world).await;
    for _ in 0..10 {
        let opening = async {
            let mut open = Vec::new();
            for _ in 0..4 {
                let mut events = world.tls(&[&denied]).connect(world.address()).await;
                let line = format!(
                    "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
                    world.key
                );
                events.write(&line).await;
                open.push(events);
            }
            open
        };
        let asked = request(of_leaf(&denied));
        let (open, made) = tokio::join!(opening, deny(&world, &asked));
        for mut events in open {
            // Refused, or cut in the midst of the head, or later.
            let head = timeout(LIMIT, events.head()).await.expect("an answer");
            if head.is_some_and(|head| head.status == 200) {
                let end = timeout(LIMIT, events.rest()).await;
                assert!(end.is_ok(), "what was let in is cut");
            }
        }
        undo(&world, &made.id).await;
    }
}
