//! Receipts, from the request to their verification by an export of the audit log.

use std::{os::unix::fs::PermissionsExt as _, sync::atomic::Ordering};

use countersign_client::{AuditLogParams, ListParams};
use countersign_gateway::options::{GatewayOptions, ReceiptPlace};
use countersign_testca::{Minted, root};
use countersign_types::audit::AuditDocument;
use countersign_verify::receipt::{AuditExport, FindingResult, ReceiptReport, verify};
use futures_util::TryStreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    client::HttpResponse,
    reload::Operated,
    world::{LIMIT, World},
};

const HEADER: &str = "x-countersign-receipt";
/// What a client claims, in two spellings.
const FORGED: &str = "X-Countersign-Receipt: forged\r\nX_Countersign_Receipt: forged\r\n";

fn both(options: &mut GatewayOptions) {
    options.routes[0].receipt = vec![ReceiptPlace::Header, ReceiptPlace::Log];
}

async fn export(world: &World) -> Vec<AuditDocument> {
    let log = world.api.audit_logs();
    let events = log.stream_documents(&AuditLogParams::default());
    events.try_collect().await.unwrap()
}

async fn verified(world: &World, receipt: &str) -> ReceiptReport {
    let events = export(world).await;
    let export = AuditExport::read(events.iter().map(|event| &event.0), Vec::new());
    verify(&export, receipt, 10)
}

async fn get(world: &World, chain: &[&Minted], key: &str) -> HttpResponse {
    let mut connection = world.tls(chain).connect(world.address()).await;
    connection.get("/v1/echo", key, FORGED).await
}

/// The receipts that an upstream got with a request that passed.
fn shown(answer: &HttpResponse) -> Vec<String> {
    let headers = answer.json()["headers"].clone();
    let received = headers[HEADER].as_array().cloned().unwrap_or_default();
    let received = received.iter();
    received
        .map(|each| each.as_str().unwrap().to_owned())
        .collect()
}

/// Calls until the organization believes this gateway's key.
async fn first(world: &World, chain: &[&Minted]) -> String {
    let given = async {
        loop {
            let answer = get(world, chain, &world.key).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header(HEADER), None, "clients get none");
            let shown = shown(&answer);
            assert!(!shown.contains(&"forged".to_owned()), "{shown:?}");
            if let [receipt] = shown.as_slice() {
                return receipt.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, given).await.expect("a receipt")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_goes_to_the_upstream_and_the_log_and_fits_the_audit_log() {
    let mut world = World::with(both).await;
    let (anchor, leaf) = world.with_active_ca().await;
    let receipt = first(&world, &[&leaf]).await;
    assert!(receipt.len() < 1_400, "{}", receipt.len());
    let report = verified(&world, &receipt).await;
    assert!(report.verified, "{report:#?}");
    let claims = report.receipt.unwrap();
    assert_eq!(claims.code, "permit");
    assert_eq!(claims.anchor.as_ref(), Some(&anchor));
    assert_eq!(claims.organization, world.organization);
    assert_eq!(claims.project, world.project);

    // Refused: in the log alone.
    let other = root("Client CA").mint().leaf("a").mint();
    for (chain, code) in [
        (&[][..], "certificate_required"),
        (&[&other], "certificate_verification_failed"),
    ] {
        let refused = get(&world, chain, &world.key).await;
        assert_eq!(
            (refused.code(), refused.header(HEADER)),
            (code.to_owned(), None)
        );
    }
    // Nobody's key is of no organization.
    let nobody = get(&world, &[&leaf], "sk-nobody").await;
    assert_eq!(nobody.code(), "invalid_api_key");
    let path = world.options.access_log.clone().unwrap();
    world.stop().await;
    let log = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines[lines.len() - 4..] {
        let code = line["code"].as_str().unwrap_or("permit");
        let logged = line["receipt"].as_str();
        assert_eq!(logged.is_none(), code == "invalid_api_key", "{line}");
        let Some(logged) = logged else { continue };
        let report = verified(&world, logged).await;
        assert!(report.verified, "{report:#?}");
        let claims = report.receipt.unwrap();
        assert_eq!(claims.code, code);
        assert_eq!(
            claims.request_id.as_str(),
            line["request_id"].as_str().unwrap()
        );
        assert_eq!(
            claims.revision,
            line["revision"].as_u64().unwrap_or(claims.revision)
        );
    }
    assert!(!log.contains("PRIVATE") && !log.contains(&world.key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_later_changes_nothing_and_what_happened_before_is_named() {
    let world = World::with(both).await;
    let (anchor, leaf) = world.with_active_ca().await;
    let receipt = first(&world, &[&leaf]).await;
    let report = verified(&world, &receipt).await;
    assert!(report.verified, "{report:#?}");
    // The gateway's clock is years ahead: it did not hear of this for years.
    world.deactivate(&world.scope(), &anchor).await;
    let report = verified(&world, &receipt).await;
    let failed: Vec<_> = report
        .findings
        .iter()
        .filter(|each| each.result == FindingResult::Fails)
        .collect();
    let [failed] = failed.as_slice() else {
        panic!("{failed:?}")
    };
    assert!(failed.detail.contains("was deactivated"), "{failed:?}");
    // No anchor is asked for now.
    let open = first(&world, &[]).await;
    let report = verified(&world, &open).await;
    assert!(report.verified, "{report:#?}");
    assert_eq!(report.receipt.unwrap().anchor, None);
    // The receipt of before, beside a log in which the deactivation came first.
    let mut events = export(&world).await;
    let position = events
        .iter()
        .position(|event| event.0["type"] == "certificates.activated");
    events.remove(position.unwrap());
    let export = AuditExport::read(events.iter().map(|event| &event.0), Vec::new());
    let report = verify(&export, &receipt, 10);
    assert!(!report.verified, "{report:#?}");
    // Of another organization.
    let other = world.store.create_organization("other").await.unwrap();
    let page = countersign_server::store::AuditPage::default();
    let filter = countersign_server::store::AuditFilter::default();
    let events = world
        .store
        .list_audit_logs(&other.organization.id, &filter, &page);
    let events: Vec<Value> = events
        .await
        .unwrap()
        .data
        .iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    let export = AuditExport::read(events.iter().filter_map(Value::as_object), Vec::new());
    let report = verify(&export, &receipt, 10);
    assert!(
        report
            .findings
            .iter()
            .any(|each| each.result != FindingResult::Holds)
    );
    assert!(!report.verified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_gateway_key_none_is_given_that_a_log_would_prove() {
    let world = World::with(both).await;
    let (_, leaf) = world.with_active_ca().await;
    let receipt = first(&world, &[&leaf]).await;
    assert!(verified(&world, &receipt).await.verified);
    let keys = world.store.list_gateway_keys().await.unwrap();
    world.store.delete_gateway_key(&keys[0].id).await.unwrap();
    // The gateway hears of nothing any more, and goes on with what it had.
    world.clock.fetch_add(60, Ordering::Relaxed);
    let late = get(&world, &[&leaf], &world.key).await;
    // Or it heard of that, and gives none.
    let Some(late) = shown(&late).pop() else {
        return;
    };
    let report = verified(&world, &late).await;
    assert!(!report.verified, "{report:#?}");
    let withdrawn = report
        .findings
        .iter()
        .any(|each| each.detail.contains("was withdrawn"));
    assert!(withdrawn, "{report:#?}");
}

#[tokio::test]
async fn nothing_is_signed_or_made_where_nothing_asks_for_it() {
    let mut world = World::new().await;
    let key = world.options.data_dir.join("receipt-key");
    let answer = get(&world, &[], &world.key).await;
    assert_eq!((answer.status, shown(&answer)), (200, Vec::new()));
    assert!(!key.exists());
    // For the log alone.
    world.stop().await;
    world.options.routes[0].receipt = vec![ReceiptPlace::Log];
    world.start().await;
    let answer = get(&world, &[], &world.key).await;
    assert_eq!(shown(&answer), Vec::<String>::new());
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.stop().await;
    std::fs::write(&key, "not a key").unwrap();
    let error = world
        .try_gateway_with(world.options.clone(), 7)
        .unwrap_err();
    assert!(error.to_string().contains("does not hold a key"), "{error}");
    world.options.access_log = None;
    let error = world
        .try_gateway_with(world.options.clone(), 7)
        .unwrap_err();
    assert!(
        error.to_string().contains("there is no `access_log`"),
        "{error}"
    );
}

/// What the upstream got with a request through this gateway.
async fn shown_by(operated: &Operated) -> Vec<String> {
    let mut connection = operated.client.connect(operated.address).await;
    shown(&connection.get("/v1/echo", &operated.key, FORGED).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_receipt_needs_no_restart_and_a_withdrawn_key_gives_none() {
    let operated = Operated::with("").await;
    let key = operated.path("gateway-0").join("receipt-key");
    let data_dir = key.parent().unwrap();
    assert!(data_dir.is_dir() && !key.exists());
    // A key that others can read refuses the reload, and says why.
    std::fs::write(&key, "not a key").unwrap();
    operated.configure(|text| text.replace("[[routes]]\n", "[[routes]]\nreceipt = \"header\"\n"));
    operated.gateway.signal("HUP");
    operated
        .until_warned("can be read or written by others", true)
        .await;
    assert!(operated.passes().await);
    std::fs::remove_file(&key).unwrap();
    operated.gateway.signal("HUP");
    operated.until_logged("configuration reloaded").await;
    let given = async { while shown_by(&operated).await.len() != 1 {} };
    timeout(LIMIT, given).await.expect("a receipt");
    assert!(key.exists());

    let keys = operated.api.receipt_keys();
    let listed = keys.list(&ListParams::default()).await.unwrap().value.data;
    let [registered] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    keys.withdraw(&registered.id).await.unwrap();
    let none = async { while !shown_by(&operated).await.is_empty() {} };
    timeout(LIMIT, none).await.expect("no receipt");
    // The gateway learns that it cannot register it again, and tells its operator.
    operated.until_warned("was withdrawn by org-", true).await;
    let listed = keys.list(&ListParams::default()).await.unwrap().value.data;
    assert!(listed.len() == 1 && listed[0].withdrawn_at.is_some());
    assert_eq!(shown_by(&operated).await, Vec::<String>::new());
    assert!(operated.passes().await, "requests pass without");
}
