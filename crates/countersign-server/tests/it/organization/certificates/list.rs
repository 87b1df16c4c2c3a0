use serde_json::{Value, json};

use super::PATH;
use crate::harness::on_each_store;

fn ids(page: &Value) -> Vec<&str> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_empty_list_has_null_cursors() {
    on_each_store(async |server| {
        let wanted = json!({
            "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false,
        });
        assert_eq!(server.get(PATH).ok().await, wanted);
    })
    .await;
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_rows_are_added() {
    on_each_store(async |server| {
        let mut all = Vec::new();
        for number in 0..7 {
            all.push(server.upload(&format!("Root {number}")).await);
        }
        for order in ["asc", "desc"] {
            let at_the_start: Vec<_> = all.iter().rev().cloned().collect();
            let mut found: Vec<String> = Vec::new();
            let mut after = String::new();
            for _ in 0..3 {
                let path = format!("{PATH}?limit=3&order={order}{after}");
                let page = server.get(&path).ok().await;
                assert_eq!(page["first_id"], page["data"][0]["id"]);
                assert_eq!(page["has_more"], found.len() + 3 < all.len());
                found.extend(ids(&page).into_iter().map(str::to_owned));
                assert_eq!(found.last().unwrap(), &page["last_id"]);
                after = format!("&after={}", page["last_id"].as_str().unwrap());
                all.push(server.upload("Added meanwhile").await);
            }
            let wanted = if order == "asc" { &all } else { &at_the_start };
            assert_eq!(found, wanted[..9], "{order}");
        }
    })
    .await;
}

#[tokio::test]
async fn active_is_of_the_scope_that_is_listed() {
    on_each_store(async |server| {
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        let project = server.project("Payments").await;
        server.toggle("activate", None, &[&one]).await;
        server.toggle("activate", Some(&project), &[&two]).await;
        let active = |page: &Value| -> Vec<(String, bool)> {
            let entry = |each: &Value| {
                (
                    each["object"].as_str().unwrap().to_owned(),
                    each["active"].as_bool().unwrap(),
                )
            };
            page["data"].as_array().unwrap().iter().map(entry).collect()
        };
        let listed = server.get(&format!("{PATH}?order=asc")).ok().await;
        let object = "organization.certificate".to_owned();
        assert_eq!(active(&listed), [(object.clone(), true), (object, false)]);
        let path = format!("/v1/organization/projects/{project}/certificates?order=asc");
        let listed = server.get(&path).ok().await;
        let object = "organization.project.certificate".to_owned();
        assert_eq!(active(&listed), [(object.clone(), false), (object, true)]);
        for entry in listed["data"].as_array().unwrap() {
            assert!(entry["certificate_details"].get("content").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn limit_after_and_order_are_checked() {
    on_each_store(async |server| {
        let project = server.project("Payments").await;
        for path in [
            PATH.to_owned(),
            format!("/v1/organization/projects/{project}/certificates"),
        ] {
            for wrong in [
                "0",
                "101",
                "-1",
                "",
                "1.0",
                "ten",
                "9999999999999999999999",
                "%31%30%31",
            ] {
                let query = format!("{path}?limit={wrong}");
                server
                    .get(&query)
                    .refused("invalid_value", Some("limit"))
                    .await;
            }
            for wrong in ["", "up", "ASC", "asc,desc"] {
                server
                    .get(&format!("{path}?order={wrong}"))
                    .refused("invalid_value", Some("order"))
                    .await;
            }
            for wrong in ["", "cert_unknown", "x", "proj_a", "cert_a%27"] {
                server
                    .get(&format!("{path}?after={wrong}"))
                    .refused("invalid_value", Some("after"))
                    .await;
            }
            for right in [
                "limit=1",
                "limit=100",
                "order=asc",
                "limit=%31",
                "unknown=%20",
                "after[]=x",
            ] {
                server.get(&format!("{path}?{right}")).ok().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_foreign_cursor_is_an_unknown_one() {
    on_each_store(async |server| {
        let id = server.upload("Mine").await;
        let other = server.other_organization().await;
        let query = format!("{PATH}?after={id}");
        server
            .get(&query)
            .key(&other)
            .refused("invalid_value", Some("after"))
            .await;
        assert_eq!(server.get(PATH).key(&other).ok().await["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_project_has_no_list() {
    on_each_store(async |server| {
        for wrong in ["proj_unknown", "x", "cert_a"] {
            let path = format!("/v1/organization/projects/{wrong}/certificates");
            server.get(&path).refused("not_found", None).await;
        }
    })
    .await;
}
