use serde_json::json;

use crate::harness::{START, on_each_store};

const PATH: &str = "/v1/countersign/gateways";

#[tokio::test]
async fn it_lists_who_asked_lately_and_what_they_enforce() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let revision = server.store.revision().await.unwrap();
        assert_eq!(
            server.get(PATH).ok().await,
            json!({ "revision": revision, "gateways": [] })
        );
        for after in [0, revision] {
            let path =
                format!("/v1/countersign/bundle?wait=0&gateway=gw_one&name=edge%201&after={after}");
            server.get(&path).key(&gateway).ok().await;
            let wanted = json!([
                { "id": "gw_one", "name": "edge 1", "revision": after, "seen_at": START },
            ]);
            assert_eq!(server.get(PATH).ok().await["gateways"], wanted);
            assert_eq!(
                server.get(PATH).key(&gateway).ok().await["gateways"],
                wanted
            );
        }
        server.clock.advance(121);
        assert_eq!(server.get(PATH).ok().await["gateways"], json!([]));
    })
    .await;
}
