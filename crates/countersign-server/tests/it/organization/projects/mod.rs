mod api_keys;
mod service_accounts;

use serde_json::{Value, json};

use crate::harness::on_each_store;

const PATH: &str = "/v1/organization/projects";

#[tokio::test]
async fn it_is_made_renamed_and_archived() {
    on_each_store(async |server| {
        let body = json!({
            "name": "Payments", "residency": "EU_STORAGE_PROCESSING", "external_key_id": "ext-1",
        });
        let made = server.post(PATH, body).ok().await;
        assert_eq!(made["status"], "active");
        assert_eq!(made["archived_at"], Value::Null);
        assert_eq!(made["residency"], "EU_STORAGE_PROCESSING");
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
        assert_eq!(server.get(&path).ok().await, made);
        let renamed = server.post(&path, json!({ "name": "Billing" })).ok().await;
        assert_eq!(renamed["name"], "Billing");
        assert_eq!(renamed["external_key_id"], "ext-1");
        for nothing in [
            json!({}),
            json!({ "name": null, "external_key_id": null, "unknown": 1 }),
        ] {
            assert_eq!(server.post(&path, nothing).ok().await, renamed);
        }
        let archived = server
            .request("POST", &format!("{path}/archive"))
            .ok()
            .await;
        assert_eq!(archived["status"], "archived");
        assert!(archived["archived_at"].is_u64());
        assert_eq!(server.get(&path).ok().await, archived);
        assert_eq!(
            server
                .request("POST", &format!("{path}/archive"))
                .ok()
                .await,
            archived
        );
        assert_eq!(server.audit("project.archived").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn archived_ones_are_listed_only_on_request() {
    on_each_store(async |server| {
        let (old, new) = (server.project("Old").await, server.project("New").await);
        server
            .request("POST", &format!("{PATH}/{old}/archive"))
            .ok()
            .await;
        for (query, wanted) in [
            ("?order=asc", vec![&new]),
            ("?include_archived=false", vec![&new]),
            ("?include_archived=true&order=asc", vec![&old, &new]),
        ] {
            let page = server.get(&format!("{PATH}{query}")).ok().await;
            let ids: Vec<_> = page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| &p["id"])
                .collect();
            assert_eq!(ids, wanted, "{query}");
        }
        for wrong in ["1", "TRUE", ""] {
            let get = server.get(&format!("{PATH}?include_archived={wrong}"));
            get.refused("invalid_value", Some("include_archived")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    on_each_store(async |server| {
        server
            .post(PATH, json!({}))
            .refused("missing_required_parameter", Some("name"))
            .await;
        for (body, param) in [
            (json!({ "name": null }), "name"),
            (json!({ "name": "" }), "name"),
            (json!({ "name": "a\u{0}" }), "name"),
            (json!({ "name": "a", "residency": "MOON" }), "residency"),
            (json!({ "name": "a", "residency": 1 }), "residency"),
            (
                json!({ "name": "a", "external_key_id": 1 }),
                "external_key_id",
            ),
            (
                json!({ "name": "a", "external_key_id": "\u{0}" }),
                "external_key_id",
            ),
        ] {
            server
                .post(PATH, body)
                .refused("invalid_value", Some(param))
                .await;
        }
        let path = format!("{PATH}/{}", server.project("Payments").await);
        for known in ["residency", "status", "archived_at", "id"] {
            let body = json!({ "name": "x", known: "y" });
            server
                .post(&path, body)
                .refused("unsupported_parameter", Some(known))
                .await;
        }
        assert_eq!(server.get(&path).ok().await["name"], "Payments");
    })
    .await;
}
