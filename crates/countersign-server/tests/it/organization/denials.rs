//! Denials and floors: what they say, what is refused of them, and that changes of trust know them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{General, Minted, root};
use countersign_verify::{denial::LeafIdentity, presented::Presented};
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const PATH: &str = "/v1/organization/denials";
const CHANGES: &str = "/v1/organization/changes";

/// A CA that is enforced for the organization, and a client under it.
struct Scene {
    project: String,
    certificate: String,
    client: Minted,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let ca = root("Client CA").mint();
        let body = json!({ "certificate": ca.pem() });
        let made = server.post("/v1/organization/certificates", body).ok();
        let certificate = made.await["id"].as_str().unwrap().to_owned();
        server.toggle("activate", None, &[&certificate]).await;
        let client = ca.leaf("billing").san(General::dns("Billing.example.com"));
        Self {
            project: server.project("Payments").await,
            certificate,
            client: client.mint(),
        }
    }

    fn identity(&self) -> LeafIdentity {
        LeafIdentity::read(self.client.der()).unwrap()
    }

    fn leaf(&self) -> Value {
        json!({ "leaf_sha256": self.identity().sha256 })
    }

    fn floor(&self) -> String {
        format!("/v1/organization/certificates/{}/floor", self.certificate)
    }

    /// The client, as gateways saw it with one of the fixture's keys.
    async fn observed(&self, server: &Server) {
        let fixture = server.fixture().await;
        let der = self.client.der();
        let chain = Presented::new(vec![der.to_vec().into()]).sha256();
        let seen = json!({
            "organization": server.organization, "project": fixture.project,
            "key": fixture.project_key, "chain": chain.to_string(), "anchor": self.certificate,
            "anchor_scope": "organization",
            "requests": 3, "first_seen": START, "last_seen": START,
        });
        let batch = json!({
            "gateway": "gw_saw", "number": 1, "observations": [seen],
            "chains": [{
                "organization": server.organization, "certificates": [STANDARD.encode(der)],
            }],
        });
        let key = server.gateway_key().await;
        let path = "/v1/countersign/observations";
        server.post(path, batch).key(&key).ok().await;
    }
}

fn named(name: &str, matches: Value) -> Value {
    json!({ "name": name, "match": matches })
}

#[tokio::test]
async fn a_denial_is_kept_in_the_form_that_is_compared_until_it_is_deleted() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let mut body = named(
            "left",
            json!({ "subject_alt_name": { "type": "DNS", "value": "Worker.Example.com." } }),
        );
        body["reason"] = json!("left in May");
        body["project_id"] = json!(scene.project);
        body["expires_at"] = json!(START + 1000);
        let made = server.post(PATH, body).ok().await;
        assert_eq!(made["object"], "organization.denial");
        let value = &made["match"]["subject_alt_name"]["value"];
        assert_eq!(*value, "worker.example.com");
        for (name, value) in [
            ("reason", json!("left in May")),
            ("project_id", json!(scene.project)),
            ("enforcement", json!("enforce")),
            ("expires_at", json!(START + 1000)),
        ] {
            assert_eq!(made[name], value, "{name}");
        }
        assert!(made["created_by"].as_str().unwrap().starts_with("key_"));
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        assert_eq!(server.get(&one).ok().await, made);
        let listed = server.get(PATH).ok().await;
        assert_eq!(listed["data"], json!([made]));
        server
            .post(&one, json!({ "name": "x" }))
            .refused("method_not_allowed", None)
            .await;
        server.delete(&one).ok().await;
        server.get(&one).refused("not_found", None).await;
        let log = server.audit("organization.updated").await;
        for (event, word) in log.iter().zip(["denial_deleted", "denial_created"]) {
            let change = &event["organization.updated"]["changes_requested"][word];
            assert_eq!(
                (&change["id"], &change["name"]),
                (&made["id"], &json!("left"))
            );
            assert_eq!(change["match"], made["match"]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_could_refuse_nothing_is_refused_with_what_to_do() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let leaf = scene.leaf();
        let two = json!({ "leaf_sha256": "0".repeat(64), "spki_sha256": "0".repeat(64) });
        let name = |kind: &str, value: &str| json!({ "subject_alt_name": { "type": kind, "value": value } });
        let serial = |issuer: &str, serial: &str| {
            json!({ "issuer_and_serial": { "issuer": issuer, "serial_number": serial } })
        };
        for (matches, param) in [
            (two, "match"),
            (json!({}), "match"),
            (name("DNS", "(a|b).example.com"), "match.subject_alt_name.value"),
            (name("DNS", "a\u{0}b"), "match.subject_alt_name.value"),
            (name("IP_ADDRESS", "10.0.0.0/8"), "match.subject_alt_name.value"),
            (name("CUSTOM", "a"), "match.subject_alt_name.oid"),
            (name("DNS", &"a".repeat(3000)), "match.subject_alt_name.value"),
            (serial("Issuing CA", "1"), "match.issuer_and_serial.issuer"),
            (serial("CN=Issuing CA", "xyz"), "match.issuer_and_serial.serial_number"),
        ] {
            server
                .post(PATH, named("no", matches))
                .refused("invalid_value", Some(param))
                .await;
        }
        let mut past = named("past", leaf.clone());
        past["expires_at"] = json!(START);
        server
            .post(PATH, past)
            .refused("invalid_value", Some("expires_at"))
            .await;
        let mut elsewhere = named("elsewhere", leaf.clone());
        elsewhere["project_id"] = json!("proj_0000000000000000000000000000");
        server.post(PATH, elsewhere).refused("not_found", None).await;
        server
            .post(PATH, named("a\u{7}b", leaf))
            .refused("invalid_value", Some("name"))
            .await;
        let none = server.get(PATH).ok().await;
        assert_eq!(none["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_floor_is_shown_where_it_is_set_and_never_in_the_future() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let one = format!("/v1/organization/certificates/{}", scene.certificate);
        let future = json!({ "refuse_issued_before": START + 1_000_000 });
        server
            .post(&scene.floor(), future)
            .refused("invalid_value", Some("refuse_issued_before"))
            .await;
        server
            .post(&scene.floor(), json!({}))
            .refused("missing_required_parameter", Some("refuse_issued_before"))
            .await;
        assert_eq!(
            server.get(&one).ok().await.get("refuse_issued_before"),
            None
        );
        let set = |floor: Value, enforcement: &str| {
            let body = json!({ "refuse_issued_before": floor, "enforcement": enforcement });
            server.post(&scene.floor(), body).ok()
        };
        let reported = set(json!(7), "report").await;
        assert_eq!(reported["reported_refuse_issued_before"], 7);
        let enforced = set(json!(8), "enforce").await;
        assert_eq!(enforced["refuse_issued_before"], 8);
        assert_eq!(enforced.get("reported_refuse_issued_before"), None);
        let listed = server.get("/v1/organization/certificates").ok().await;
        assert_eq!(listed["data"][0]["refuse_issued_before"], 8);
        let log = server.audit("certificate.updated").await;
        let floor = json!({ "refuse_issued_before": 8, "enforcement": "enforce" });
        assert_eq!(log[0]["certificate.updated"]["floor"], floor);
        let again = set(json!(8), "enforce").await;
        assert_eq!(again["refuse_issued_before"], 8);
        assert_eq!(server.audit("certificate.updated").await.len(), log.len());
        set(Value::Null, "enforce").await;
        assert_eq!(
            server.get(&one).ok().await.get("refuse_issued_before"),
            None
        );
    })
    .await;
}

/// The ids of the denials called `x`.
async fn made(server: &Server) -> Vec<Value> {
    let all = server.get(PATH).ok().await;
    let all = all["data"].as_array().unwrap().iter();
    all.filter(|each| each["name"] == "x")
        .map(|each| each["id"].clone())
        .collect()
}

#[tokio::test]
async fn a_preview_names_who_would_be_refused_and_changes_nothing() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        scene.observed(server).await;
        let issued = scene.identity().not_before;
        let denial =
            |matches: Value| json!({ "type": "create_denial", "name": "x", "match": matches });
        let name = json!({ "subject_alt_name": { "type": "DNS", "value": "billing.example.com" } });
        let other = json!({ "leaf_sha256": "0".repeat(64) });
        let floor = |at: u64| {
            json!({
                "type": "set_certificate_floor", "certificate_id": scene.certificate,
                "refuse_issued_before": at,
            })
        };
        for (change, refused) in [
            (denial(scene.leaf()), 1),
            (denial(name), 1),
            (denial(other), 0),
            (floor(issued + 1), 1),
            (floor(issued), 0),
        ] {
            let body = json!({ "changes": [change] });
            let preview = server
                .post(&format!("{CHANGES}/preview"), body.clone())
                .ok();
            let preview = preview.await;
            let fails = preview["starts_to_fail"].as_array().unwrap();
            assert_eq!(fails.len(), refused, "{body}: {preview}");
            for each in fails {
                assert_eq!(each["code"], "certificate_verification_failed");
            }
        }
        assert!(made(server).await.is_empty());
        // Made together, and taken back together.
        let both = json!({ "changes": [denial(scene.leaf()), floor(issued + 1)] });
        server.post(CHANGES, both).ok().await;
        let undo = json!({ "changes": [
            { "type": "delete_denial", "denial_id": made(server).await[0] },
            { "type": "set_certificate_floor", "certificate_id": scene.certificate,
              "refuse_issued_before": null },
        ] });
        let preview = server
            .post(&format!("{CHANGES}/preview"), undo.clone())
            .ok();
        let preview = preview.await;
        assert_eq!(
            preview["starts_to_pass"].as_array().unwrap().len(),
            1,
            "{preview}"
        );
        server.post(CHANGES, undo).ok().await;
        assert!(made(server).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn assertions_are_judged_by_denials_and_floors() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let chain = [STANDARD.encode(scene.client.der())];
        let body = json!({
            "name": "billing passes", "project_id": scene.project, "expect": "permit", "chain": chain,
        });
        server.post("/v1/organization/assertions", body).ok().await;
        let issued = scene.identity().not_before;
        let denial = named("stolen", scene.leaf());
        let floor = json!({ "refuse_issued_before": issued + 1 });
        for (path, body) in [(PATH, &denial), (scene.floor().as_str(), &floor)] {
            let refused = server.post(path, body.clone());
            let message = refused.refused("assertion_failed", None).await;
            assert!(message.contains("`billing passes`"), "{message}");
        }
        let mut reported = denial.clone();
        reported["enforcement"] = json!("report");
        server.post(PATH, reported).ok().await;
        let mut other = denial.clone();
        other["project_id"] = json!(server.project("Other").await);
        server.post(PATH, other).ok().await;
        let allowed = format!("{PATH}?allow_broken_assertions=true");
        let made = server.post(&allowed, denial).ok().await;
        let run = "/v1/organization/assertions/run";
        let results = server.request("POST", run).ok().await;
        let why = results["results"][0]["why"].as_str().unwrap();
        assert!(why.contains("denied by `stolen`"), "{why}");
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        server.delete(&one).ok().await;
        assert_eq!(server.request("POST", run).ok().await["holds"], true);
    })
    .await;
}

#[tokio::test]
async fn what_denials_refused_is_counted_for_their_organization_alone() {
    on_each_store(async |server| {
        let deny = async |name: &str, sha256: &str| {
            let body = named(name, json!({ "leaf_sha256": sha256.repeat(64) }));
            let made = server.post(PATH, body).ok().await;
            made["id"].as_str().unwrap().to_owned()
        };
        let [one, other] = [deny("one", "1").await, deny("other", "2").await];
        let rival = server.store.create_organization("Rival").await.unwrap();
        let foreign = rival.organization.id.to_string();
        let gateway = server.gateway_key().await;
        let now = server.now();
        let count = |organization: &str, by: Value, enforcement: &str, requests: u64| {
            json!({
                "organization": organization, "by": by, "enforcement": enforcement,
                "requests": requests, "last_seen": now + 5,
            })
        };
        let ours = server.organization.as_str();
        let send = async |number: u64, counts: Value| {
            let batch = json!({
                "gateway": "gw_counts", "number": number, "chains": [], "observations": [],
                "refused_by": counts,
            });
            let path = "/v1/countersign/observations";
            server.post(path, batch).key(&gateway).ok().await;
        };
        let first = json!([
            count(ours, json!({ "denial": one }), "enforce", 3),
            count(ours, json!({ "denial": one }), "report", 4),
            count(ours, json!({ "denial": "deny_unknown" }), "enforce", 5),
            count(ours, json!({ "floor": "cert_unknown" }), "enforce", 5),
            count(ours, json!({ "denial": other }), "enforce", 0),
            count(&foreign, json!({ "denial": other }), "enforce", 6),
        ]);
        send(1, first.clone()).await;
        // The same batch once more is the same requests.
        send(1, first).await;
        send(2, json!([count(ours, json!({ "denial": one }), "enforce", 10)])).await;
        let windows = |number: u64| {
            json!({ "days_1": number, "days_7": number, "days_30": number })
        };
        let used = json!({
            "last_refused": now, "refused": windows(13), "last_reported": now, "reported": windows(4),
        });
        let unused = json!({
            "last_refused": null, "refused": windows(0), "last_reported": null, "reported": windows(0),
        });
        let list = server.get(&format!("{PATH}?include[]=usage&order=asc")).ok().await;
        assert_eq!(list["data"][0]["usage"], used);
        assert_eq!(list["data"][1]["usage"], unused);
        let plain = server.get(PATH).ok().await;
        assert!(plain["data"][0].get("usage").is_none());
        server.clock.advance(8 * 24 * 60 * 60);
        let later = server.get(&format!("{PATH}/{one}?include[]=usage")).ok().await;
        let windows = json!({ "days_1": 0, "days_7": 0, "days_30": 13 });
        assert_eq!(later["usage"]["refused"], windows);
        let wrong = server.get(&format!("{PATH}?include[]=content"));
        wrong.refused("invalid_value", Some("include")).await;
    })
    .await;
}
