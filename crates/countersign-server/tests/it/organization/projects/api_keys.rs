use serde_json::json;

use crate::harness::on_each_store;

#[tokio::test]
async fn it_is_listed_shown_and_deleted_without_its_value() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let path = format!("/v1/organization/projects/{}/api_keys", fixture.project);
        let listed = server.get(&path).ok().await;
        assert_eq!(listed["data"][0]["id"], fixture.project_key.as_str());
        assert_eq!(
            listed["data"][0]["owner"]["service_account"]["id"],
            fixture.service_account.as_str()
        );
        assert!(!listed.to_string().contains(&fixture.project_key_value));
        let one = format!("{path}/{}", fixture.project_key);
        assert_eq!(server.get(&one).ok().await, listed["data"][0]);
        let deleted = server.delete(&one).ok().await;
        let object = "organization.project.api_key.deleted";
        assert_eq!(
            deleted,
            json!({ "object": object, "id": fixture.project_key, "deleted": true })
        );
        server.get(&one).refused("not_found", None).await;
        server
            .get(&format!(
                "/v1/organization/admin_api_keys/{}",
                fixture.project_key
            ))
            .refused("not_found", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn they_are_filtered_by_the_access_of_their_owner() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let path = format!("/v1/organization/projects/{}/api_keys", fixture.project);
        for (access, count) in [("active", 1), ("any", 1), ("inactive", 0)] {
            let page = server
                .get(&format!("{path}?owner_project_access={access}"))
                .ok()
                .await;
            assert_eq!(page["data"].as_array().unwrap().len(), count, "{access}");
        }
        let archive = format!("/v1/organization/projects/{}/archive", fixture.project);
        server.post(&archive, json!({})).ok().await;
        for (access, count) in [("active", 0), ("any", 1), ("inactive", 1)] {
            let page = server
                .get(&format!("{path}?owner_project_access={access}"))
                .ok()
                .await;
            let keys = page["data"].as_array().unwrap();
            assert_eq!(keys.len(), count, "{access}");
            assert!(
                keys.iter()
                    .all(|key| key["owner_project_access"] == "inactive")
            );
        }
        let get = server.get(&format!("{path}?owner_project_access=none"));
        get.refused("invalid_value", Some("owner_project_access"))
            .await;
    })
    .await;
}
