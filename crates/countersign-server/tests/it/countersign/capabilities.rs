//! What gateways understand of bundles, and who does not enforce what.

use countersign_testca::{Minted, root};
use serde_json::{Value, json};

use crate::harness::{Server, on_each_store};

const ALL: &str = "&understands[]=denials&understands[]=floors&understands[]=revocation_lists";

/// A gateway asks for bundles, and says what it understands.
async fn asks(server: &Server, key: &str, gateway: &str, understands: &str) {
    let path = format!(
        "/v1/countersign/bundle?gateway={gateway}&name={gateway}&durable=true&wait=0{understands}"
    );
    server.get(&path).key(key).ok().await;
}

/// What each listed gateway lacks, as the caller with this key sees it.
async fn lacks(server: &Server, key: Option<&str>) -> Value {
    let list = server.get("/v1/countersign/gateways");
    let list = match key {
        Some(key) => list.key(key),
        None => list,
    };
    let listed = list.ok().await;
    let gateways = listed["gateways"].as_array().unwrap().iter();
    let of_each = gateways.map(|each| {
        let lacks = each.get("lacks").cloned().unwrap_or(json!([]));
        (each["id"].as_str().unwrap().to_owned(), lacks)
    });
    Value::Object(of_each.collect())
}

/// An active anchor.
async fn anchor(server: &Server) -> (Minted, String) {
    let ca = root("Client CA").mint();
    let body = json!({ "certificate": ca.pem() });
    let made = server
        .post("/v1/organization/certificates", body)
        .ok()
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    server.toggle("activate", None, &[&id]).await;
    (ca, id)
}

fn denial() -> Value {
    json!({ "name": "stolen", "match": { "leaf_sha256": "0".repeat(64) } })
}

#[tokio::test]
async fn a_gateway_lacks_what_its_organizations_have_and_it_does_not_understand() {
    on_each_store(async |server| {
        let key = server.gateway_key().await;
        asks(server, &key, "gw_a", ALL).await;
        asks(server, &key, "gw_b", "").await;
        asks(
            server,
            &key,
            "gw_c",
            "&understands[]=floors&understands[]=mind_reading",
        )
        .await;
        let (ca, anchor) = anchor(server).await;
        let none = json!({ "gw_a": [], "gw_b": [], "gw_c": [] });
        assert_eq!(lacks(server, None).await, none);

        let made = server.post("/v1/organization/denials", denial()).ok().await;
        let said = json!({ "gw_a": [], "gw_b": ["denials"], "gw_c": ["denials"] });
        assert_eq!(lacks(server, None).await, said);
        assert_eq!(lacks(server, Some(&key)).await, said);
        let certificate = format!("/v1/organization/certificates/{anchor}");
        let floor = json!({ "refuse_issued_before": 1, "enforcement": "report" });
        server
            .post(&format!("{certificate}/floor"), floor)
            .ok()
            .await;
        let list = ca
            .crl()
            .number(Some(&[1]))
            .current(1_700_000_000, Some(4_000_000_000));
        let list = json!({ "crl": list.pem() });
        server.post(&format!("{certificate}/crls"), list).ok().await;
        let said = json!({
            "gw_a": [], "gw_b": ["denials", "floors", "revocation_lists"],
            "gw_c": ["denials", "revocation_lists"],
        });
        assert_eq!(lacks(server, None).await, said);

        // One that was upgraded says so with its next request.
        asks(server, &key, "gw_b", ALL).await;
        let denial = format!("/v1/organization/denials/{}", made["id"].as_str().unwrap());
        server.delete(&denial).ok().await;
        let said = json!({ "gw_a": [], "gw_b": [], "gw_c": ["revocation_lists"] });
        assert_eq!(lacks(server, None).await, said);
        // What is active nowhere is in no bundle.
        server.toggle("deactivate", None, &[&anchor]).await;
        assert_eq!(lacks(server, None).await, none);
    })
    .await;
}

#[tokio::test]
async fn a_preview_names_the_live_gateways_that_would_not_enforce_a_change() {
    on_each_store(async |server| {
        let key = server.gateway_key().await;
        asks(server, &key, "gw_b", "").await;
        let theirs = server.gateway_key_of_another().await;
        asks(server, &theirs, "gw_theirs", "").await;
        let preview = async || {
            let mut change = denial();
            change["type"] = json!("create_denial");
            let body = json!({ "changes": [change] });
            server
                .post("/v1/organization/changes/preview", body)
                .ok()
                .await
        };
        let named = preview().await["not_enforced_by"].clone();
        // Its name is the operator's, who has another organization too.
        assert_eq!(
            named,
            json!([{ "id": "gw_b", "name": "", "lacks": ["denials"] }])
        );
        assert_eq!(lacks(server, None).await, json!({ "gw_b": [] }));
        server.post("/v1/organization/denials", denial()).ok().await;
        let theirs = lacks(server, Some(&theirs)).await;
        assert_eq!(theirs, json!({ "gw_theirs": [] }));
        server.clock.advance(120);
        assert!(preview().await.get("not_enforced_by").is_none());
    })
    .await;
}
