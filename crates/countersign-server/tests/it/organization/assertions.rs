//! Assertions: what they say, and that no change of trust breaks one unless it is told to.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{Minted, root};
use countersign_types::digest::Sha256;
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const PATH: &str = "/v1/organization/assertions";
const RUN: &str = "/v1/organization/assertions/run";

/// A project where a CA is enforced, a client under it, and an assertion that the client passes.
struct Scene {
    project: String,
    ca: Minted,
    certificate: String,
    client: Minted,
}

async fn upload(server: &Server, ca: &Minted) -> String {
    let body = json!({ "certificate": ca.pem() });
    let made = server.post("/v1/organization/certificates", body).ok();
    made.await["id"].as_str().unwrap().to_owned()
}

/// The body of an assertion about the chain at the project.
fn about(name: &str, project: Option<&str>, expect: &str, chain: &[&Minted]) -> Value {
    let chain: Vec<_> = chain
        .iter()
        .map(|each| STANDARD.encode(each.der()))
        .collect();
    let mut body = json!({ "name": name, "expect": expect, "chain": chain });
    if let Some(project) = project {
        body["project_id"] = json!(project);
    }
    body
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let ca = root("Client CA").mint();
        let scene = Self {
            project: server.project("Payments").await,
            certificate: upload(server, &ca).await,
            client: ca.leaf("billing").mint(),
            ca,
        };
        let certificates = [scene.certificate.as_str()];
        server
            .toggle("activate", Some(&scene.project), &certificates)
            .await;
        let body = about(
            "billing passes",
            Some(&scene.project),
            "permit",
            &[&scene.client],
        );
        server.post(PATH, body).ok().await;
        scene
    }

    fn at_project(&self, verb: &str) -> String {
        format!(
            "/v1/organization/projects/{}/certificates/{verb}",
            self.project
        )
    }
}

async fn results(server: &Server) -> Value {
    server.request("POST", RUN).ok().await["results"].clone()
}

#[tokio::test]
async fn an_assertion_is_kept_as_it_was_made_and_changes_in_name_and_reason_only() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let intermediate = scene.ca.intermediate("Issuing").mint();
        let leaf = intermediate.leaf("far").mint();
        let chain = [&leaf, &intermediate];
        let mut body = about("far", Some(&scene.project), "deny", &chain);
        body["reason"] = json!("No client of the old office.\nAsk security.");
        body["code"] = json!("certificate_attribute_verification_failed");
        let made = server.post(PATH, body.clone()).ok().await;
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(made[name], *value, "{name}");
        }
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        assert_eq!(server.get(&one).ok().await, made);
        let listed = server.get(&format!("{PATH}?order=asc")).ok().await;
        assert_eq!(listed["data"][1], made);
        let renamed = json!({ "name": "further", "reason": "" });
        let renamed = server.post(&one, renamed).ok().await;
        assert_eq!(
            (&renamed["name"], renamed.get("reason")),
            (&json!("further"), None)
        );
        assert_eq!(renamed["chain"], body["chain"]);
        server
            .post(&one, json!({ "expect": "permit" }))
            .refused("unsupported_parameter", Some("expect"))
            .await;
        let taken = json!({ "name": "billing passes" });
        server
            .post(&one, taken)
            .refused("invalid_value", Some("name"))
            .await;
        server.delete(&one).ok().await;
        server.get(&one).refused("not_found", None).await;
        let log = server.audit("organization.updated").await;
        let words: Vec<_> = log
            .iter()
            .map(|event| &event["organization.updated"]["changes_requested"])
            .collect();
        let id = &made["id"];
        let word = |word: &str, name: &str| json!({ word: { "id": id, "name": name } });
        assert_eq!(*words[0], word("assertion_deleted", "further"));
        assert_eq!(*words[1], word("assertion_updated", "further"));
        assert_eq!(*words[2], word("assertion_created", "far"));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_assertion_is_refused() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let good = about("new", Some(&scene.project), "permit", &[&scene.client]);
        let big = vec![json!(STANDARD.encode(scene.client.der())); 33];
        for (property, value, param) in [
            ("name", json!("billing passes"), "name"),
            ("name", json!(""), "name"),
            ("reason", json!(""), "reason"),
            ("reason", json!("a\0"), "reason"),
            ("reason", json!("x".repeat(1025)), "reason"),
            ("expect", json!("allow"), "expect"),
            ("code", json!("certificate_required"), "code"),
            ("code", json!("not_found"), "code"),
            ("chain", json!(["!"]), "chain[0]"),
            (
                "chain",
                json!([STANDARD.encode("no certificate")]),
                "chain[0]",
            ),
            ("chain", json!(big), "chain"),
        ] {
            let mut body = good.clone();
            body[property] = value;
            server
                .post(PATH, body)
                .refused("invalid_value", Some(param))
                .await;
        }
        let mut elsewhere = good.clone();
        elsewhere["project_id"] = json!("proj_unknown");
        server
            .post(PATH, elsewhere)
            .refused("not_found", None)
            .await;
        let archived = server.project("Old").await;
        let archive = format!("/v1/organization/projects/{archived}/archive");
        server.request("POST", &archive).ok().await;
        let mut late = good.clone();
        late["project_id"] = json!(archived);
        server
            .post(PATH, late)
            .refused("project_archived", None)
            .await;
        assert_eq!(results(server).await.as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_run_says_what_holds_now_and_what_decided_it() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let stranger = root("Other").mint().leaf("stranger").mint();
        let project = Some(scene.project.as_str());
        for (name, expect, chain, code) in [
            ("stranger stays out", "deny", vec![&stranger], None),
            (
                "nobody without",
                "deny",
                vec![],
                Some("certificate_required"),
            ),
            (
                "wrong code",
                "deny",
                vec![&stranger],
                Some("certificate_required"),
            ),
            ("stranger passes", "permit", vec![&stranger], None),
        ] {
            let mut body = about(name, project, expect, &chain);
            if let Some(code) = code {
                body["code"] = json!(code);
            }
            server.post(PATH, body).ok().await;
        }
        let open = about("admins need none", None, "permit", &[]);
        server.post(PATH, open).ok().await;
        let run = server.request("POST", RUN).ok().await;
        assert_eq!(run["holds"], false);
        let found: Vec<_> = run["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| {
                let text = |name: &str| result[name].as_str().unwrap_or("-").to_owned();
                let holds = result["holds"].as_bool().unwrap();
                (text("name"), holds, text("verdict"), text("verdict_code"))
            })
            .collect();
        let failed = "certificate_verification_failed";
        let wanted = [
            ("billing passes", true, "permit", "-"),
            ("stranger stays out", true, "deny", failed),
            ("nobody without", true, "deny", "certificate_required"),
            ("wrong code", false, "deny", failed),
            ("stranger passes", false, "deny", failed),
            ("admins need none", true, "permit", "-"),
        ];
        let wanted = wanted.map(|(name, holds, verdict, code)| {
            (name.to_owned(), holds, verdict.to_owned(), code.to_owned())
        });
        assert_eq!(found, wanted);
        let first = &run["results"][0];
        let why = first["why"].as_str().unwrap();
        assert!(why.contains(&scene.certificate), "{why}");
        assert_eq!(first["leaf"]["subject"], "CN=billing");
        assert_eq!(first["leaf_expired"], false);
    })
    .await;
}

#[tokio::test]
async fn every_change_that_would_break_one_is_refused_with_its_name() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let other = upload(server, &root("Next CA").mint()).await;
        let one = json!({ "certificate_ids": [scene.certificate] });
        let report = json!({ "certificate_ids": [scene.certificate], "enforcement": "report" });
        let [set, replaced] = [json!([]), json!([{ "certificate_id": other }])]
            .map(|active| json!({ "active": active }));
        let policy = format!("/v1/organization/certificates/{}/policy", scene.certificate);
        let archive = format!("/v1/organization/projects/{}/archive", scene.project);
        let nobody = json!({ "cel_policy": "subject.common_name == \"nobody\"" });
        let out = about("nobody without", Some(&scene.project), "deny", &[]);
        server.post(PATH, out).ok().await;
        let revision = server.store.revision().await.unwrap();
        for (path, body, breaks) in [
            (scene.at_project("deactivate"), &one, "nobody without"),
            (scene.at_project("activate"), &report, "nobody without"),
            (scene.at_project("active"), &set, "nobody without"),
            (scene.at_project("active"), &replaced, "billing passes"),
            (policy, &nobody, "billing passes"),
            (archive, &json!({}), "billing passes"),
        ] {
            let message = server
                .post(&path, body.clone())
                .refused("assertion_failed", None)
                .await;
            assert!(
                message.contains(&format!("`{breaks}`")),
                "{path}: {message}"
            );
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
        // What breaks none is made, and its answer is as ever.
        let both = json!({ "certificate_ids": [scene.certificate, other] });
        let answer = server.post(&scene.at_project("activate"), both).await;
        assert!(answer.header("countersign-revision").is_some());
        assert_eq!(answer.expect_ok()["data"][1]["active"], true);
        let elsewhere = server.project("Elsewhere").await;
        server.toggle("activate", Some(&elsewhere), &[&other]).await;
        server
            .toggle("deactivate", Some(&elsewhere), &[&other])
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_rotation_that_would_break_one_neither_starts_nor_ends() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let next = root("Next CA").mint();
        let successor = upload(server, &next).await;
        let out = about(
            "next stays out",
            Some(&scene.project),
            "deny",
            &[&next.leaf("new").mint()],
        );
        let out = server.post(PATH, out).ok().await;
        let rotations = "/v1/organization/rotations";
        let start = json!({
            "old_certificate_id": scene.certificate, "new_certificate_id": successor, "force": true,
        });
        let message = server
            .post(rotations, start.clone())
            .refused("assertion_failed", None)
            .await;
        assert!(
            message.contains("`next stays out` (let through)"),
            "{message}"
        );
        let out = format!("{PATH}/{}", out["id"].as_str().unwrap());
        server.delete(&out).ok().await;
        let started = server.post(rotations, start).ok().await;
        let finish = format!("{rotations}/{}/finish", started["id"].as_str().unwrap());
        let force = json!({ "force": true });
        let message = server
            .post(&finish, force.clone())
            .refused("assertion_failed", None)
            .await;
        assert!(message.contains("`billing passes`"), "{message}");
        let allowed = format!("{finish}?allow_broken_assertions=true");
        assert_eq!(
            server.post(&allowed, force).ok().await["status"],
            "finished"
        );
    })
    .await;
}

#[tokio::test]
async fn one_that_is_broken_already_is_no_hindrance_and_what_is_overridden_is_logged() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let one = json!({ "certificate_ids": [scene.certificate] });
        let other = upload(server, &root("Next CA").mint()).await;
        server
            .toggle("activate", Some(&scene.project), &[&other])
            .await;
        let deactivate = scene.at_project("deactivate");
        let wrong = format!("{deactivate}?allow_broken_assertions=maybe");
        server
            .post(&wrong, one.clone())
            .refused("invalid_value", Some("allow_broken_assertions"))
            .await;
        let allowed = format!("{deactivate}?allow_broken_assertions=true");
        server.post(&allowed, one.clone()).ok().await;
        let log = server.audit("organization.updated").await;
        let change = &log[0]["organization.updated"]["changes_requested"];
        assert_eq!(change["assertion_overridden"]["name"], "billing passes");
        assert_eq!(results(server).await[0]["holds"], false);
        // Another change while it is broken: trust at its scope changes, and nothing is overridden.
        let third = upload(server, &root("Third CA").mint()).await;
        server
            .toggle("activate", Some(&scene.project), &[&third])
            .await;
        server
            .toggle("activate", Some(&scene.project), &[&scene.certificate])
            .await;
        assert_eq!(results(server).await[0]["holds"], true);
        assert_eq!(server.audit("organization.updated").await.len(), log.len());
    })
    .await;
}

/// The organization's anchors apply at a project too, beside its own.
#[tokio::test]
async fn a_change_for_the_organization_is_judged_at_every_project() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let everywhere = root("Everywhere").mint();
        let id = upload(server, &everywhere).await;
        server.toggle("activate", None, &[&id]).await;
        let client = everywhere.leaf("roaming").mint();
        let roaming = about("roaming passes", Some(&scene.project), "permit", &[&client]);
        server.post(PATH, roaming).ok().await;
        assert_eq!(results(server).await[1]["holds"], true);
        let body = json!({ "certificate_ids": [id] });
        let message = server
            .post("/v1/organization/certificates/deactivate", body)
            .refused("assertion_failed", None)
            .await;
        assert!(message.contains("`roaming passes`"), "{message}");
    })
    .await;
}

/// A preview says what the change would be refused for, and is not refused itself.
#[tokio::test]
async fn a_preview_shows_what_would_break() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let other = upload(server, &root("Next CA").mint()).await;
        server
            .toggle("activate", Some(&scene.project), &[&other])
            .await;
        let body = json!({ "certificate_ids": [scene.certificate], "preview": true });
        let preview = server
            .post(&scene.at_project("deactivate"), body)
            .ok()
            .await;
        let changes =
            json!({ "changes": [{ "type": "archive_project", "project_id": scene.project }] });
        let changes = server
            .post("/v1/organization/changes/preview", changes)
            .ok()
            .await;
        for (preview, code) in [
            (&preview, "certificate_verification_failed"),
            (&changes, "invalid_api_key"),
        ] {
            let breaks = &preview["breaks_assertions"];
            assert_eq!(breaks.as_array().unwrap().len(), 1, "{preview}");
            assert_eq!(breaks[0]["name"], "billing passes");
            assert_eq!(breaks[0]["verdict_code"], code);
        }
        let harmless = json!({ "certificate_ids": [other], "preview": true });
        let preview = server
            .post(&scene.at_project("deactivate"), harmless)
            .ok()
            .await;
        assert_eq!(preview.get("breaks_assertions"), None);
    })
    .await;
}

/// An expired leaf is refused whatever is trusted: no change is at fault, and a run says so.
#[tokio::test]
async fn an_expired_leaf_blocks_nothing_and_is_shown_as_expired() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        server.clock.advance(40 * 365 * 24 * 60 * 60);
        let result = results(server).await[0].clone();
        assert_eq!(
            (&result["holds"], &result["leaf_expired"]),
            (&json!(false), &json!(true))
        );
        let one = [scene.certificate.as_str()];
        server
            .toggle("deactivate", Some(&scene.project), &one)
            .await;
    })
    .await;
}

/// The chain comes with the observed traffic, so that nobody must have the client's file.
#[tokio::test]
async fn one_may_be_about_a_client_that_gateways_saw() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let fixture = server.fixture().await;
        let path = [&scene.client, &scene.ca].map(|each| STANDARD.encode(each.der()));
        let chain = [&scene.client, &scene.ca].map(|each| each.der().to_vec().into());
        let digest = Presented::new(chain.to_vec()).sha256();
        let seen = json!({
            "organization": server.organization, "project": fixture.project,
            "key": fixture.project_key, "chain": digest.to_string(), "anchor": scene.certificate,
            "anchor_scope": "project",
            "requests": 1, "first_seen": START, "last_seen": START,
        });
        let batch = json!({
            "gateway": "gw_saw", "number": 1, "observations": [seen],
            "chains": [{ "organization": server.organization, "certificates": path }],
        });
        let key = server.gateway_key().await;
        server
            .post("/v1/countersign/observations", batch)
            .key(&key)
            .ok()
            .await;
        let leaf = Sha256::of(scene.client.der()).to_string();
        let body = json!({
            "name": "seen", "project_id": scene.project, "expect": "permit", "leaf_sha256": leaf,
        });
        let made = server.post(PATH, body.clone()).ok().await;
        assert_eq!(made["chain"], json!(path));
        let mut unknown = body.clone();
        unknown["name"] = json!("unknown");
        unknown["leaf_sha256"] = json!("0".repeat(64));
        let refused = |body: Value| server.post(PATH, body);
        refused(unknown.clone())
            .refused("invalid_value", Some("leaf_sha256"))
            .await;
        unknown["chain"] = json!([]);
        refused(unknown)
            .refused("invalid_value", Some("leaf_sha256"))
            .await;
        let writer = server.key_with(&["api.mtls.write"]).await;
        refused(body)
            .key(&writer)
            .refused("missing_scope", None)
            .await;
    })
    .await;
}
