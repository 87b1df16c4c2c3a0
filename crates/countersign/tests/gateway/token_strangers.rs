//! Who asks for tokens without any right to them: the gateway refuses them by itself, in the same words, and the
//! control plane hears of none.

use std::net::TcpListener;

use countersign_testca::{Minted, root};
use countersign_types::federation_rule::FederationRuleUpdateRequest;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    plane_proxy::{Proxy, plane_of},
    tokens::{Scene, workers},
    world::LIMIT,
};

/// In Unix seconds, long ago.
const PAST: i64 = 1_000_000_000;

/// Chains that no anchor of the project admits: each is possible for whoever has only seen the anchor.
fn strangers(scene: &Scene) -> Vec<(&'static str, Minted)> {
    let forged = root("Client CA").mint();
    let anchor_key = scene.world.ca.key();
    vec![
        ("self-signed", root("worker-7").not_ca().mint()),
        ("of another CA", forged.leaf("worker-7").mint()),
        (
            "that names the anchor as its issuer",
            forged.leaf("worker-7").aki(&anchor_key.identifier()).mint(),
        ),
        (
            "expired",
            scene
                .world
                .ca
                .leaf("worker-7")
                .valid(PAST, PAST + 60)
                .mint(),
        ),
    ]
}

#[tokio::test]
async fn the_control_plane_hears_of_no_stranger() {
    let mut proxy = None;
    let scene = Scene::with(|options| {
        let before = Proxy::before(plane_of(options));
        options.control_plane = format!("http://{}/v1", before.address);
        proxy = Some(before);
    })
    .await;
    assert_eq!(scene.exchange(&[&scene.worker]).await.status, 200);
    // Whoever is asked about from here on waits for an answer in vain.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = proxy.unwrap();
    proxy.turn_to(silent.local_addr().unwrap());
    for (what, leaf) in strangers(&scene) {
        // More at once than the control plane is asked about.
        let chain = [&leaf];
        let all = join_all((0..80).map(|_| scene.exchange(&chain)));
        for answer in timeout(LIMIT, all).await.expect("answers") {
            let told = answer.json();
            assert_eq!(
                (answer.status, &told["error"]),
                (401, &json!("invalid_subject_token")),
                "{what}"
            );
            assert_eq!(told.as_object().unwrap().len(), 2, "{what}: {told}");
        }
    }
    let answer = scene.exchange(&[&scene.worker]).await;
    assert_eq!(answer.status, 503, "it was to be decided elsewhere");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_rule_that_the_gateway_does_not_know_yet_is_waited_for() {
    let scene = Scene::new().await;
    let rules = scene.world.api.federation_rules(&scene.provider);
    let mut rule = scene.rule.clone();
    for _ in 0..5 {
        rules.delete(&rule).await.unwrap();
        let wanted = workers(&scene.world.project, &scene.account);
        let made = rules.create(&wanted).await.unwrap();
        let answer = scene.exchange(&[&scene.worker]).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        rule = made.value.id.clone();
    }
    // One that is put out of use is waited for in vain.
    let disabled = FederationRuleUpdateRequest {
        enabled: Some(false),
        ..Default::default()
    };
    let changed = rules.update(&rule, &disabled).await.unwrap();
    scene.world.enforced(changed.revision.unwrap()).await;
    let answer = scene.exchange(&[&scene.worker]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}

#[tokio::test]
async fn without_an_enforced_anchor_nobody_gets_a_token() {
    let scene = Scene::new().await;
    let scope = scene.world.scope();
    scene.world.deactivate(&scope, &scene.anchor).await;
    for chain in [&scene.worker, &root("worker-7").not_ca().mint()] {
        let answer = scene.exchange(&[chain]).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("invalid_grant"))
        );
    }
}
