//! The streams under way, as gateways report them, in previews.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::root;
use countersign_types::digest::Sha256;
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{Server, on_each_store};

/// A client that passes, and gateways that saw it.
struct Scene {
    gateway_key: String,
    workload: Value,
    leaf: Sha256,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let fixture = server.fixture().await;
        let ca = root("Client CA").mint();
        let body = json!({ "certificate": ca.pem() });
        let made = server
            .post("/v1/organization/certificates", body)
            .ok()
            .await;
        let certificate = made["id"].as_str().unwrap();
        server.toggle("activate", None, &[certificate]).await;
        let leaf = ca.leaf("billing").mint();
        let chain = Presented::new(vec![leaf.der().to_vec().into()]).sha256();
        let scene = Self {
            gateway_key: server.gateway_key().await,
            workload: json!({
                "project": fixture.project, "key": fixture.project_key, "chain": chain.to_string(),
            }),
            leaf: Sha256::of(leaf.der()),
        };
        let mut seen = json!({
            "organization": server.organization, "requests": 3, "anchor": certificate,
            "anchor_scope": "organization", "first_seen": server.now(), "last_seen": server.now(),
        });
        let of = scene.workload.as_object().unwrap().clone();
        seen.as_object_mut().unwrap().extend(of);
        let chains = json!([{
            "organization": server.organization, "certificates": [STANDARD.encode(leaf.der())],
        }]);
        scene
            .send(
                server,
                json!({ "number": 1, "chains": chains, "observations": [seen] }),
            )
            .await;
        scene
    }

    async fn send(&self, server: &Server, mut batch: Value) {
        batch["gateway"] = json!("gw_process");
        let post = server.post("/v1/countersign/observations", batch);
        post.key(&self.gateway_key).ok().await;
    }

    /// A gateway asks for bundles, and so is listed.
    async fn listed(&self, server: &Server, gateway: &str) {
        let path = format!("/v1/countersign/bundle?gateway={gateway}&durable=true&wait=0");
        server.get(&path).key(&self.gateway_key).ok().await;
    }

    async fn report(&self, server: &Server, number: u64, gateway: &str, of: &[(u64, u64)]) {
        let of = of.iter().map(|(streams, named)| {
            let mut workload = self.workload.clone();
            workload["streams"] = json!(named);
            json!({
                "organization": server.organization, "streams": streams, "workloads": [workload],
            })
        });
        let organizations: Vec<_> = of.collect();
        self.send(
            server,
            json!({
                "number": number, "chains": [], "observations": [],
                "live": { "gateway": gateway, "organizations": organizations },
            }),
        )
        .await;
    }

    async fn preview(&self, server: &Server) -> Value {
        let denial = json!({
            "type": "create_denial", "name": "laptop", "match": { "leaf_sha256": self.leaf },
        });
        let body = json!({ "changes": [denial] });
        let path = "/v1/organization/changes/preview";
        let effect = server.post(path, body).ok().await;
        assert_eq!(
            effect["starts_to_fail"].as_array().unwrap().len(),
            1,
            "{effect}"
        );
        effect["streams"].clone()
    }
}

#[tokio::test]
async fn a_preview_adds_up_what_live_gateways_report() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        assert_eq!(scene.preview(server).await, Value::Null);
        scene.listed(server, "gw_a").await;
        assert_eq!(scene.preview(server).await, Value::Null);
        // Of one that is not listed, nothing is kept.
        scene.report(server, 2, "gw_unknown", &[(9, 9)]).await;
        assert_eq!(scene.preview(server).await, Value::Null);
        scene.report(server, 3, "gw_a", &[(6, 4)]).await;
        let now = server.now();
        let said = |cut: u64, unknown: u64, silent: u64| {
            json!({ "cut": cut, "unknown": unknown, "as_of": now, "silent_gateways": silent })
        };
        assert_eq!(scene.preview(server).await, said(4, 2, 0));
        scene.listed(server, "gw_b").await;
        assert_eq!(scene.preview(server).await, said(4, 2, 1));
        server.clock.advance(7);
        scene.report(server, 4, "gw_b", &[(3, 3)]).await;
        assert_eq!(scene.preview(server).await, said(7, 2, 0));
        // A report takes the place of the one before.
        scene.report(server, 5, "gw_a", &[]).await;
        let now = server.now();
        let said = json!({ "cut": 3, "unknown": 0, "as_of": now, "silent_gateways": 0 });
        assert_eq!(scene.preview(server).await, said);
        let forget = server.delete("/v1/countersign/gateways/gw_b");
        forget.key(&scene.gateway_key).ok().await;
        scene.listed(server, "gw_b").await;
        let said = json!({ "cut": 0, "unknown": 0, "as_of": now, "silent_gateways": 1 });
        assert_eq!(scene.preview(server).await, said);
        // One that vanished has no streams.
        server.clock.advance(120);
        assert_eq!(scene.preview(server).await, Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_report_is_bounded_and_of_the_organizations_that_its_key_reaches() {
    on_each_store(async |server| {
        let mut scene = Scene::new(server).await;
        scene.listed(server, "gw_a").await;
        let workloads = vec![json!({ "key": "key_a", "streams": 1 }); 1001];
        let batch = json!({
            "gateway": "gw_process", "number": 2, "chains": [], "observations": [],
            "live": { "gateway": "gw_a", "organizations": [
                { "organization": server.organization, "streams": 1001, "workloads": workloads },
            ]},
        });
        let post = server.post("/v1/countersign/observations", batch);
        let post = post.key(&scene.gateway_key);
        post.refused("invalid_value", Some("live")).await;

        scene.report(server, 2, "gw_a", &[(4, 4)]).await;
        let theirs = server.gateway_key_of_another().await;
        let own = std::mem::replace(&mut scene.gateway_key, theirs);
        scene.report(server, 3, "gw_a", &[(50, 50)]).await;
        scene.gateway_key = own;
        assert_eq!(scene.preview(server).await["cut"], 4);
    })
    .await;
}
