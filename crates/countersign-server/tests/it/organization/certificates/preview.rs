use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{Minted, root};
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use super::PATH;
use crate::harness::{Fixture, START, Server, on_each_store};

const DAY: u64 = 24 * 60 * 60;

/// Observes requests of the fixture's key, with this leaf or none.
async fn observe(server: &Server, fixture: &Fixture, number: u64, leaf: Option<&Minted>) {
    let der = leaf.map(|leaf| leaf.der().to_vec());
    let digest = |der: &Vec<u8>| Presented::new(vec![der.clone().into()]).sha256();
    let mut seen = json!({
        "organization": server.organization, "project": fixture.project,
        "key": fixture.project_key, "requests": number, "first_seen": START, "last_seen": START,
    });
    let mut chains = Vec::new();
    if let Some(der) = &der {
        seen["chain"] = json!(digest(der).to_string());
        chains.push(json!({
            "organization": server.organization, "certificates": [STANDARD.encode(der)],
        }));
    }
    let body = json!({
        "gateway": "gw_test", "number": number, "chains": chains, "observations": [seen],
    });
    let key = server.gateway_key().await;
    let post = server.post("/v1/countersign/observations", body).key(&key);
    assert_eq!(post.ok().await["accepted"], 1);
}

/// The four operations, each with the object of its preview.
fn operations(fixture: &Fixture) -> [(String, &'static str); 4] {
    let at_project = format!("/v1/organization/projects/{}/certificates", fixture.project);
    [
        (
            format!("{PATH}/activate"),
            "organization.certificate.activation.preview",
        ),
        (
            format!("{PATH}/deactivate"),
            "organization.certificate.deactivation.preview",
        ),
        (
            format!("{at_project}/activate"),
            "organization.project.certificate.activation.preview",
        ),
        (
            format!("{at_project}/deactivate"),
            "organization.project.certificate.deactivation.preview",
        ),
    ]
}

async fn upload(server: &Server, ca: &Minted) -> String {
    let body = json!({ "certificate": ca.pem() });
    let made = server.post(PATH, body).ok().await;
    made["id"].as_str().unwrap().to_owned()
}

fn codes(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| entry["code"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn it_names_who_would_be_refused_and_changes_nothing() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let ca = root("Client CA").mint();
        let id = upload(server, &ca).await;
        observe(server, &fixture, 1, None).await;
        observe(server, &fixture, 2, Some(&ca.leaf("billing").mint())).await;
        observe(
            server,
            &fixture,
            3,
            Some(&root("Other").mint().leaf("old").mint()),
        )
        .await;
        let revision = server.store.revision().await.unwrap();
        let log = server.get("/v1/organization/audit_logs").ok().await;
        let list = server.get(PATH).ok().await;
        let body = json!({ "certificate_ids": [id], "preview": true });
        for (path, object) in operations(&fixture) {
            let answer = server.post(&path, body.clone()).send().await;
            assert_eq!(answer.header("countersign-revision"), None);
            let preview = answer.expect_ok();
            assert_eq!(preview["object"], object);
            assert_eq!(preview["knows_nothing"], false);
            assert_eq!(
                (&preview["workloads"], &preview["requests"]),
                (&json!(3), &json!(6))
            );
            assert_eq!(preview["identities"], 2);
            let activates = !path.ends_with("deactivate");
            assert_eq!(preview["data"][0]["active"], activates);
            let failing = &preview["starts_to_fail"];
            if !activates {
                assert_eq!(failing, &json!([]), "it is not active");
                assert_eq!(preview["still_passing"], 3);
                continue;
            }
            let expected = ["certificate_verification_failed", "certificate_required"];
            assert_eq!(codes(failing), expected);
            assert_eq!(failing[0]["key"], fixture.project_key.as_str());
            assert_eq!(failing[0]["project"], fixture.project.as_str());
            assert!(
                failing[0]["leaf"]["subject"]
                    .as_str()
                    .unwrap()
                    .contains("old")
            );
            assert_eq!(
                (&failing[0]["requests"], &failing[0]["of_requests"]),
                (&json!(3), &json!(6))
            );
            assert_eq!(failing[1].get("leaf"), None);
            assert_eq!(preview["still_passing"], 1);
        }
        assert_eq!(server.get("/v1/organization/audit_logs").ok().await, log);
        assert_eq!(server.get(PATH).ok().await, list);
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn a_deactivation_shows_when_the_anchor_was_last_used_and_who_relies_on_it() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let (old, new) = (root("Old").mint(), root("New").mint());
        let ids = [upload(server, &old).await, upload(server, &new).await];
        let all: Vec<&str> = ids.iter().map(String::as_str).collect();
        server
            .toggle("activate", Some(&fixture.project), &all)
            .await;
        observe(server, &fixture, 1, Some(&old.leaf("a").mint())).await;
        observe(server, &fixture, 2, Some(&new.leaf("b").mint())).await;
        observe(server, &fixture, 3, None).await;
        let path = format!(
            "/v1/organization/projects/{}/certificates/deactivate",
            fixture.project
        );
        let body = |ids: &[&str]| json!({ "certificate_ids": ids, "preview": true });
        let one = server.post(&path, body(&all[..1])).ok().await;
        assert_eq!(
            codes(&one["starts_to_fail"]),
            ["certificate_verification_failed"]
        );
        assert_eq!(one["last_used"], START);
        assert_eq!(
            (&one["still_passing"], &one["still_failing"]),
            (&json!(1), &json!(1))
        );
        // Without any anchor the key alone opens.
        let both = server.post(&path, body(&all)).ok().await;
        assert_eq!(codes(&both["starts_to_fail"]), [""; 0]);
        assert_eq!(codes(&both["starts_to_pass"]), ["certificate_required"]);
        assert_eq!(both["last_used"], START);
    })
    .await;
}

#[tokio::test]
async fn report_only_breaks_nothing_and_shows_what_enforcing_would() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let id = server.upload("Example Root").await;
        observe(server, &fixture, 1, None).await;
        let path = format!("{PATH}/activate");
        let body = json!({ "certificate_ids": [id], "enforcement": "report", "preview": true });
        for _ in 0..2 {
            let preview = server.post(&path, body.clone()).ok().await;
            assert_eq!(preview["data"][0]["enforcement"], "report");
            assert_eq!(preview["starts_to_fail"], json!([]));
            assert_eq!(
                codes(&preview["would_fail_once_enforced"]),
                ["certificate_required"]
            );
            let real = json!({ "certificate_ids": [id], "enforcement": "report" });
            server.post(&path, real).ok().await;
        }
        // What is enforced, and would only be reported: that lets people in.
        server.toggle("activate", None, &[&id]).await;
        let preview = server.post(&path, body).ok().await;
        assert_eq!(codes(&preview["starts_to_pass"]), ["certificate_required"]);
    })
    .await;
}

#[tokio::test]
async fn without_observations_it_says_that_it_knows_nothing() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let body = json!({ "certificate_ids": [fixture.certificate], "preview": true });
        for (path, _) in operations(&fixture) {
            let preview = server.post(&path, body.clone()).ok().await;
            assert_eq!(preview["knows_nothing"], true);
            assert_eq!(preview["since"], Value::Null);
            assert_eq!(preview["unobserved_projects"], json!([fixture.project]));
        }
        // Another project's traffic says nothing of this one.
        let other = server.fixture().await;
        observe(server, &other, 1, None).await;
        let preview = server
            .post(&operations(&fixture)[2].0, body.clone())
            .ok()
            .await;
        assert_eq!(preview["knows_nothing"], true);
        let preview = server.post(&operations(&fixture)[0].0, body).ok().await;
        assert_eq!(preview["knows_nothing"], false);
        assert_eq!(preview["unobserved_projects"], json!([fixture.project]));
    })
    .await;
}

#[tokio::test]
async fn it_is_refused_for_what_the_change_itself_is_refused_for() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let foreign = server.other_organization().await;
        let now = i64::try_from(START).unwrap();
        let short = root("Short").valid(0, now + 100_000).mint();
        let short = upload(server, &short).await;
        server.clock.advance(2 * DAY);
        let revision = server.store.revision().await.unwrap();
        let at = |place: usize| Some(["certificate_ids[0]", "certificate_ids[1]"][place]);
        let good = &fixture.certificate;
        for (path, _) in operations(&fixture) {
            let post =
                |ids: Value| server.post(&path, json!({ "certificate_ids": ids, "preview": true }));
            post(json!([good, "cert_unknown"]))
                .refused("not_found", at(1))
                .await;
            let theirs = post(json!([good])).key(&foreign);
            let answer = theirs.send().await;
            assert_eq!(answer.status, 404);
            post(json!([]))
                .refused("invalid_value", Some("certificate_ids"))
                .await;
            if path.ends_with("/activate") {
                post(json!([good, short]))
                    .refused("expired_certificate", at(1))
                    .await;
            } else {
                post(json!([good, short])).ok().await;
            }
            for wrong in [json!(null), json!("true"), json!(1), json!([])] {
                let body = json!({ "certificate_ids": [good], "preview": wrong });
                server
                    .post(&path, body)
                    .refused("invalid_value", Some("preview"))
                    .await;
            }
        }
        let archive = format!("/v1/organization/projects/{}/archive", fixture.project);
        server.post(&archive, json!({})).ok().await;
        let body = json!({ "certificate_ids": [good], "preview": true });
        let [_, _, (activate, _), (deactivate, _)] = operations(&fixture);
        server
            .post(&activate, body.clone())
            .refused("project_archived", None)
            .await;
        server.post(&deactivate, body).ok().await;
        assert_eq!(server.store.revision().await.unwrap(), revision + 1);
        let body = json!({ "certificate_ids": [good], "preview": false });
        server.post(&operations(&fixture)[0].0, body).ok().await;
        assert_eq!(server.store.revision().await.unwrap(), revision + 2);
    })
    .await;
}

const CHANGES: &str = "/v1/organization/changes/preview";

#[tokio::test]
async fn whatever_takes_a_key_or_a_policy_away_is_previewed_together() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let (old, new) = (root("Old").mint(), root("New").mint());
        let id = upload(server, &old).await;
        let (project, key) = (&fixture.project, &fixture.project_key);
        server.toggle("activate", Some(project), &[&id]).await;
        observe(server, &fixture, 1, Some(&old.leaf("a").mint())).await;
        observe(server, &fixture, 2, Some(&new.leaf("b").mint())).await;
        let log = server.get("/v1/organization/audit_logs").ok().await;
        let preview = async |changes: Value| {
            let answer = server.post(CHANGES, json!({ "changes": changes })).send();
            let answer = answer.await;
            assert_eq!(answer.header("countersign-revision"), None);
            let preview = answer.expect_ok();
            assert_eq!(preview["object"], "organization.changes.preview");
            let codes = |list| codes(&preview[list]).join(",");
            (codes("starts_to_fail"), codes("starts_to_pass"), preview["last_used"].clone())
        };
        let policy = |text: Value| {
            json!({ "type": "set_certificate_policy", "certificate_id": id, "cel_policy": text })
        };
        let nobody = json!("subject.common_name == \"nobody\"");
        let none = (String::new(), String::new(), Value::Null);
        let failed = "certificate_verification_failed".to_owned();
        let refused = (
            "certificate_attribute_verification_failed".to_owned(),
            String::new(),
            Value::Null,
        );
        assert_eq!(preview(json!([policy(nobody.clone())])).await, refused);
        assert_eq!(preview(json!([policy(nobody), policy(Value::Null)])).await, none);
        let gone = ("invalid_api_key".to_owned(), String::new(), json!(START));
        let archive = json!({ "type": "archive_project", "project_id": project });
        assert_eq!(preview(json!([archive])).await, gone);
        let delete = json!({ "type": "delete_project_api_key", "project_id": project, "key_id": key });
        assert_eq!(preview(json!([delete])).await, gone);
        let uploaded = json!({ "type": "upload_certificate", "certificate": new.pem() });
        let set = json!({
            "type": "set_active_certificates", "project_id": project, "active": [{ "upload": 0 }],
        });
        let replaced = (failed.clone(), failed, json!(START));
        assert_eq!(preview(json!([uploaded, set])).await, replaced);
        let both = json!({
            "type": "set_active_certificates", "project_id": project,
            "active": [{ "certificate_id": id }, { "upload": 0 }],
        });
        let uploaded = json!({ "type": "upload_certificate", "certificate": new.pem() });
        let admitted = (String::new(), "certificate_verification_failed".to_owned(), Value::Null);
        assert_eq!(preview(json!([uploaded, both])).await, admitted);
        assert_eq!(server.get("/v1/organization/audit_logs").ok().await, log);
    })
    .await;
}

#[tokio::test]
async fn a_preview_of_changes_is_refused_for_what_the_change_is_and_names_it() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let refused = async |changes: Value, code: &str, param: &str| {
            let body = json!({ "changes": changes });
            server.post(CHANGES, body).refused(code, Some(param)).await;
        };
        refused(json!([]), "invalid_value", "changes").await;
        refused(json!(vec![json!({ "type": "archive_project", "project_id": fixture.project }); 201]),
            "invalid_value", "changes").await;
        let unknown = json!({ "type": "grant_everything" });
        refused(json!([unknown]), "invalid_value", "changes[0].type").await;
        let good = json!({ "type": "archive_project", "project_id": fixture.project });
        let leaf = json!({ "type": "upload_certificate", "certificate": "no PEM" });
        refused(json!([good, leaf]), "mtls_certificate_invalid", "changes[1].certificate").await;
        let policy = json!({
            "type": "set_certificate_policy", "certificate_id": fixture.certificate, "cel_policy": "(",
        });
        refused(json!([policy]), "mtls_cel_policy_invalid", "changes[0].cel_policy").await;
        for active in [json!({}), json!({ "upload": 0, "certificate_id": fixture.certificate })] {
            let set = json!({ "type": "set_active_certificates", "active": [active] });
            refused(json!([set]), "invalid_value", "changes[0].active[0]").await;
        }
        let set = json!({ "type": "set_active_certificates", "active": [{ "upload": 0 }] });
        refused(json!([set]), "invalid_value", "changes[0].active[0].upload").await;
        let foreign = server.other_organization().await;
        let archive = json!({ "changes": [{ "type": "archive_project", "project_id": fixture.project }] });
        let theirs = server.post(CHANGES, archive).key(&foreign).send().await;
        assert_eq!(theirs.status, 404);
    })
    .await;
}

const MAKE: &str = "/v1/organization/changes";

#[tokio::test]
async fn changes_are_made_together_or_not_at_all() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let id = upload(server, &root("New").mint()).await;
        let project = &fixture.project;
        let policy = |text: &str, enforcement: &str| {
            json!({
                "type": "set_certificate_policy", "certificate_id": id, "cel_policy": text,
                "enforcement": enforcement,
            })
        };
        let set = |at: Option<&str>, active: &[&str], expected: &[&str]| {
            let all = |ids: &[&str]| -> Vec<Value> {
                ids.iter()
                    .map(|id| json!({ "certificate_id": id }))
                    .collect()
            };
            let mut change = json!({
                "type": "set_active_certificates", "active": all(active), "expected": all(expected),
            });
            if let Some(project) = at {
                change["project_id"] = json!(project);
            }
            change
        };
        let revision = server.store.revision().await.unwrap();
        let changed = set(Some(project), &[&id], &[&fixture.certificate]);
        let body = json!({ "changes": [policy("true", "enforce"), changed] });
        server
            .post(MAKE, body)
            .refused("scope_changed", Some("changes[1].expected"))
            .await;
        let archive = json!({ "type": "archive_project", "project_id": project });
        server
            .post(
                MAKE,
                json!({ "changes": [policy("true", "enforce"), archive] }),
            )
            .refused("invalid_value", Some("changes[1].type"))
            .await;
        assert_eq!(server.store.revision().await.unwrap(), revision);
        let changes = json!([
            policy("true", "enforce"),
            policy("false", "report"),
            set(Some(project), &[&id], &[]),
            set(None, &[&id], &[]),
        ]);
        let made = server.post(MAKE, json!({ "changes": changes })).ok().await;
        assert_eq!(
            made,
            json!({ "object": "organization.changes", "count": 4 })
        );
        assert_eq!(server.store.revision().await.unwrap(), revision + 1);
        let path = format!("/v1/organization/certificates/{id}?include[]=active_at");
        let found = server.get(&path).ok().await;
        assert_eq!(found["cel_policy"], "true");
        assert_eq!(found["reported_policy"], "false");
        assert_eq!(found["active_at"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_preview_shows_traffic_only_to_who_may_read_it() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let writer = server.key_with(&["api.mtls.write"]).await;
        for (path, _) in operations(&fixture) {
            let body = json!({ "certificate_ids": [fixture.certificate], "preview": true });
            let message = server.post(&path, body.clone()).key(&writer);
            let message = message.refused("missing_scope", None).await;
            assert!(message.contains("api.mtls.read"), "{message}");
            let real = json!({ "certificate_ids": [fixture.certificate] });
            server.post(&path, real).key(&writer).ok().await;
        }
    })
    .await;
}
