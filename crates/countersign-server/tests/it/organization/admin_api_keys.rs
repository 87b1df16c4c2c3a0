use serde_json::{Value, json};

use crate::harness::{START, on_each_store};

const PATH: &str = "/v1/organization/admin_api_keys";

#[tokio::test]
async fn its_value_is_shown_once() {
    on_each_store(async |server| {
        let body = json!({ "name": "ci", "expires_in_seconds": 60 });
        let made = server.post(PATH, body).ok().await;
        let value = made["value"].as_str().unwrap();
        assert!(value.starts_with("sk-admin-") && value.len() > 30);
        assert_eq!(made["expires_at"], START + 60);
        assert_eq!(made["scopes"].as_array().unwrap().len(), 4);
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        let shown = server.get(&one).ok().await;
        assert!(shown.get("value").is_none());
        assert!(!server.get(PATH).ok().await.to_string().contains(value));
        let deleted = server.delete(&one).ok().await;
        let object = "organization.admin_api_key.deleted";
        assert_eq!(
            deleted,
            json!({ "object": object, "id": made["id"], "deleted": true })
        );
        server.delete(&one).refused("not_found", None).await;
    })
    .await;
}

#[tokio::test]
async fn oldest_first_unless_asked_otherwise() {
    on_each_store(async |server| {
        let made = server.post(PATH, json!({ "name": "second" })).ok().await;
        let first = server.get(&format!("{PATH}?limit=1")).ok().await;
        assert_ne!(first["data"][0]["id"], made["id"]);
        assert_eq!(first["has_more"], true);
        let newest = server.get(&format!("{PATH}?limit=1&order=desc")).ok().await;
        assert_eq!(newest["data"][0]["id"], made["id"]);
    })
    .await;
}

#[tokio::test]
async fn it_may_do_no_more_than_the_key_that_makes_it() {
    on_each_store(async |server| {
        let manager = server.key_with(&["api.management"]).await;
        let more = json!({ "name": "more", "scopes": ["api.management", "api.mtls.write"] });
        let message = server
            .post(PATH, more)
            .key(&manager)
            .refused("missing_scope", None)
            .await;
        assert!(message.contains("api.mtls.write"), "{message}");
        let same = server
            .post(PATH, json!({ "name": "same" }))
            .key(&manager)
            .ok()
            .await;
        assert_eq!(same["scopes"], json!(["api.management"]));
        let none = server
            .post(PATH, json!({ "name": "none", "scopes": [] }))
            .ok()
            .await;
        let key = none["value"].as_str().unwrap();
        server
            .get("/v1/organization/certificates")
            .key(key)
            .refused("missing_scope", None)
            .await;
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
        server
            .post(PATH, json!({ "name": null }))
            .refused("invalid_value", Some("name"))
            .await;
        for wrong in [
            json!(0),
            json!(-1),
            json!(31_536_001),
            json!(1.5),
            json!("60"),
            Value::Null,
            json!(u64::MAX),
            json!(1e30),
        ] {
            let body = json!({ "name": "x", "expires_in_seconds": wrong });
            server
                .post(PATH, body)
                .refused("invalid_value", Some("expires_in_seconds"))
                .await;
        }
        for (wrong, param) in [
            (json!("api.management"), "scopes"),
            (json!([1]), "scopes[0]"),
            (json!(["api.management", "api.all"]), "scopes[1]"),
        ] {
            let body = json!({ "name": "x", "scopes": wrong });
            server
                .post(PATH, body)
                .refused("invalid_value", Some(param))
                .await;
        }
        assert_eq!(
            server.get(PATH).ok().await["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_may_delete_itself_and_is_then_nothing() {
    on_each_store(async |server| {
        let made = server.post(PATH, json!({ "name": "self" })).ok().await;
        let key = made["value"].as_str().unwrap();
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        server.delete(&one).key(key).ok().await;
        server
            .delete(&one)
            .key(key)
            .refused("invalid_api_key", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_expires_makes_none_that_lives_longer() {
    on_each_store(async |server| {
        let body = json!({ "name": "ci", "expires_in_seconds": 600 });
        let made = server.post(PATH, body).ok().await;
        let key = made["value"].as_str().unwrap();
        server.clock.advance(100);
        for longer in [json!(null), json!(501)] {
            let mut body = json!({ "name": "later" });
            if !longer.is_null() {
                body["expires_in_seconds"] = longer;
            }
            let refused = server.post(PATH, body).key(key);
            let message = refused.refused("invalid_value", Some("expires_in_seconds"));
            let message = message.await;
            let end = format!("expires at {}", START + 600);
            assert!(
                message.contains(&end) && message.contains("at most 500"),
                "{message}"
            );
        }
        let body = json!({ "name": "as long", "expires_in_seconds": 500 });
        let made = server.post(PATH, body).key(key).ok().await;
        assert_eq!(made["expires_at"], START + 600);
    })
    .await;
}
