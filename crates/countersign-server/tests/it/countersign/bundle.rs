use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/countersign/bundle";

async fn revision(server: &Server) -> u64 {
    server.store.revision().await.unwrap()
}

#[tokio::test]
async fn from_nothing_it_is_every_organization_whole() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        server
            .toggle("activate", None, &[&fixture.certificate])
            .await;
        let gateway = server.gateway_key().await;
        let bundle = server.get(PATH).key(&gateway).ok().await;
        assert_eq!(bundle["complete"], true);
        assert_eq!(bundle["revision"], revision(server).await);
        let organization = &bundle["organizations"][0];
        assert_eq!(organization["id"], server.organization.as_str());
        assert_eq!(organization["active"], json!([fixture.certificate]));
        let text = bundle.to_string();
        assert!(!text.contains(&server.key) && !text.contains(&fixture.project_key_value));
    })
    .await;
}

#[tokio::test]
async fn it_waits_for_a_change_and_answers_it() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let id = server.upload("Example Root").await;
        let at = revision(server).await;
        let waiting = server
            .get(&format!("{PATH}?after={at}&wait=60"))
            .key(&gateway)
            .send();
        let waiting = tokio::spawn(waiting);
        server.toggle("activate", None, &[&id]).await;
        let bundle = timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap()
            .unwrap()
            .expect_ok();
        assert_eq!(bundle["revision"], revision(server).await);
        assert_eq!(bundle["organizations"][0]["active"], json!([id]));
    })
    .await;
}

#[tokio::test]
async fn without_a_change_it_answers_after_the_wait() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let at = revision(server).await;
        for wait in [0, 1] {
            let path = format!("{PATH}?after={at}&wait={wait}");
            let bundle = server.get(&path).key(&gateway).ok().await;
            assert_eq!(
                (&bundle["revision"], &bundle["organizations"]),
                (&json!(at), &json!([]))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_revision_from_the_future_is_answered_at_once() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let path = format!("{PATH}?after=999999&wait=60");
        let answer = server.get(&path).key(&gateway).send();
        let bundle = timeout(Duration::from_secs(20), answer)
            .await
            .unwrap()
            .expect_ok();
        assert_eq!(bundle["complete"], true);
        assert_eq!(bundle["revision"], revision(server).await);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_server_frees_those_who_wait() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let at = revision(server).await;
        let path = format!("{PATH}?after={at}&wait=60&gateway=gw_waiting");
        let waiting = tokio::spawn(server.get(&path).key(&gateway).send());
        until_recorded(server, "gw_waiting").await;
        timeout(Duration::from_secs(8), server.stop())
            .await
            .expect("the drain waits for nobody");
        assert_eq!(waiting.await.unwrap().status, 200);
    })
    .await;
}

async fn until_recorded(server: &Server, id: &str) {
    let recorded = async {
        loop {
            let found = server.store.list_gateways(0).await.unwrap().gateways;
            if found.iter().any(|gateway| gateway.id.as_str() == id) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), recorded)
        .await
        .expect("the gateway is recorded");
}

#[tokio::test]
async fn its_query_is_checked() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        for (query, param) in [
            ("after=-1", "after"),
            ("after=x", "after"),
            ("after=9223372036854775808", "after"),
            ("wait=61", "wait"),
            ("wait=-1", "wait"),
            ("gateway=", "gateway"),
            ("gateway=cert_a", "gateway"),
            ("gateway=gw_a&name=", "name"),
        ] {
            let get = server.get(&format!("{PATH}?{query}")).key(&gateway);
            get.refused("invalid_value", Some(param)).await;
        }
    })
    .await;
}
