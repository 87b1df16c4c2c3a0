//! What holds at the gateway's own listener besides the verdict holds at every door.

use countersign_gateway::options::{CertificateForm, DecisionProtocol, Decisions, ReceiptPlace};
use countersign_testca::root;
use countersign_types::{certificate::Enforcement, error::ErrorCode};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    asking::{self, Asking, Envoy},
    by_secret,
};
use crate::{
    client::plain_get,
    observations::until,
    world::{LIMIT, World},
};

#[tokio::test]
async fn what_is_only_reported_refuses_nobody_and_is_logged() {
    let form = CertificateForm::XfccText;
    let mut world = World::with(|options| {
        options.decisions = vec![
            by_secret(options, DecisionProtocol::EnvoyHttp, form),
            by_secret(options, DecisionProtocol::EnvoyGrpc, form),
        ];
    })
    .await;
    let id = world.upload(&world.ca, None).await;
    let ids = std::slice::from_ref(&id);
    let (certificates, scope) = (world.api.certificates(), world.scope());
    let done = certificates
        .activate_as(&scope, ids, Enforcement::Report)
        .await;
    world.enforced(done.unwrap().revision.unwrap()).await;
    let leaf = world.ca.leaf("a").mint();
    let other = root("Client CA").mint().leaf("a").mint();
    let (mut http, mut grpc) = (
        Asking::connect(world.door(0)).await,
        Envoy::connect(world.door(1)).await,
    );
    let mut last = String::new();
    for chain in [&[][..], &[&leaf], &[&other]] {
        let headers = asking::certificate(form, chain);
        let passed = http.ask(&world.key, headers.clone()).await;
        assert_eq!(passed.status, 200);
        // Nothing is verified, so that nothing is told.
        assert_eq!(passed.header("x-countersign-certificate"), None);
        last = passed.header("x-request-id").unwrap().to_owned();
        assert_eq!(grpc.code(&world.key, headers, "").await, "");
    }
    let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let why = plain_get(operator, &format!("/refusals/{last}")).await;
    let why: Value = serde_json::from_str(&why).unwrap();
    assert_eq!(why["code"], "certificate_verification_failed");
    assert_eq!(why["report_only"], true);
    let log = world.log().await;
    let lines: Vec<_> = log
        .iter()
        .map(|line| {
            (
                line["door"].as_str().unwrap(),
                line["report_code"].as_str().unwrap(),
            )
        })
        .collect();
    let codes = [
        "certificate_required",
        "permit",
        "certificate_verification_failed",
    ];
    let expected: Vec<_> = codes
        .into_iter()
        .flat_map(|code| [("envoy_http", code), ("envoy_grpc", code)])
        .collect();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn who_asks_is_observed_at_every_door() {
    let form = CertificateForm::Traefik;
    let world = World::with(|options| {
        options.observations = true;
        options.observation_interval = std::time::Duration::from_millis(20);
        options.decisions = vec![by_secret(options, DecisionProtocol::ForwardAuth, form)];
    })
    .await;
    let (_, leaf) = world.with_active_ca().await;
    let mut asking = Asking::connect(world.door(0)).await;
    for _ in 0..3 {
        let passed = asking
            .ask(&world.key, asking::certificate(form, &[&leaf]))
            .await;
        assert_eq!(passed.status, 200);
    }
    assert_eq!(asking.ask(&world.key, Vec::new()).await.status, 401);
    until(&world, 4).await;
    let listed = world.store.workloads(&world.organization, 0).next().await;
    let workloads = listed.unwrap().unwrap().workloads;
    let mut seen: Vec<_> = workloads
        .iter()
        .map(|each| (each.code.map(ErrorCode::as_str), each.requests))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [(None, 3), (Some("certificate_required"), 1)]);
}

#[tokio::test]
async fn a_receipt_comes_with_the_answer_where_the_door_asks_for_it() {
    let form = CertificateForm::XfccText;
    let mut world = World::with(|options| {
        let door = by_secret(options, DecisionProtocol::EnvoyHttp, form);
        options.decisions = vec![Decisions {
            receipt: vec![ReceiptPlace::Header, ReceiptPlace::Log],
            ..door
        }];
    })
    .await;
    let (_, leaf) = world.with_active_ca().await;
    let mut proxy = Asking::connect(world.door(0)).await;
    let given = async {
        loop {
            let headers = asking::certificate(form, &[&leaf]);
            let passed = proxy.ask(&world.key, headers).await;
            assert_eq!(passed.status, 200);
            if let Some(receipt) = passed.header("x-countersign-receipt") {
                return receipt.to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    let receipt = timeout(LIMIT, given).await.expect("a receipt");
    let refused = proxy.ask(&world.key, Vec::new()).await;
    assert_eq!(refused.code(), "certificate_required");
    assert_eq!(refused.header("x-countersign-receipt"), None);
    let log = world.log().await;
    let [.., passed, refused] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert_eq!(passed["receipt"], receipt.as_str());
    assert!(refused["receipt"].is_string(), "{refused}");
}
