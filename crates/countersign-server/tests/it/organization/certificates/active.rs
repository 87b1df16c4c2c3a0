//! Setting everything that is active at a scope, in one step.

use countersign_testca::root;
use serde_json::{Value, json};

use super::PATH;
use crate::harness::{START, Server, on_each_store};

fn path(project: Option<&str>) -> String {
    let project = project.map_or_else(String::new, |id| format!("/projects/{id}"));
    format!("/v1/organization{project}/certificates/active")
}

fn enforced(ids: &[&String]) -> Value {
    ids.iter()
        .map(|id| json!({ "certificate_id": id }))
        .collect()
}

/// What is active at a scope, and how, by name.
async fn active(server: &Server, project: Option<&str>) -> Vec<String> {
    let path = path(project).replace("/active", "?order=asc&limit=100");
    let listed = server.get(&path).ok().await;
    let all = listed["data"].as_array().unwrap().iter();
    all.filter(|each| each["active"] == true)
        .map(|each| {
            let name = each["name"].as_str().unwrap();
            let how = each["enforcement"].as_str().unwrap_or("enforce");
            format!("{name} {how}")
        })
        .collect()
}

#[tokio::test]
async fn exactly_what_is_named_is_active_afterwards() {
    on_each_store(async |server| {
        let (one, two, three) = (
            server.upload("One").await,
            server.upload("Two").await,
            server.upload("Three").await,
        );
        let project = server.project("Payments").await;
        for (scope, object, of) in [
            (
                None,
                "organization.certificate.active",
                "organization.certificate",
            ),
            (
                Some(project.as_str()),
                "organization.project.certificate.active",
                "organization.project.certificate",
            ),
        ] {
            server.toggle("activate", scope, &[&one, &two]).await;
            let revision = server.store.revision().await.unwrap();
            let wanted = json!([
                { "certificate_id": three, "enforcement": "report" },
                { "certificate_id": two, "enforcement": "enforce" },
            ]);
            let answer = server
                .post(&path(scope), json!({ "active": wanted }))
                .ok()
                .await;
            assert_eq!(answer.as_object().unwrap().len(), 2);
            assert_eq!(answer["object"], object);
            let data = answer["data"].as_array().unwrap();
            let ids: Vec<_> = data.iter().map(|each| &each["id"]).collect();
            assert_eq!(ids, [&json!(three), &json!(two)]);
            assert_eq!(data[0]["enforcement"], "report");
            assert_eq!(data[1]["object"], of);
            assert_eq!(active(server, scope).await, ["Two enforce", "Three report"]);
            let after = server.store.revision().await.unwrap();
            assert_eq!(after, revision + 1, "one commit");
        }
        let on = server.audit("certificates.activated").await;
        let newest = &on[0]["certificates.activated"];
        assert_eq!(
            newest["certificates"],
            json!([{ "id": three, "name": "Three" }])
        );
        assert_eq!(newest["enforcement"], "report");
        let off = server.audit("certificates.deactivated").await;
        let newest = &off[0]["certificates.deactivated"];
        assert_eq!(
            newest["certificates"],
            json!([{ "id": one, "name": "One" }])
        );
        assert_eq!(off[0]["project"]["id"], project.as_str());

        let none = json!({ "active": [] });
        server.post(&path(None), none).ok().await;
        assert!(active(server, None).await.is_empty());
        assert_eq!(active(server, Some(&project)).await.len(), 2, "only there");
    })
    .await;
}

#[tokio::test]
async fn what_the_caller_did_not_expect_is_not_overwritten() {
    on_each_store(async |server| {
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        server.toggle("activate", None, &[&one]).await;
        for expected in [
            json!([]),
            enforced(&[&two]),
            enforced(&[&one, &two]),
            json!([{ "certificate_id": one, "enforcement": "report" }]),
        ] {
            let body = json!({ "active": enforced(&[&two]), "expected": expected });
            server
                .post(&path(None), body)
                .refused("scope_changed", Some("expected"))
                .await;
            assert_eq!(active(server, None).await, ["One enforce"]);
        }
        let body = json!({ "active": enforced(&[&two]), "expected": enforced(&[&one]) });
        let first = server.post(&path(None), body.clone()).ok().await;
        let revision = server.store.revision().await.unwrap();
        // A client whose answer was lost asks again: nothing is left to overwrite.
        assert_eq!(server.post(&path(None), body).ok().await, first);
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn one_of_two_with_the_same_expectation_wins() {
    on_each_store(async |server| {
        let (one, two, three) = (
            server.upload("One").await,
            server.upload("Two").await,
            server.upload("Three").await,
        );
        server.toggle("activate", None, &[&one]).await;
        let ask = async |id: &String| {
            let body = json!({ "active": enforced(&[id]), "expected": enforced(&[&one]) });
            server.post(&path(None), body).send().await.status
        };
        let (a, b) = tokio::join!(ask(&two), ask(&three));
        let mut statuses = [a, b];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        assert_eq!(active(server, None).await.len(), 1);
    })
    .await;
}

/// Bodies that cannot be read, with the code and the parameter; `GOOD` is a certificate's id.
const UNREADABLE: [(&str, &str, &str); 10] = [
    ("{}", "missing_required_parameter", "active"),
    (r#"{"active":null}"#, "invalid_value", "active"),
    (r#"{"active":"cert_a"}"#, "invalid_value", "active"),
    (r#"{"active":["GOOD"]}"#, "invalid_value", "active[0]"),
    (
        r#"{"active":[{}]}"#,
        "invalid_value",
        "active[0].certificate_id",
    ),
    (
        r#"{"active":[{"certificate_id":"GOOD"},{"certificate_id":"GOOD"}]}"#,
        "invalid_value",
        "active[1]",
    ),
    (
        r#"{"active":[{"certificate_id":"GOOD","enforcement":"maybe"}]}"#,
        "invalid_value",
        "active[0].enforcement",
    ),
    (
        r#"{"active":[{"certificate_id":"GOOD","enforcement":null}]}"#,
        "invalid_value",
        "active[0].enforcement",
    ),
    (
        r#"{"active":[],"expected":[{"certificate_id":1}]}"#,
        "invalid_value",
        "expected[0].certificate_id",
    ),
    (
        r#"{"active":[],"expected":null}"#,
        "invalid_value",
        "expected",
    ),
];

#[tokio::test]
async fn it_is_refused_whole() {
    on_each_store(async |server| {
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        let project = server.project("Payments").await;
        let now = i64::try_from(START).unwrap();
        let short = root("Short").valid(0, now + 100_000).mint().pem();
        let short = json!({ "certificate": short });
        let short = server.post(PATH, short).ok().await["id"].clone();
        let short = short.as_str().unwrap().to_owned();
        server.toggle("activate", None, &[&one]).await;
        server.clock.advance(100_000);
        let scopes = [None, Some(project.as_str())];
        let refused = async |body: Value, code: &str, param: &str| {
            for scope in scopes {
                let answer = server.post(&path(scope), body.clone()).send().await;
                answer.refused(code, Some(param));
            }
        };
        for (body, code, param) in UNREADABLE {
            let body = serde_json::from_str(&body.replace("GOOD", &two)).unwrap();
            refused(body, code, param).await;
        }
        let ids: Vec<String> = (0..51).map(|number| format!("cert_{number}")).collect();
        let too_many = enforced(&ids.iter().collect::<Vec<_>>());
        refused(json!({ "active": too_many }), "invalid_value", "active").await;
        for (id, code) in [
            ("cert_unknown", "not_found"),
            ("x", "not_found"),
            (short.as_str(), "expired_certificate"),
        ] {
            let active = enforced(&[&two, &id.to_owned()]);
            let param = "active[1].certificate_id";
            refused(json!({ "active": active }), code, param).await;
        }
        assert_eq!(active(server, None).await, ["One enforce"]);
        assert!(active(server, Some(&project)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_expired_anchor_may_stay_and_an_archived_project_only_lose() {
    on_each_store(async |server| {
        let now = i64::try_from(START).unwrap();
        let short = root("Short").valid(0, now + 100_000).mint().pem();
        let body = json!({ "certificate": short, "name": "Short" });
        let short = server.post(PATH, body).ok().await["id"].clone();
        let short = short.as_str().unwrap().to_owned();
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        let project = server.project("Old").await;
        let scope = Some(project.as_str());
        server.toggle("activate", scope, &[&short, &one]).await;
        server.clock.advance(100_000);
        let keep = json!({ "active": enforced(&[&two, &short, &one]) });
        server.post(&path(scope), keep).ok().await;
        assert_eq!(active(server, scope).await.len(), 3);

        let archive = format!("/v1/organization/projects/{project}/archive");
        server.post(&archive, json!({})).ok().await;
        let fewer = json!({ "active": enforced(&[&short]) });
        server.post(&path(scope), fewer).ok().await;
        assert_eq!(active(server, scope).await, ["Short enforce"]);
        let more = json!({ "active": enforced(&[&short, &one]) });
        server
            .post(&path(scope), more)
            .refused("project_archived", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn another_organizations_ids_are_unknown() {
    on_each_store(async |server| {
        let mine = server.upload("Mine").await;
        let project = server.project("Mine").await;
        let other = server.other_organization().await;
        for (scope, param) in [
            (None, Some("active[0].certificate_id")),
            (Some(project.as_str()), None),
        ] {
            let body = json!({ "active": enforced(&[&mine]) });
            server
                .post(&path(scope), body)
                .key(&other)
                .refused("not_found", param)
                .await;
        }
        assert!(active(server, None).await.is_empty());
    })
    .await;
}
