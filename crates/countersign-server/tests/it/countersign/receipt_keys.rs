//! The keys that gateways sign receipts with: registered, believed, withdrawn.

use countersign_types::{
    compact_jws::PublicKey,
    id::{GatewayId, OrganizationId},
    receipt::{ReceiptKeyProof, receipt_key},
};
use serde_json::{Value, json};

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/countersign/receipt-keys";
const KEYS: &str = "/v1/organization/receipt_keys";

fn public_key() -> PublicKey {
    receipt_key(&[1; 32]).unwrap().1
}

/// The registration of a gateway's key for these organizations.
pub(crate) fn registration(organizations: &[&str]) -> Value {
    signed(&[1; 32], organizations)
}

/// The same of the key with this seed.
fn signed(seed: &[u8; 32], organizations: &[&str]) -> Value {
    let (key, public_key, _) = receipt_key(seed).unwrap();
    let proof = ReceiptKeyProof {
        gateway: GatewayId::from_random(1),
        public_key,
    };
    json!({ "proof": proof.sign(&key).unwrap(), "organizations": organizations })
}

async fn register(server: &Server, gateway: &str, organizations: &[&str]) -> Value {
    let request = server.post(PATH, registration(organizations));
    request.key(gateway).ok().await
}

/// The organization as gateways are sent it.
async fn bundle(server: &Server, gateway: &str) -> Value {
    let path = format!(
        "/v1/countersign/bundle?organizations[]={}",
        server.organization
    );
    server.get(&path).key(gateway).ok().await["organizations"][0].clone()
}

/// The changes of receipt keys in the audit log, newest first, with who made them.
async fn changes(server: &Server) -> Vec<(Value, Value)> {
    let events = server.audit("organization.updated").await;
    let change = |event: &Value| {
        let changes = event["organization.updated"]["changes_requested"].clone();
        (changes, event["actor"].clone())
    };
    events.iter().map(change).collect()
}

#[tokio::test]
async fn a_key_is_registered_once_and_its_bundle_and_audit_log_say_so() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let before = bundle(server, &gateway).await;
        assert_eq!(before["receipt_keys"], Value::Null);
        let organization = server.organization.clone();
        let answer = register(server, &gateway, &[&organization, "org-none"]).await;
        let id = receipt_key(&[1; 32]).unwrap().2.to_string();
        assert_eq!(answer, json!({ "id": id, "organizations": [organization] }));
        let after = bundle(server, &gateway).await;
        assert_eq!(after["receipt_keys"], json!([id]));
        let found = changes(server).await;
        let [(change, actor)] = found.as_slice() else {
            panic!("{found:?}");
        };
        let registered = json!({ "receipt_key_registered": {
            "id": id, "public_key": public_key(), "gateway_id": GatewayId::from_random(1),
        } });
        assert_eq!(*change, registered);
        let key = &server.store.list_gateway_keys().await.unwrap()[0].id;
        assert_eq!(actor["api_key"]["id"], key.as_str());
        register(server, &gateway, &[&organization]).await;
        assert_eq!(changes(server).await.len(), 1);
        assert_eq!(bundle(server, &gateway).await, after);
    })
    .await;
}

#[tokio::test]
async fn a_bundle_names_the_head_of_the_audit_log_and_the_change_that_made_it() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        for name in ["a", "b"] {
            let before = server.get("/v1/organization/audit_logs/head").ok().await;
            let revision = bundle(server, &gateway).await["revision"].clone();
            server.project(name).await;
            let bundle = bundle(server, &gateway).await;
            let head = server.get("/v1/organization/audit_logs/head").ok().await;
            assert_eq!(bundle["audit"]["number"], head["number"]);
            assert_eq!(bundle["audit"]["sha256"], head["sha256"]);
            assert_ne!(before["number"], head["number"]);
            let event = server.audit("project.created").await[0].clone();
            let commit = json!({ "token": bundle["audit"]["token"], "after": revision });
            assert_eq!(event["commit"], commit);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_proven_or_not_reached_is_not_registered() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let organization = server.organization.clone();
        let mut request = registration(&[&organization]);
        let proof = request["proof"].as_str().unwrap().to_owned();
        for wrong in ["", "e30.e30.e30", &proof[..proof.len() - 3]] {
            request["proof"] = json!(wrong);
            let refused = server.post(PATH, request.clone()).key(&gateway);
            refused.refused("invalid_value", Some("proof")).await;
        }
        for none_or_many in [vec![], vec![organization.as_str(); 65]] {
            let refused = server.post(PATH, registration(&none_or_many)).key(&gateway);
            refused
                .refused("invalid_value", Some("organizations"))
                .await;
        }
        // An admin key is no gateway's.
        let refused = server.post(PATH, registration(&[&organization]));
        refused.refused("invalid_api_key", None).await;
        let other = server.store.create_organization("Other").await.unwrap();
        let only: [OrganizationId; 1] = [other.organization.id.clone()];
        let limited = server.store.create_gateway_key_for("edge", Some(&only));
        let limited = limited.await.unwrap().value.reveal().to_owned();
        let both = [organization.as_str(), other.organization.id.as_str()];
        let answer = register(server, &limited, &both).await;
        assert_eq!(answer["organizations"], json!([other.organization.id]));
        assert!(changes(server).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn with_its_gateway_key_a_key_is_withdrawn_and_another_may_register_it_again() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let organization = server.organization.clone();
        register(server, &gateway, &[&organization]).await;
        let key = server.store.list_gateway_keys().await.unwrap()[0].id.clone();
        server.store.delete_gateway_key(&key).await.unwrap();
        let next = server.gateway_key().await;
        assert_eq!(bundle(server, &next).await["receipt_keys"], Value::Null);
        let withdrawn = changes(server).await[0].clone();
        let id = receipt_key(&[1; 32]).unwrap().2.to_string();
        assert_eq!(
            withdrawn.0,
            json!({ "receipt_key_withdrawn": { "id": id, "gateway_id": GatewayId::from_random(1) } })
        );
        assert_eq!(withdrawn.1["type"], "session");
        register(server, &next, &[&organization]).await;
        assert_eq!(bundle(server, &next).await["receipt_keys"], json!([id]));
        // The log is whole, with events of all three kinds of actors.
        assert_eq!(changes(server).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn one_key_is_listed_and_withdrawn_for_good_and_no_other_with_it() {
    on_each_store(async |server| {
        let organization = server.organization.clone();
        let gateway = server.gateway_key().await;
        register(server, &gateway, &[&organization]).await;
        let request = signed(&[2; 32], &[&organization]);
        let second = server.post(PATH, request).key(&gateway).ok().await["id"].clone();
        let first = receipt_key(&[1; 32]).unwrap().2.to_string();
        let key = server.store.list_gateway_keys().await.unwrap()[0]
            .id
            .clone();
        let listed = server.get(KEYS).ok().await;
        let of = |listed: &Value, at: usize| {
            let each = &listed["data"][at];
            (each["id"].clone(), each["gateway_key_id"].clone())
        };
        assert_eq!(of(&listed, 0), (second.clone(), json!(key)));
        assert_eq!(of(&listed, 1), (json!(first), json!(key)));
        assert_eq!(listed["data"][0]["object"], "organization.receipt_key");
        assert_eq!(listed["data"][0]["withdrawn_at"], Value::Null);
        let page = server.get(&format!(
            "{KEYS}?limit=1&after={}",
            second.as_str().unwrap()
        ));
        assert_eq!(of(&page.ok().await, 0).0, json!(first));

        let withdraw = format!("{KEYS}/{first}/withdraw");
        let withdrawn = server.request("POST", &withdraw).ok().await;
        assert!(withdrawn["withdrawn_at"].is_u64(), "{withdrawn}");
        assert_eq!(withdrawn["gateway_key_id"], Value::Null);
        let (change, actor) = changes(server).await[0].clone();
        let wanted = json!({ "id": first, "gateway_id": GatewayId::from_random(1) });
        assert_eq!(change, json!({ "receipt_key_withdrawn": wanted }));
        assert_eq!(actor["type"], "api_key");
        assert_eq!(
            bundle(server, &gateway).await["receipt_keys"],
            json!([second])
        );

        // Neither again nor by its gateway nor with another gateway key, and the log says it once.
        let again = server.request("POST", &withdraw).ok().await;
        assert_eq!(again, withdrawn);
        let answer = register(server, &gateway, &[&organization]).await;
        let refused = json!({ "id": first, "organizations": [], "withdrawn": [organization] });
        assert_eq!(answer, refused);
        server.store.delete_gateway_key(&key).await.unwrap();
        let next = server.gateway_key().await;
        assert_eq!(register(server, &next, &[&organization]).await, refused);
        assert_eq!(server.get(KEYS).ok().await["data"], json!([withdrawn]));
        assert_eq!(bundle(server, &next).await["receipt_keys"], Value::Null);
        assert_eq!(changes(server).await.len(), 4);
        for unknown in ["rk_none", "4711"] {
            let refused = server.request("POST", &format!("{KEYS}/{unknown}/withdraw"));
            refused.refused("not_found", None).await;
        }
    })
    .await;
}
