//! The keys that gateways sign receipts with: registered, believed, withdrawn.

use countersign_types::{
    compact_jws::PublicKey,
    id::{GatewayId, OrganizationId},
    receipt::{ReceiptKeyProof, receipt_key},
};
use serde_json::{Value, json};

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/countersign/receipt-keys";

fn public_key() -> PublicKey {
    receipt_key(&[1; 32]).unwrap().1
}

/// The registration of a gateway's key for these organizations.
pub(crate) fn registration(organizations: &[&str]) -> Value {
    let (key, public_key, _) = receipt_key(&[1; 32]).unwrap();
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
