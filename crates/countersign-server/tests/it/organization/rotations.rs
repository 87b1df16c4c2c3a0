//! Rotations, with real chains that a gateway reports.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{Minted, root};
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const PATH: &str = "/v1/organization/rotations";

/// Two anchors, the old one enforced for a project, and a workload of it.
struct Scene<'a> {
    server: &'a Server,
    old: Anchor,
    new: Anchor,
    project: String,
    key: String,
    gateway: String,
}

struct Anchor {
    id: String,
    minted: Minted,
}

async fn anchor(server: &Server, name: &str) -> Anchor {
    let minted = root(name).mint();
    let body = json!({ "name": name, "certificate": minted.pem() });
    let made = server
        .post("/v1/organization/certificates", body)
        .ok()
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    Anchor { id, minted }
}

impl<'a> Scene<'a> {
    async fn new(server: &'a Server) -> Self {
        let (old, new) = (anchor(server, "Old").await, anchor(server, "New").await);
        let fixture = server.fixture().await;
        server
            .toggle("activate", Some(&fixture.project), &[&old.id])
            .await;
        Self {
            server,
            old,
            new,
            project: fixture.project,
            key: fixture.project_key,
            gateway: server.gateway_key().await,
        }
    }

    fn request(&self) -> Value {
        json!({ "old_certificate_id": self.old.id, "new_certificate_id": self.new.id })
    }

    async fn start(&self) -> String {
        let started = self.server.post(PATH, self.request()).ok().await;
        started["id"].as_str().unwrap().to_owned()
    }

    /// A gateway saw the workload with a leaf under this anchor, at a time.
    async fn sees(&self, number: u64, under: &Anchor, at: u64) {
        let leaf = under.minted.leaf("billing").mint();
        self.sees_these(number, &[leaf.der()], &under.id, at).await;
    }

    /// A gateway saw a leaf and the intermediate above it, verified under an anchor above both.
    async fn sees_chain(&self, number: u64, issuing: &Anchor, anchor: &str) {
        let leaf = issuing.minted.leaf("billing").mint();
        let chain = [leaf.der(), issuing.minted.der()];
        self.sees_these(number, &chain, anchor, START).await;
    }

    async fn sees_these(&self, number: u64, chain: &[&[u8]], anchor: &str, at: u64) {
        let presented = chain.iter().map(|der| der.to_vec().into()).collect();
        let digest = Presented::new(presented).sha256();
        let chain: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        let organization = &self.server.organization;
        let batch = json!({
            "gateway": "gw_test",
            "number": number,
            "chains": [{ "organization": organization, "certificates": chain }],
            "observations": [{
                "organization": organization, "project": self.project, "key": self.key,
                "chain": digest.to_string(), "anchor": anchor, "anchor_scope": "project",
                "requests": 3, "first_seen": at, "last_seen": at,
            }],
        });
        let path = "/v1/countersign/observations";
        let answer = self.server.post(path, batch).key(&self.gateway).ok().await;
        assert_eq!(answer["accepted"], 1, "{answer}");
    }

    async fn progress(&self, id: &str) -> Value {
        self.server.get(&format!("{PATH}/{id}")).ok().await["progress"].clone()
    }

    async fn end(&self, id: &str, how: &str, body: Value) -> crate::harness::Request {
        self.server.post(&format!("{PATH}/{id}/{how}"), body)
    }

    /// What is active at the project, by name, with how.
    async fn active(&self) -> Vec<String> {
        let path = format!(
            "/v1/organization/projects/{}/certificates?order=asc",
            self.project
        );
        let listed = self.server.get(&path).ok().await;
        let all = listed["data"].as_array().unwrap().iter();
        all.filter(|each| each["active"] == true)
            .map(|each| {
                let how = each["enforcement"].as_str().unwrap_or("enforce");
                format!("{} {how}", each["name"].as_str().unwrap())
            })
            .collect()
    }
}

#[tokio::test]
async fn both_are_accepted_and_who_stays_behind_is_named() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        scene.sees(1, &scene.old, START).await;
        let started = server.post(PATH, scene.request()).ok().await;
        let id = started["id"].as_str().unwrap();
        assert_eq!(started["status"], "in_progress");
        assert_eq!(
            started["scopes"],
            json!([{
                "project_id": scene.project,
                "old_enforcement": "enforce",
                "new_enforcement": "enforce",
            }])
        );
        assert_eq!(scene.active().await, ["Old enforce", "New enforce"]);

        let progress = scene.progress(id).await;
        assert_eq!(
            (&progress["observed"], &progress["moved_count"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(progress["remaining"][0]["key"], scene.key.as_str());
        assert_eq!(progress["remaining"][0]["requests"], 3);
        assert_eq!(
            progress["failing"][0]["code"],
            "certificate_verification_failed"
        );
        assert!(
            progress["failing"][0]["leaf"]["subject"]
                .as_str()
                .unwrap()
                .contains("billing")
        );
        let refused = scene.end(id, "finish", json!({})).await;
        let message = refused.refused("rotation_not_ready", None).await;
        assert!(message.contains("1 of 1 workloads"), "{message}");
        assert_eq!(scene.active().await, ["Old enforce", "New enforce"]);
    })
    .await;
}

#[tokio::test]
async fn once_all_have_moved_it_is_finished_once() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let id = &scene.start().await;
        // It moves; the old chain counts until it was not seen for long enough.
        scene.sees(1, &scene.old, START).await;
        server.clock.advance(100);
        scene.sees(2, &scene.new, START + 100).await;
        let progress = scene.progress(id).await;
        assert_eq!(
            (&progress["moved_count"], &progress["failing_count"]),
            (&json!(1), &json!(1))
        );
        let path = format!("{PATH}/{id}?seen_within=50");
        let lately = server.get(&path).ok().await["progress"].clone();
        assert_eq!(
            (&lately["observed"], &lately["failing_count"]),
            (&json!(1), &json!(0))
        );
        let body = json!({ "seen_within": 50 });
        let finished = scene.end(id, "finish", body.clone()).await.ok().await;
        assert_eq!(finished["status"], "finished");
        assert_eq!(finished["ended_at"], START + 100);
        assert_eq!(finished.get("progress"), None);
        assert_eq!(scene.active().await, ["New enforce"]);
        let revision = server.store.revision().await.unwrap();
        assert_eq!(scene.end(id, "finish", body).await.ok().await, finished);
        assert_eq!(server.store.revision().await.unwrap(), revision, "once");
        let message = scene.end(id, "abort", json!({})).await;
        message.refused("rotation_ended", None).await;

        let path = format!("/v1/organization/audit_logs?resource_ids[]={id}");
        let log = server.get(&path).ok().await;
        let statuses: Vec<_> = log["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                event["certificate.updated"]["rotation"]["status"]
                    .as_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(statuses, ["finished", "in_progress"]);
    })
    .await;
}

#[tokio::test]
async fn without_observations_it_knows_nothing() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let id = scene.start().await;
        let progress = scene.progress(&id).await;
        assert_eq!(progress["observed"], 0);
        assert_eq!(progress["unseen"], json!([scene.key]));
        let message = scene.end(&id, "finish", json!({})).await;
        let message = message.refused("rotation_not_ready", None).await;
        assert!(message.contains("Nothing is known"), "{message}");
        scene
            .end(&id, "finish", json!({ "force": true }))
            .await
            .ok()
            .await;
        assert_eq!(scene.active().await, ["New enforce"]);
    })
    .await;
}

#[tokio::test]
async fn report_only_is_promoted_at_the_end_and_never_above_the_old_one() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let path = "/v1/organization/certificates/activate";
        let body = json!({ "certificate_ids": [scene.old.id], "enforcement": "report" });
        server.post(path, body).ok().await;
        let mut request = scene.request();
        request["enforcement"] = json!("report");
        let started = server.post(PATH, request).ok().await;
        let id = started["id"].as_str().unwrap();
        assert_eq!(scene.active().await, ["Old enforce", "New report"]);
        let how: Vec<_> = started["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scope| (&scope["project_id"], &scope["new_enforcement"]))
            .collect();
        let (project, report) = (json!(scene.project), json!("report"));
        assert_eq!(how, [(&Value::Null, &report), (&project, &report)]);
        let body = json!({ "force": true });
        let finished = scene.end(id, "finish", body).await.ok().await;
        assert_eq!(scene.active().await, ["New enforce"]);
        assert_eq!(
            finished["scopes"][0]["new_enforcement"], "report",
            "the organization is not armed by it"
        );
    })
    .await;
}

/// What a start cannot be asked for: the property that differs, its value, the code, the parameter.
/// `OLD`, `IDLE`, `SHORT` and `ELSEWHERE` are ids.
const NONSENSE: [(&str, &str, &str, &str); 10] = [
    (
        "new_certificate_id",
        r#""OLD""#,
        "invalid_value",
        "new_certificate_id",
    ),
    (
        "old_certificate_id",
        r#""IDLE""#,
        "invalid_value",
        "old_certificate_id",
    ),
    (
        "old_certificate_id",
        r#""cert_x""#,
        "not_found",
        "old_certificate_id",
    ),
    (
        "new_certificate_id",
        r#""cert_x""#,
        "not_found",
        "new_certificate_id",
    ),
    (
        "new_certificate_id",
        "1",
        "invalid_value",
        "new_certificate_id",
    ),
    (
        "new_certificate_id",
        r#""SHORT""#,
        "expired_certificate",
        "new_certificate_id",
    ),
    ("project_ids", "[]", "invalid_value", "project_ids"),
    (
        "project_ids",
        r#"["ELSEWHERE"]"#,
        "invalid_value",
        "project_ids[0]",
    ),
    (
        "project_ids",
        r#"["proj_x"]"#,
        "not_found",
        "project_ids[0]",
    ),
    ("enforcement", r#""maybe""#, "invalid_value", "enforcement"),
];

#[tokio::test]
async fn nonsense_is_refused() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let idle = server.upload("Idle").await;
        let elsewhere = server.project("Elsewhere").await;
        let now = i64::try_from(START).unwrap();
        let short = root("Short").valid(0, now + 100_000).mint().pem();
        let short = json!({ "certificate": short });
        let path = "/v1/organization/certificates";
        let short = server.post(path, short).ok().await["id"].clone();
        server.clock.advance(100_000);
        for (name, value, code, param) in NONSENSE {
            let value = value
                .replace("OLD", &scene.old.id)
                .replace("IDLE", &idle)
                .replace("SHORT", short.as_str().unwrap())
                .replace("ELSEWHERE", &elsewhere);
            let mut request = scene.request();
            request[name] = serde_json::from_str(&value).unwrap();
            server.post(PATH, request).refused(code, Some(param)).await;
        }
        assert_eq!(scene.active().await, ["Old enforce"]);
        let list = server.get(PATH).ok().await;
        assert_eq!(list["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_second_rotation_of_either_is_refused() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let idle = server.upload("Idle").await;
        let id = scene.start().await;
        for (old, new) in [
            (&scene.old.id, &idle),
            (&scene.new.id, &idle),
            (&scene.new.id, &scene.old.id),
        ] {
            let body = json!({ "old_certificate_id": old, "new_certificate_id": new });
            let second = server.post(PATH, body);
            let message = second.refused("rotation_in_progress", None).await;
            assert!(message.contains(&id), "{message}");
        }
        for wrong in [json!({ "seen_within": 0 }), json!({ "seen_within": "1d" })] {
            let ended = scene.end(&id, "finish", wrong).await;
            ended.refused("invalid_value", Some("seen_within")).await;
        }
        for id in ["rot_unknown", "x"] {
            let ended = scene.end(id, "abort", json!({ "force": true })).await;
            ended.refused("not_found", None).await;
        }
    })
    .await;
}

#[tokio::test]
async fn aborting_takes_back_what_it_did_and_no_more() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        // At the organization the new one is active before, only reported.
        server.toggle("activate", None, &[&scene.old.id]).await;
        let path = "/v1/organization/certificates/activate";
        let body = json!({ "certificate_ids": [scene.new.id], "enforcement": "report" });
        server.post(path, body).ok().await;
        let id = scene.start().await;
        scene.sees(1, &scene.old, START).await;
        scene.sees(2, &scene.new, START).await;
        let message = scene.end(&id, "abort", json!({})).await;
        message.refused("rotation_not_ready", None).await;
        assert_eq!(scene.active().await, ["Old enforce", "New enforce"]);
        let aborted = scene
            .end(&id, "abort", json!({ "force": true }))
            .await
            .ok()
            .await;
        assert_eq!(aborted["status"], "aborted");
        assert_eq!(scene.active().await, ["Old enforce"]);
        assert_eq!(
            aborted["scopes"][0]["new_enforcement"], "report",
            "as it was"
        );
        let message = scene.end(&id, "finish", json!({ "force": true })).await;
        message.refused("rotation_ended", None).await;
        scene.start().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_named() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let id = scene.start().await;
        let project = Some(scene.project.as_str());
        let force = json!({ "force": true });
        let problems = async || scene.progress(&id).await["problems"].to_string();

        server.toggle("deactivate", project, &[&scene.new.id]).await;
        assert!(
            problems()
                .await
                .contains("The new certificate was deactivated")
        );
        let ended = scene.end(&id, "finish", force.clone()).await;
        ended.refused("rotation_not_ready", None).await;
        assert_eq!(scene.active().await, ["Old enforce"], "never open");

        server
            .delete(&format!("/v1/organization/certificates/{}", scene.new.id))
            .ok()
            .await;
        assert!(problems().await.contains("The new certificate was deleted"));
        let ended = scene.end(&id, "finish", force.clone()).await;
        ended.refused("rotation_not_ready", None).await;
        scene.end(&id, "abort", json!({})).await.ok().await;
        assert_eq!(scene.active().await, ["Old enforce"]);

        let next = anchor(server, "Next").await;
        let body = json!({ "old_certificate_id": scene.old.id, "new_certificate_id": next.id });
        let id = server.post(PATH, body).ok().await["id"].clone();
        let id = id.as_str().unwrap();
        server.toggle("deactivate", project, &[&scene.old.id]).await;
        // The new one is all that is left: taking it back would open the scope.
        let message = scene.end(id, "abort", json!({})).await;
        let message = message.refused("rotation_not_ready", None).await;
        assert!(message.contains("nothing would be enforced"), "{message}");
        let message = scene.end(id, "finish", json!({})).await;
        let message = message.refused("rotation_not_ready", None).await;
        assert!(
            message.contains("The old certificate was deactivated"),
            "{message}"
        );
        scene.end(id, "finish", force).await.ok().await;
        assert_eq!(scene.active().await, ["Next enforce"]);
    })
    .await;
}

#[tokio::test]
async fn one_of_two_operators_wins() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let (one, two) = tokio::join!(
            server.post(PATH, scene.request()).send(),
            server.post(PATH, scene.request()).send()
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        let list = server.get(PATH).ok().await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        let id = list["data"][0]["id"].as_str().unwrap();
        let force = || json!({ "force": true });
        let (finish, abort) = tokio::join!(
            async { scene.end(id, "finish", force()).await.send().await },
            async { scene.end(id, "abort", force()).await.send().await }
        );
        let mut statuses = [finish.status, abort.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        let ended = server.get(&format!("{PATH}/{id}")).ok().await;
        let wanted = if finish.status == 200 { "New" } else { "Old" };
        assert_eq!(
            scene.active().await,
            [format!("{wanted} enforce")],
            "{ended}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_changes_while_it_is_judged_is_judged_too() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let id = scene.start().await;
        scene.sees(1, &scene.new, START).await;
        // Each of these changes the organization; none of them can be lost or break the finish.
        let others = async {
            for number in 0..3 {
                server.project(&format!("Other {number}")).await;
            }
        };
        let finish = async { scene.end(&id, "finish", json!({})).await.ok().await };
        let (finished, ()) = tokio::join!(finish, others);
        assert_eq!(finished["status"], "finished");
        assert_eq!(scene.active().await, ["New enforce"]);
    })
    .await;
}

#[tokio::test]
async fn another_projects_traffic_neither_counts_nor_helps() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let id = scene.start().await;
        let other = server.fixture().await;
        let elsewhere = Scene {
            server,
            old: anchor(server, "Elsewhere").await,
            new: anchor(server, "Nowhere").await,
            project: other.project,
            key: other.project_key,
            gateway: server.gateway_key().await,
        };
        let scope = Some(elsewhere.project.as_str());
        server.toggle("activate", scope, &[&elsewhere.old.id]).await;
        elsewhere.sees(1, &elsewhere.old, START).await;
        let progress = scene.progress(&id).await;
        assert_eq!(progress["observed"], 0, "{progress}");
        let finish = scene.end(&id, "finish", json!({})).await;
        let message = finish.refused("rotation_not_ready", None).await;
        assert!(message.contains("Nothing is known"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_start_that_breaks_somebody_is_refused() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        // An issuing CA below the old root, with a policy: it decides before its root does.
        let issuing = scene.old.minted.intermediate("Issuing").mint();
        let body = json!({
            "name": "Issuing", "certificate": issuing.pem(), "cel_policy": "false",
        });
        let path = "/v1/organization/certificates";
        let made = server.post(path, body).ok().await["id"].clone();
        let under = Anchor {
            id: made.as_str().unwrap().to_owned(),
            minted: issuing,
        };
        scene.sees_chain(1, &under, &scene.old.id).await;
        let mut request = scene.request();
        request["new_certificate_id"] = json!(under.id);
        let refused = server.post(PATH, request.clone());
        let message = refused.refused("rotation_not_ready", None).await;
        assert!(message.starts_with("1 workload that passes"), "{message}");
        assert_eq!(scene.active().await, ["Old enforce"]);
        request["enforcement"] = json!("report");
        let started = server.post(PATH, request.clone()).ok().await;
        let abort = scene
            .end(started["id"].as_str().unwrap(), "abort", json!({}))
            .await;
        abort.ok().await;
        request["enforcement"] = json!("enforce");
        request["force"] = json!(true);
        server.post(PATH, request).ok().await;
        assert_eq!(scene.active().await, ["Old enforce", "Issuing enforce"]);
    })
    .await;
}
