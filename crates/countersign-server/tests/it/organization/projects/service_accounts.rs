use serde_json::{Value, json};

use crate::harness::on_each_store;

fn path(project: &str) -> String {
    format!("/v1/organization/projects/{project}/service_accounts")
}

#[tokio::test]
async fn its_key_is_shown_once() {
    on_each_store(async |server| {
        let path = path(&server.project("Payments").await);
        let made = server.post(&path, json!({ "name": "billing" })).ok().await;
        let value = made["api_key"]["value"].as_str().unwrap();
        assert!(
            value.starts_with("sk-svcacct-") && value.len() > 32,
            "{}",
            value.len()
        );
        assert_eq!(made["role"], "member");
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        for later in [&path, &one] {
            assert!(!server.get(later).ok().await.to_string().contains(value));
        }
        let only = json!({ "name": "keyless", "create_service_account_only": true });
        let only = server.post(&path, only).ok().await;
        assert_eq!(
            (&only["api_key"], &only["role"]),
            (&Value::Null, &json!("none"))
        );
    })
    .await;
}

#[tokio::test]
async fn it_is_modified_and_deleted_with_its_keys() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let one = format!("{}/{}", path(&fixture.project), fixture.service_account);
        let changed = server
            .post(&one, json!({ "name": "new", "role": "owner" }))
            .ok()
            .await;
        assert_eq!(
            (&changed["name"], &changed["role"]),
            (&json!("new"), &json!("owner"))
        );
        assert_eq!(server.get(&one).ok().await, changed);
        for wrong in [json!("none"), json!("admin"), json!(1)] {
            server
                .post(&one, json!({ "role": wrong }))
                .refused("invalid_value", Some("role"))
                .await;
        }
        let deleted = server.delete(&one).ok().await;
        let object = "organization.project.service_account.deleted";
        let wanted = json!({ "object": object, "id": fixture.service_account, "deleted": true });
        assert_eq!(deleted, wanted);
        server.get(&one).refused("not_found", None).await;
        let keys = format!("/v1/organization/projects/{}/api_keys", fixture.project);
        assert_eq!(server.get(&keys).ok().await["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn another_key_is_made_with_or_without_a_body() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let keys = format!(
            "{}/{}/api_keys",
            path(&fixture.project),
            fixture.service_account
        );
        let bare = server.request("POST", &keys).ok().await;
        assert_eq!(bare["name"], "billing");
        let body = json!({ "name": "second", "scopes": ["a.b"] });
        assert_eq!(server.post(&keys, body).ok().await["name"], "second");
        let wrong = json!({ "scopes": ["a", 1] });
        server
            .post(&keys, wrong)
            .refused("invalid_value", Some("scopes[1]"))
            .await;
        let wrong = json!({ "scopes": ["\u{0}"] });
        server
            .post(&keys, wrong)
            .refused("invalid_value", Some("scopes"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn an_archived_project_takes_no_new_ones() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let project = format!("/v1/organization/projects/{}", fixture.project);
        server
            .request("POST", &format!("{project}/archive"))
            .ok()
            .await;
        let path = path(&fixture.project);
        server
            .post(&path, json!({ "name": "late" }))
            .refused("project_archived", None)
            .await;
        let keys = format!("{path}/{}/api_keys", fixture.service_account);
        server
            .post(&keys, json!({}))
            .refused("project_archived", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn one_of_another_project_is_a_404() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let elsewhere = path(&server.project("Elsewhere").await);
        let one = format!("{elsewhere}/{}", fixture.service_account);
        server.get(&one).refused("not_found", None).await;
        server.delete(&one).refused("not_found", None).await;
        server
            .post(&one, json!({ "name": "x" }))
            .refused("not_found", None)
            .await;
    })
    .await;
}
