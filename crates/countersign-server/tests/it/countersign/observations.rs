use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::root;
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{Fixture, START, Server, on_each_store};

const PATH: &str = "/v1/countersign/observations";

fn batch(number: u64, chains: &[Value], observations: &[Value]) -> Value {
    json!({
        "gateway": "gw_test", "number": number, "chains": chains, "observations": observations,
    })
}

/// A chain of one leaf: its digest, and how it is sent.
fn chain(server: &Server, name: &str) -> (String, Value) {
    let leaf = root("Client CA").mint().leaf(name).mint();
    let der = leaf.der().to_vec();
    let digest = Presented::new(vec![der.clone().into()]).sha256();
    let sent = json!({
        "organization": server.organization, "certificates": [STANDARD.encode(&der)],
    });
    (digest.to_string(), sent)
}

fn seen(server: &Server, fixture: &Fixture) -> Value {
    json!({
        "organization": server.organization,
        "project": fixture.project,
        "key": fixture.project_key,
        "requests": 3,
        "first_seen": START,
        "last_seen": START,
    })
}

fn with(mut seen: Value, name: &str, value: Value) -> Value {
    seen[name] = value;
    seen
}

#[tokio::test]
async fn a_batch_is_kept_once_and_changes_no_organization() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let gateway = server.gateway_key().await;
        let revision = server.store.revision().await.unwrap();
        let (digest, sent) = chain(server, "billing");
        let plain = seen(server, &fixture);
        let permitted = with(plain.clone(), "chain", json!(digest));
        let permitted = with(permitted, "anchor", json!(fixture.certificate));
        let permitted = with(permitted, "anchor_scope", json!("project"));
        let foreign = with(plain.clone(), "organization", json!("org-other"));
        let refused = with(plain.clone(), "code", json!("certificate_required"));
        let rows = [permitted, foreign, refused];
        let post = |body: Value| server.post(PATH, body).key(&gateway);
        let answer = post(batch(1, &[], &rows)).ok().await;
        let asked = json!({ "accepted": 0, "refused": 1, "unknown_chains": [digest] });
        assert_eq!(answer, asked);
        let whole = batch(1, &[sent], &rows);
        let done = json!({ "accepted": 2, "refused": 1, "unknown_chains": [] });
        assert_eq!(post(whole.clone()).ok().await, done);
        let nothing = json!({ "accepted": 0, "refused": 0, "unknown_chains": [] });
        assert_eq!(post(whole).ok().await, nothing);

        let organization = server.organization.parse().unwrap();
        let mut pages = server.store.workloads(&organization, 0);
        let workloads = pages.next().await.unwrap().unwrap().workloads;
        let counted: u64 = workloads.iter().map(|each| each.requests).sum();
        assert_eq!((workloads.len(), counted), (2, 6));
        assert_eq!(server.store.revision().await.unwrap(), revision);
        let audited = server
            .get("/v1/organization/audit_logs?limit=100")
            .ok()
            .await;
        assert!(!audited.to_string().contains("gw_test"));
    })
    .await;
}

#[tokio::test]
async fn an_error_in_a_batch_names_its_place() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let gateway = server.gateway_key().await;
        let good = seen(server, &fixture);
        let one = json!([STANDARD.encode([0x30, 0])]);
        let chain = |certificates: Value| {
            json!({ "organization": server.organization, "certificates": certificates })
        };
        let too_many = json!(vec![STANDARD.encode([1]); 43]);
        let too_large = json!([STANDARD.encode(vec![0; 65_537])]);
        for (body, param) in [
            (with(batch(1, &[], &[]), "gateway", json!("cert_a")), "gateway"),
            (with(batch(1, &[], &[]), "number", json!(0)), "number"),
            (with(batch(1, &[], &[]), "number", json!(-1)), "number"),
            (with(batch(1, &[], &[]), "number", json!(u64::MAX)), "number"),
            (with(batch(1, &[], &[]), "chains", json!({})), "chains"),
            (with(batch(1, &[], &[]), "observations", json!("x")), "observations"),
            (batch(1, &[], &vec![json!({}); 1001]), "observations"),
            (batch(1, &vec![json!({}); 1001], &[]), "chains"),
            (batch(1, &[], &[good.clone(), json!({})]), "observations[1]"),
            (batch(1, &[], &[with(good.clone(), "chain", json!("ab"))]), "observations[0]"),
            (batch(1, &[], &[with(good.clone(), "code", json!("odd"))]), "observations[0]"),
            (batch(1, &[], &[with(good.clone(), "requests", json!(-1))]), "observations[0]"),
            (batch(1, &[], &[with(good.clone(), "project", json!("x"))]), "observations[0]"),
            (batch(1, &[], &[good.clone(), with(good, "key", json!("key"))]), "observations[1]"),
            (batch(1, &[chain(json!(["/"]))], &[]), "chains[0]"),
            (batch(1, &[chain(json!([]))], &[]), "chains[0].certificates"),
            (batch(1, &[chain(one), chain(too_many)], &[]), "chains[1].certificates"),
            (batch(1, &[chain(too_large)], &[]), "chains[0].certificates"),
        ] {
            let post = server.post(PATH, body).key(&gateway);
            let message = post.refused("invalid_value", Some(param)).await;
            assert!(!message.contains("odd") && message.len() < 200, "{message}");
        }
        let optional =
            ["project", "key", "chain", "code", "anchor", "anchor_scope", "reported"];
        for property in optional {
            let good = seen(server, &fixture);
            let body = batch(1, &[], &[good.clone(), with(good, property, json!(null))]);
            let post = server.post(PATH, body).key(&gateway);
            post.refused("invalid_value", Some("observations[1]")).await;
        }
        for missing in ["gateway", "number", "chains", "observations"] {
            let mut body = batch(1, &[], &[]);
            body.as_object_mut().unwrap().remove(missing);
            let post = server.post(PATH, body).key(&gateway);
            post.refused("missing_required_parameter", Some(missing)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn refused_requests_are_listed_by_caller_leaf_and_code() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let gateway = server.gateway_key().await;
        let leaf = json!({ "sha256": "ab".repeat(32), "subject": "CN=stranger" });
        let refused = with(seen(server, &fixture), "code", json!("invalid_certificate"));
        let refused = with(refused, "leaf", leaf.clone());
        let post = |number: u64, refusals: Value| {
            let body = with(batch(number, &[], &[]), "refusals", refusals);
            server.post(PATH, body).key(&gateway)
        };
        // What else a gateway of a later version says is passed over.
        let more = with(refused.clone(), "later", json!(1));
        let answer = post(1, json!([more])).ok().await;
        let done = json!({ "accepted": 0, "refused": 0, "unknown_chains": [], "refusals": 1 });
        assert_eq!(answer, done);
        let page = server.get("/v1/organization/refusals").ok().await;
        let listed = json!([{
            "object": "organization.refusal",
            "id": page["data"][0]["id"],
            "project_id": fixture.project,
            "api_key_id": fixture.project_key,
            "leaf": leaf,
            "code": "invalid_certificate",
            "requests": 3,
            "first_seen": START,
            "last_seen": START,
        }]);
        assert_eq!(page["data"], listed);
        let long = json!({ "sha256": "ab".repeat(32), "subject": "a".repeat(257) });
        for (refusals, param) in [
            (json!(null), "refusals"),
            (json!(vec![json!({}); 1001]), "refusals"),
            (json!([refused, json!({})]), "refusals[1]"),
            (
                json!([with(refused.clone(), "leaf", json!(null))]),
                "refusals[0]",
            ),
            (
                json!([with(refused.clone(), "leaf", long)]),
                "refusals[0].leaf.subject",
            ),
        ] {
            let post = post(2, refusals);
            post.refused("invalid_value", Some(param)).await;
        }
    })
    .await;
}
