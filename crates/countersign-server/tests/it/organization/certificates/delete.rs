use serde_json::json;

use super::{PATH, path};
use crate::harness::{on_each_store, pem};

#[tokio::test]
async fn it_answers_the_id_and_nothing_else() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let deleted = server.delete(&path(&id)).ok().await;
        assert_eq!(
            deleted,
            json!({ "object": "certificate.deleted", "id": id })
        );
        server.get(&path(&id)).refused("not_found", None).await;
        server.delete(&path(&id)).refused("not_found", None).await;
        assert_eq!(server.get(PATH).ok().await["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn the_audit_event_keeps_the_pem() {
    on_each_store(async |server| {
        let body = json!({ "name": "Gone", "certificate": pem("Gone") });
        let made = server.post(PATH, body.clone()).ok().await;
        server
            .delete(&path(made["id"].as_str().unwrap()))
            .ok()
            .await;
        let events = server.audit("certificate.deleted").await;
        let wanted =
            json!({ "id": made["id"], "name": "Gone", "certificate": body["certificate"] });
        assert_eq!(events[0]["certificate.deleted"], wanted);
    })
    .await;
}

#[tokio::test]
async fn active_anywhere_it_stays_and_the_message_says_where() {
    on_each_store(async |server| {
        let id = server.upload("In use").await;
        let (first, second) = (server.project("One").await, server.project("Two").await);
        server.toggle("activate", None, &[&id]).await;
        server.toggle("activate", Some(&first), &[&id]).await;
        server.toggle("activate", Some(&second), &[&id]).await;
        let message = server
            .delete(&path(&id))
            .refused("certificate_in_use", None)
            .await;
        for scope in ["the organization", &first, &second] {
            assert!(message.contains(scope), "{message}");
        }
        server.toggle("deactivate", None, &[&id]).await;
        server.toggle("deactivate", Some(&first), &[&id]).await;
        let message = server
            .delete(&path(&id))
            .refused("certificate_in_use", None)
            .await;
        assert!(
            message.contains(&second) && !message.contains(&first),
            "{message}"
        );
        assert!(!message.contains("the organization"), "{message}");
        server.get(&path(&id)).ok().await;
        assert!(server.audit("certificate.deleted").await.is_empty());
        server.toggle("deactivate", Some(&second), &[&id]).await;
        server.delete(&path(&id)).ok().await;
    })
    .await;
}

#[tokio::test]
async fn active_at_an_archived_project_counts() {
    on_each_store(async |server| {
        let id = server.upload("In use").await;
        let project = server.project("Old").await;
        server.toggle("activate", Some(&project), &[&id]).await;
        server
            .post(
                &format!("/v1/organization/projects/{project}/archive"),
                json!({}),
            )
            .ok()
            .await;
        let message = server
            .delete(&path(&id))
            .refused("certificate_in_use", None)
            .await;
        assert!(message.contains(&project), "{message}");
        server.toggle("deactivate", Some(&project), &[&id]).await;
        server.delete(&path(&id)).ok().await;
    })
    .await;
}

#[tokio::test]
async fn racing_an_activation_leaves_no_active_deleted_anchor() {
    on_each_store(async |server| {
        for _ in 0..20 {
            let id = server.upload("Contested").await;
            let body = json!({ "certificate_ids": [id] });
            let activate = server.post(&format!("{PATH}/activate"), body).send();
            let delete = server.delete(&path(&id)).send();
            let (activated, deleted) = tokio::join!(activate, delete);
            match (activated.status, deleted.status) {
                (404, 200) => {
                    activated.refused("not_found", Some("certificate_ids[0]"));
                    server.get(&path(&id)).refused("not_found", None).await;
                }
                (200, 400) => {
                    deleted.refused("certificate_in_use", None);
                    server.toggle("deactivate", None, &[&id]).await;
                    server.delete(&path(&id)).ok().await;
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_is_ignored_and_the_connection_lives_on() {
    on_each_store(async |server| {
        let first = server.upload("First").await;
        let body = json!({ "certificate_ids": [first] }).to_string();
        server
            .delete(&path(&first))
            .body(body.as_bytes(), "application/json")
            .ok()
            .await;
        let second = server.upload("Second").await;
        server
            .delete(&path(&second))
            .body(b"\x00\xff", "")
            .ok()
            .await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_or_foreign_id_is_a_404() {
    on_each_store(async |server| {
        let id = server.upload("Mine").await;
        let other = server.other_organization().await;
        let foreign = server
            .delete(&path(&id))
            .key(&other)
            .refused("not_found", None)
            .await;
        let unknown = server
            .delete(&path("cert_unknown"))
            .refused("not_found", None)
            .await;
        assert_eq!(foreign, unknown);
        server.get(&path(&id)).ok().await;
    })
    .await;
}
