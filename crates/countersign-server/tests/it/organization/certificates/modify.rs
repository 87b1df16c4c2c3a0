use serde_json::{Value, json};

use super::path;
use crate::harness::on_each_store;

#[tokio::test]
async fn a_name_renames_and_nothing_else_changes() {
    on_each_store(async |server| {
        let path = path(&server.upload("Before").await);
        let mut wanted = server.get(&path).ok().await;
        let renamed = server.post(&path, json!({ "name": "Après ✓" })).ok().await;
        wanted["name"] = json!("Après ✓");
        assert_eq!(renamed, wanted);
        assert_eq!(server.get(&path).ok().await, wanted);
        let events = server.audit("certificate.updated").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["certificate.updated"]["name"], "Après ✓");
    })
    .await;
}

#[tokio::test]
async fn an_empty_object_changes_nothing() {
    on_each_store(async |server| {
        let path = path(&server.upload("Same").await);
        let before = server.get(&path).ok().await;
        let revision = server.store.revision().await.unwrap();
        // What others change meanwhile is no change of this organization's, and not to be waited for.
        let _ = server.other_organization().await;
        let latest = server.store.revision().await.unwrap();
        assert!(latest > revision);
        let answer = server.post(&path, json!({})).send().await;
        assert_eq!(
            answer.header("countersign-revision"),
            Some(&*revision.to_string())
        );
        assert_eq!(answer.expect_ok(), before);
        assert_eq!(
            server
                .post(&path, json!({ "unknown": [1], "x": null }))
                .ok()
                .await,
            before
        );
        assert_eq!(server.store.revision().await.unwrap(), latest);
        assert!(server.audit("certificate.updated").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    on_each_store(async |server| {
        let path = path(&server.upload("Same").await);
        let before = server.get(&path).ok().await;
        let long = "é".repeat(257);
        for wrong in [
            Value::Null,
            json!(1),
            json!(true),
            json!([]),
            json!({}),
            json!(["a"]),
            json!(""),
            json!("a\u{0}"),
            json!("a\nb"),
            json!("\u{7f}"),
            json!("\u{9b}"),
            json!(long),
        ] {
            server
                .post(&path, json!({ "name": wrong }))
                .refused("invalid_value", Some("name"))
                .await;
        }
        assert_eq!(server.get(&path).ok().await, before);
        for right in [
            "x",
            " ",
            "\u{202e}",
            &"é".repeat(256),
            "\u{1f512}",
            "'; DROP TABLE certificates",
        ] {
            let renamed = server.post(&path, json!({ "name": right })).ok().await;
            assert_eq!(renamed["name"], right);
        }
    })
    .await;
}

#[tokio::test]
async fn another_known_property_is_refused_by_name() {
    on_each_store(async |server| {
        let path = path(&server.upload("Same").await);
        let before = server.get(&path).ok().await;
        for known in [
            "certificate",
            "content",
            "active",
            "cel_policy",
            "id",
            "object",
            "created_at",
            "certificate_details",
            "valid_at",
            "expires_at",
            "certificate_ids",
        ] {
            for value in [json!("x"), Value::Null, json!(false)] {
                let body = json!({ "name": "Other", known: value });
                let message = server
                    .post(&path, body)
                    .refused("unsupported_parameter", Some(known))
                    .await;
                assert!(message.contains("only the name"), "{message}");
            }
        }
        assert_eq!(server.get(&path).ok().await, before);
    })
    .await;
}

#[tokio::test]
async fn names_need_not_be_unique() {
    on_each_store(async |server| {
        server.upload("Twin").await;
        let path = path(&server.upload("Other").await);
        assert_eq!(
            server.post(&path, json!({ "name": "Twin" })).ok().await["name"],
            "Twin"
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_or_foreign_id_is_a_404() {
    on_each_store(async |server| {
        let id = server.upload("Mine").await;
        let other = server.other_organization().await;
        let body = json!({ "name": "Stolen" });
        let foreign = server
            .post(&path(&id), body.clone())
            .key(&other)
            .refused("not_found", None)
            .await;
        let unknown = server
            .post(&path("cert_unknown"), body)
            .refused("not_found", None)
            .await;
        assert_eq!(foreign, unknown);
        assert_eq!(server.get(&path(&id)).ok().await["name"], "Mine");
    })
    .await;
}
