use std::time::Duration;

use countersign_server::store::GatewayFilter;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/countersign/bundle";

async fn revision(server: &Server) -> u64 {
    server.store.revision().await.unwrap()
}

/// The latest point, as a query asks for what comes after it.
async fn after_latest(server: &Server) -> String {
    let latest = server.store.organization_bundles(&[]).await.unwrap();
    format!("{PATH}?after={}&token={}", latest.revision, latest.token)
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
        let after = after_latest(server).await;
        let waiting = server.get(&format!("{after}&wait=60")).key(&gateway).send();
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
        let after = after_latest(server).await;
        for wait in [0, 1] {
            let path = format!("{after}&wait={wait}");
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
async fn a_point_of_another_history_is_answered_at_once_with_everything() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let at = revision(server).await;
        let other = "ab".repeat(16);
        for query in [
            format!("after={at}"),
            format!("after={at}&token={other}"),
            format!("after=999999&token={other}"),
        ] {
            let path = format!("{PATH}?{query}&wait=60");
            let answer = server.get(&path).key(&gateway).send();
            let answer = timeout(Duration::from_secs(20), answer).await;
            let bundle = answer.unwrap().expect_ok();
            assert_eq!(bundle["complete"], true, "{query}");
            assert_eq!(bundle["revision"], at, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_gateway_of_before_tokens_is_held_at_its_revision_and_then_gets_everything() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let id = server.upload("Example Root").await;
        let ask = |revision: u64, wait: u64| {
            let path = format!("{PATH}?gateway=gw_old&name=old&after={revision}&wait={wait}");
            server.get(&path).key(&gateway).send()
        };
        let at = revision(server).await;
        let asked = Instant::now();
        let bundle = ask(at, 1).await.expect_ok();
        assert!(asked.elapsed() >= Duration::from_secs(1));
        assert_eq!(
            (&bundle["revision"], &bundle["organizations"]),
            (&json!(at), &json!([]))
        );
        // Held, and not answered again and again, until there is one.
        let waiting = tokio::spawn(ask(at, 60));
        server.toggle("activate", None, &[&id]).await;
        let bundle = timeout(Duration::from_secs(20), waiting).await;
        let bundle = bundle.unwrap().unwrap().expect_ok();
        assert_eq!(
            (&bundle["revision"], &bundle["complete"]),
            (&json!(at + 1), &json!(true))
        );
        // Of another revision, smaller or greater, it is answered at once.
        for other in [at, at + 2] {
            let bundle = timeout(Duration::from_secs(20), ask(other, 60)).await;
            assert_eq!(bundle.unwrap().expect_ok()["complete"], true);
        }
    })
    .await;
}

#[tokio::test]
async fn organizations_are_answered_by_their_ids_and_as_their_digests_say() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        server.upload("Example Root").await;
        server.other_organization().await;
        let digests = server.get(&format!("{PATH}/digests")).key(&gateway);
        let digests = digests.ok().await;
        assert_eq!(digests["revision"], revision(server).await);
        assert_eq!(digests["organizations"].as_array().unwrap().len(), 2);
        let path = format!("{PATH}?organizations[]={}", server.organization);
        let bundle = server.get(&path).key(&gateway).ok().await;
        assert_eq!(bundle["complete"], false);
        assert_eq!(bundle["token"], digests["token"]);
        let [organization] = bundle["organizations"].as_array().unwrap().as_slice() else {
            panic!("{bundle}");
        };
        assert_eq!(organization["id"], server.organization.as_str());
        let listed = digests["organizations"].as_array().unwrap();
        let own = listed.iter().find(|each| each["id"] == organization["id"]);
        assert_eq!(organization["digest"], own.unwrap()["digest"]);
        let page = format!(
            "{PATH}/digests?paged=true&from={}",
            listed[0]["id"].as_str().unwrap()
        );
        let rest = server.get(&page).key(&gateway).ok().await;
        assert_eq!(rest["organizations"], json!([listed[1]]));
        assert_eq!(rest.get("next"), None);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_server_frees_those_who_wait() {
    on_each_store(async |server| {
        let gateway = server.gateway_key().await;
        let after = after_latest(server).await;
        let path = format!("{after}&wait=60&gateway=gw_waiting");
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
    let all = GatewayFilter {
        kept_since: 0,
        live_since: 0,
    };
    let recorded = async {
        loop {
            let found = server.store.list_gateways(all).await.unwrap().gateways;
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
            ("token=", "token"),
            ("token=x", "token"),
            ("durable=1", "durable"),
            ("organizations[]=cert_a", "organizations"),
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
