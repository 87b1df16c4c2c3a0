use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::root;
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{Fixture, Server, on_each_store};

const DAY: u64 = 24 * 60 * 60;

/// Sends what a gateway saw now: leaves by name, each with so many requests, let through by the
/// fixture's certificate.
async fn observe(server: &Server, fixture: &Fixture, number: u64, scope: &str, leaves: &[&str]) {
    let gateway = server.gateway_key().await;
    let now = server.now();
    let (mut chains, mut observations) = (Vec::new(), Vec::new());
    for name in leaves {
        let ca = root("Client CA").mint();
        let leaf = ca.leaf(name).mint();
        let der = leaf.der().to_vec();
        let digest = Presented::new(vec![der.clone().into()]).sha256();
        chains.push(json!({
            "organization": server.organization, "certificates": [STANDARD.encode(&der)],
        }));
        observations.push(json!({
            "organization": server.organization, "project": fixture.project,
            "key": fixture.project_key, "chain": digest.to_string(),
            "anchor": fixture.certificate, "anchor_scope": scope,
            "requests": 10, "first_seen": now, "last_seen": now,
        }));
    }
    let batch = json!({
        "gateway": "gw_usage", "number": number, "chains": chains, "observations": observations,
    });
    let post = server
        .post("/v1/countersign/observations", batch)
        .key(&gateway);
    assert_eq!(post.ok().await["accepted"], json!(leaves.len()));
}

fn windows(days_1: u64, days_7: u64, days_30: u64) -> Value {
    json!({ "days_1": days_1, "days_7": days_7, "days_30": days_30 })
}

fn one(fixture: &Fixture, rest: &str) -> String {
    format!(
        "/v1/organization/certificates/{}{rest}",
        fixture.certificate
    )
}

#[tokio::test]
async fn usage_is_counted_per_scope_in_windows_of_whole_days() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        observe(server, &fixture, 1, "project", &["a", "b"]).await;
        let first = server.now();
        // Within the day before today, whatever the hour.
        server.clock.advance(DAY);
        observe(server, &fixture, 2, "organization", &["c"]).await;
        let last = server.now();
        let usage = server.get(&one(&fixture, "?include[]=usage")).ok().await["usage"].clone();
        assert_eq!(usage["last_used"], last);
        let organization = json!({
            "project_id": null, "last_used": last,
            "requests": windows(10, 10, 10), "leaves": windows(1, 1, 1),
        });
        let project = |day_1: (u64, u64), day_7: (u64, u64)| {
            json!({
                "project_id": fixture.project, "last_used": first,
                "requests": windows(day_1.0, day_7.0, 20),
                "leaves": windows(day_1.1, day_7.1, 2),
            })
        };
        assert_eq!(
            usage["scopes"],
            json!([organization, project((20, 2), (20, 2))])
        );
        server.clock.advance(DAY);
        let list = server
            .get("/v1/organization/certificates?include[]=usage")
            .ok()
            .await;
        assert_eq!(
            list["data"][0]["usage"]["scopes"][1],
            project((0, 0), (20, 2))
        );
        server.clock.advance(6 * DAY);
        let path = format!(
            "/v1/organization/projects/{}/certificates?include[]=usage",
            fixture.project
        );
        let list = server.get(&path).ok().await;
        let here = json!({ "last_used": first, "scopes": [project((0, 0), (0, 0))] });
        assert_eq!(list["data"][0]["usage"], here);
    })
    .await;
}

#[tokio::test]
async fn a_key_says_when_it_was_last_used() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let keys = format!("/v1/organization/projects/{}/api_keys", fixture.project);
        let last_used = async || {
            let listed = server.get(&keys).ok().await["data"][0]["last_used_at"].clone();
            let one = format!("{keys}/{}", fixture.project_key);
            assert_eq!(server.get(&one).ok().await["last_used_at"], listed);
            listed
        };
        assert_eq!(last_used().await, Value::Null);
        observe(server, &fixture, 1, "project", &["a", "b"]).await;
        server.clock.advance(3 * DAY);
        observe(server, &fixture, 2, "organization", &["c"]).await;
        let last = server.now();
        server.clock.advance(DAY);
        assert_eq!(last_used().await, last);
    })
    .await;
}

#[tokio::test]
async fn where_a_certificate_is_active_is_shown_on_request() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let shown = async || {
            let query = "?include[]=active_at";
            let one = server.get(&one(&fixture, query)).ok().await["active_at"].clone();
            for scope in ["", &format!("/projects/{}", fixture.project)] {
                let list = format!("/v1/organization{scope}/certificates{query}");
                assert_eq!(server.get(&list).ok().await["data"][0]["active_at"], one);
            }
            one
        };
        let activate = async |scope: &str, body: Value| {
            let path = format!("/v1/organization{scope}/certificates/activate");
            server.post(&path, body).ok().await;
        };
        let plain = server.get(&one(&fixture, "")).ok().await;
        assert_eq!(plain.get("active_at"), None);
        let active = shown().await;
        let ids = json!([fixture.certificate]);
        activate("", json!({ "certificate_ids": ids })).await;
        let project = format!("/projects/{}", fixture.project);
        activate(
            &project,
            json!({ "certificate_ids": ids, "enforcement": "report" }),
        )
        .await;
        assert_ne!(shown().await, active);
        assert_eq!(
            shown().await,
            json!([
                { "project_id": null, "enforcement": "enforce" },
                { "project_id": fixture.project, "enforcement": "report" },
            ])
        );
    })
    .await;
}

#[tokio::test]
async fn usage_is_shown_only_on_request_and_says_when_there_is_none() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let both = server
            .get(&one(&fixture, "?include[]=usage,content"))
            .ok()
            .await;
        let usage = &both["usage"];
        assert_eq!(
            (&usage["last_used"], &usage["scopes"]),
            (&Value::Null, &json!([]))
        );
        // The fixture has a revocation list, and no floor.
        assert_eq!(usage["crls"][0]["last_refused"], Value::Null);
        assert_eq!(usage["crls"][0]["refused"], windows(0, 0, 0));
        assert!(usage.get("floor").is_none());
        assert!(both["certificate_details"]["content"].is_string());
        for path in [
            one(&fixture, ""),
            "/v1/organization/certificates".to_owned(),
        ] {
            let shown = server.get(&path).ok().await.to_string();
            assert!(!shown.contains("usage"), "{shown}");
        }
        let uses = server.get(&one(&fixture, "/usage")).ok().await;
        assert_eq!(
            (&uses["data"], &uses["has_more"]),
            (&json!([]), &json!(false))
        );
    })
    .await;
}

#[tokio::test]
async fn the_leaves_behind_a_certificate_are_paged_and_only_its_own() {
    on_each_store(async |server| {
        let (fixture, other) = (server.fixture().await, server.fixture().await);
        let names = ["a", "b", "c", "d", "e"];
        observe(server, &fixture, 1, "project", &names).await;
        observe(server, &other, 2, "project", &["x"]).await;
        server.clock.advance(3 * DAY);
        let mut shown = Vec::new();
        let mut after = String::new();
        loop {
            let path = one(&fixture, &format!("/usage?order=asc&limit=2{after}"));
            let page = server.get(&path).ok().await;
            shown.extend(page["data"].as_array().unwrap().clone());
            if page["has_more"] == false {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        let mut subjects: Vec<_> = shown
            .iter()
            .map(|it| it["leaf"]["subject"].clone())
            .collect();
        subjects.sort_by_key(Value::to_string);
        assert_eq!(
            json!(subjects),
            json!(names.map(|name| format!("CN={name}")))
        );
        let first = &shown[0];
        assert_eq!(first["project_id"], fixture.project.as_str());
        assert_eq!(first["active_at_project_id"], fixture.project.as_str());
        assert_eq!(first["api_key_id"], fixture.project_key.as_str());
        assert_eq!(first["requests"], windows(0, 10, 10));
        assert_eq!(first["leaf"]["issuer"], "CN=Client CA");
        assert!(first["leaf"]["expires_at"].is_u64());
        let newest = server.get(&one(&fixture, "/usage?limit=1")).ok().await;
        assert_eq!(newest["data"][0], shown[4]);
        // An entry of another certificate is no place in this list.
        let foreign = server.get(&one(&other, "/usage")).ok().await["first_id"].clone();
        let path = one(
            &fixture,
            &format!("/usage?after={}", foreign.as_str().unwrap()),
        );
        server
            .get(&path)
            .refused("invalid_value", Some("after"))
            .await;
    })
    .await;
}
