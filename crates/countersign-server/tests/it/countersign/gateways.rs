use countersign_server::AppOptions;
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const PATH: &str = "/v1/countersign/gateways";

/// Asks for bundles as a gateway that enforces the latest point.
async fn pull(server: &Server, key: &str, more: &str) {
    let latest = server.store.organization_bundles(&[]).await.unwrap();
    let (revision, token) = (latest.revision, latest.token);
    let path = format!("/v1/countersign/bundle?wait=0&after={revision}&token={token}{more}");
    server.get(&path).key(key).ok().await;
}

async fn listed(server: &Server, key: &str) -> Value {
    server.get(PATH).key(key).ok().await["gateways"].clone()
}

#[tokio::test]
async fn it_lists_who_asked_and_what_they_enforce() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let revision = server.store.revision().await.unwrap();
        assert_eq!(
            server.get(PATH).ok().await,
            json!({ "revision": revision, "gateways": [] })
        );
        let first = "/v1/countersign/bundle?wait=0&gateway=gw_one&name=edge%201&after=0";
        server.get(first).key(&gateway).ok().await;
        let mut wanted = json!([{
            "id": "gw_one", "name": "edge 1", "revision": 0, "state": "live", "durable": true,
            "seen_at": START,
        }]);
        assert_eq!(listed(server, &server.key).await, wanted);
        pull(server, &gateway, "&gateway=gw_one&name=edge%201").await;
        wanted[0]["revision"] = json!(revision);
        assert_eq!(listed(server, &server.key).await, wanted);
        assert_eq!(listed(server, &gateway).await, wanted);
        pull(
            server,
            &gateway,
            "&gateway=gw_one&name=edge%201&durable=false",
        )
        .await;
        wanted[0]["durable"] = json!(false);
        assert_eq!(listed(server, &gateway).await, wanted);
        server.clock.advance(76);
        wanted[0]["state"] = json!("missing");
        assert_eq!(listed(server, &gateway).await, wanted);
        server.clock.advance(24 * 60 * 60);
        assert_eq!(listed(server, &gateway).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_vanished_is_listed_for_as_long_as_the_setting_says() {
    on_each_store(async |server| {
        let node = server
            .beside(AppOptions {
                forget_gateways_after: 300,
                ..AppOptions::default()
            })
            .await;
        let key = node.gateway_key().await;
        pull(&node, &key, "&gateway=gw_one").await;
        node.clock.advance(300);
        assert_eq!(listed(&node, &key).await[0]["state"], "missing");
        node.clock.advance(1);
        assert_eq!(listed(&node, &key).await, json!([]));
        // Where the default holds, it is listed still, until somebody's report removes the row.
        assert_eq!(listed(server, &key).await[0]["state"], "missing");
        pull(&node, &key, "&gateway=gw_two").await;
        let left = listed(server, &key).await;
        assert_eq!(left.as_array().unwrap().len(), 1);
        assert_eq!(left[0]["id"], "gw_two");
    })
    .await;
}

#[tokio::test]
async fn an_organization_receives_its_own_events() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let own = server.store.revision().await.unwrap();
        server.other_organization().await;
        pull(server, &gateway, "&gateway=gw_one&name=secret").await;
        let page = server.get(PATH).ok().await;
        assert_eq!(page["revision"], own);
        assert_eq!(page["gateways"][0]["id"], "gw_one");
        assert_eq!(page["gateways"][0]["name"], "");
        assert_eq!(page["gateways"][0]["revision"], own);
        let all = server.get(PATH).key(&gateway).ok().await;
        assert_eq!(all["revision"], own + 1);
        assert_eq!(all["gateways"][0]["name"], "secret");
        assert_eq!(all["gateways"][0]["revision"], own + 1);
    })
    .await;
}

#[tokio::test]
async fn a_gateway_says_goodbye_once() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        pull(server, &gateway, "&gateway=gw_one").await;
        let path = format!("{PATH}/gw_one");
        let goodbye = server.delete(&path).key(&gateway).ok().await;
        assert_eq!(goodbye, json!({ "id": "gw_one", "deleted": true }));
        assert_eq!(listed(server, &gateway).await, json!([]));
        for unknown in ["gw_one", "gw_other", "x"] {
            let path = format!("{PATH}/{unknown}");
            let again = server.delete(&path).key(&gateway);
            again.refused("not_found", None).await;
        }
    })
    .await;
}
