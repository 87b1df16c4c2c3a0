//! Every error code of the gateway, and the cases next to them.

use std::sync::atomic::Ordering;

use countersign_testca::{Key, oid, root};
use countersign_types::certificate::Scope;

use rustls::version::{TLS12, TLS13};

use crate::{
    client::{Tls, plain_get},
    world::{NOW, World, make_project},
};

#[tokio::test]
async fn the_main_job() {
    let world = World::new().await;
    assert_eq!(
        world.code(&[], &world.key).await,
        "",
        "open before anything is active"
    );
    let (id, leaf) = world.with_active_ca().await;
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    let other = root("Client CA").mint();
    let untrusted = other.leaf("billing").mint();
    assert_eq!(
        world.code(&[&untrusted], &world.key).await,
        "certificate_verification_failed"
    );
    world.deactivate(&world.scope(), &id).await;
    assert_eq!(world.code(&[], &world.key).await, "");
}

#[tokio::test]
async fn a_key_that_gives_no_access() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    for key in ["", "sk-svcacct-unknown", "nonsense nonsense"] {
        assert_eq!(world.code(&[&leaf], key).await, "invalid_api_key", "{key}");
    }
    // An admin key is for the management paths and nothing else.
    assert_eq!(
        world.code(&[&leaf], &world.admin_key).await,
        "invalid_api_key"
    );
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    connection
        .write("GET /v1/echo HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let answer = connection.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "invalid_api_key")
    );
}

#[tokio::test]
async fn leaves_with_one_defect() {
    let world = World::new().await;
    world.with_active_ca().await;
    let cases = [
        (world.ca.leaf("a").no_aki().mint(), "invalid_certificate"),
        (
            world.ca.leaf("a").valid(1, 2).mint(),
            "certificate_verification_failed",
        ),
        (
            world.ca.leaf("a").eku(&[oid::SERVER_AUTH]).mint(),
            "certificate_verification_failed",
        ),
        (
            world.ca.leaf("a").break_signature().mint(),
            "certificate_verification_failed",
        ),
    ];
    for (index, (leaf, code)) in cases.iter().enumerate() {
        assert_eq!(world.code(&[leaf], &world.key).await, *code, "case {index}");
    }
}

#[tokio::test]
async fn a_leaf_that_tls_cannot_read_is_refused_over_http() {
    let world = World::new().await;
    let (_, good) = world.with_active_ca().await;
    let unknown = world
        .ca
        .leaf("a")
        .extension(&[1, 2, 3], true, &[5, 0])
        .mint();
    // Keys that TLS cannot check: whoever presents them proves nothing, and is refused by the key.
    let [weak, large] =
        [(1024, &[1, 0, 1][..]), (4096, &[1, 0, 0, 0, 1])].map(|(bits, exponent)| {
            let key = Key::forged_rsa(bits, exponent);
            world.ca.leaf("a").with_key(&key).mint()
        });
    let cases = [
        (&b"no certificate"[..], "invalid_certificate"),
        (&good.der()[..good.der().len() / 2], "invalid_certificate"),
        (unknown.der(), "certificate_verification_failed"),
        (weak.der(), "certificate_verification_failed"),
        (large.der(), "certificate_verification_failed"),
    ];
    for version in [&TLS12, &TLS13] {
        for (leaf, code) in cases {
            let key = if leaf == unknown.der() {
                unknown.key()
            } else {
                good.key()
            };
            let client = Tls::unchecked(version, &world.server_ca, leaf, key);
            let mut connection = client.connect(world.address()).await;
            let answer = connection.get("/v1/echo", &world.key, "").await;
            assert_eq!(answer.code(), code, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_leaf_without_its_key_fails_the_handshake() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let untrusted = world.ca.leaf("a").mint();
    for version in [&TLS12, &TLS13] {
        let client = Tls::unchecked(version, &world.server_ca, leaf.der(), untrusted.key());
        assert!(
            !client.answers(world.address(), &world.key).await,
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn an_intermediate_is_followed_and_an_expired_one_is_not() {
    let world = World::new().await;
    world.with_active_ca().await;
    let good = world.ca.intermediate("Issuing").mint();
    let leaf = good.leaf("a").mint();
    assert_eq!(world.code(&[&leaf, &good], &world.key).await, "");
    assert_eq!(
        world.code(&[&leaf], &world.key).await,
        "certificate_verification_failed"
    );
    let old = world.ca.intermediate("Old").valid(1, 2).mint();
    let leaf = old.leaf("a").mint();
    assert_eq!(
        world.code(&[&leaf, &old], &world.key).await,
        "certificate_verification_failed"
    );
}

#[tokio::test]
async fn a_policy_decides_last() {
    let world = World::new().await;
    let policy = "subject.organizational_unit == \"Production\"";
    let id = world.upload(&world.ca, Some(policy)).await;
    world.activate(&world.scope(), &id).await;
    let right = world
        .ca
        .leaf("a")
        .attribute(oid::ORGANIZATIONAL_UNIT, "Production")
        .mint();
    let wrong = world
        .ca
        .leaf("a")
        .attribute(oid::ORGANIZATIONAL_UNIT, "Test")
        .mint();
    assert_eq!(world.code(&[&right], &world.key).await, "");
    let mut connection = world.tls(&[&wrong]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.code(), "certificate_attribute_verification_failed");
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_a_503_with_retry_after() {
    let world = World::new().await;
    let id = world
        .upload(&world.ca, Some("subject_alt_names[0].value == \"x\""))
        .await;
    world.activate(&world.scope(), &id).await;
    let leaf = world.ca.leaf("no names").mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.code(), "authentication_temporarily_unavailable");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
}

#[tokio::test]
async fn projects_have_their_own_anchors_and_organization_anchors_serve_all() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let (_, other_key) = make_project(&world.api, "beta").await;
    world.enforced(world.store.revision().await.unwrap()).await;
    assert_eq!(
        world.code(&[], &other_key).await,
        "",
        "no anchor is active for another project"
    );
    let organization_ca = root("Organization CA").mint();
    let id = world.upload(&organization_ca, None).await;
    world.activate(&Scope::Organization, &id).await;
    let organization_leaf = organization_ca.leaf("a").mint();
    assert_eq!(world.code(&[], &other_key).await, "certificate_required");
    assert_eq!(world.code(&[&organization_leaf], &other_key).await, "");
    assert_eq!(world.code(&[&organization_leaf], &world.key).await, "");
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    assert_eq!(
        world.code(&[&leaf], &other_key).await,
        "certificate_verification_failed"
    );
}

#[tokio::test]
async fn the_response_names_the_request_and_no_anchor() {
    let world = World::new().await;
    let (id, _) = world.with_active_ca().await;
    let untrusted = root("Other").mint().leaf("a").mint();
    let mut connection = world.tls(&[&untrusted]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    let request_id = answer.header("x-request-id").unwrap().to_owned();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        text.contains(&request_id) && !text.contains(id.as_str()),
        "{text}"
    );

    let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let explanation = plain_get(operator, &format!("/refusals/{request_id}")).await;
    let explanation: serde_json::Value = serde_json::from_str(&explanation).unwrap();
    assert_eq!(explanation["code"], "certificate_verification_failed");
    assert!(
        explanation["trace"].to_string().contains(id.as_str()),
        "{explanation}"
    );
    assert!(!explanation.to_string().contains(&world.key));
}

#[tokio::test]
async fn tls_1_2_and_1_3_new_and_resumed_sessions_get_the_same_verdict() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let clients = [
        crate::client::Tls::new(&world.server_ca, &[&leaf]),
        crate::client::Tls::tls12(&world.server_ca, &[&leaf]),
    ];
    for client in &clients {
        for _ in 0..2 {
            let mut connection = client.connect(world.address()).await;
            assert_eq!(connection.get("/v1/echo", &world.key, "").await.code(), "");
        }
    }
    let other = root("Other").mint();
    let other_id = world.upload(&other, None).await;
    world.activate(&world.scope(), &other_id).await;
    world.deactivate(&world.scope(), &id).await;
    for client in &clients {
        let mut connection = client.connect(world.address()).await;
        let code = connection.get("/v1/echo", &world.key, "").await.code();
        assert!(
            connection.resumed(),
            "this must be a resumed session to prove anything"
        );
        assert_eq!(code, "certificate_verification_failed");
    }
}

#[tokio::test]
async fn an_expired_leaf_is_refused_on_the_connection_that_it_opened() {
    let world = World::new().await;
    world.with_active_ca().await;
    let leaf = world
        .ca
        .leaf("short")
        .valid(0, i64::try_from(NOW + 100).unwrap())
        .mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    assert_eq!(connection.get("/v1/echo", &world.key, "").await.code(), "");
    world.clock.store(NOW + 101, Ordering::Relaxed);
    let code = connection.get("/v1/echo", &world.key, "").await.code();
    assert_eq!(code, "certificate_verification_failed");
}
