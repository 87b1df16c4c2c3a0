use countersign_testca::root;
use serde_json::{Value, json};

use super::PATH;
use crate::harness::{START, on_each_store};

fn active(answer: &Value) -> Vec<(&str, bool)> {
    let data = answer["data"].as_array().unwrap().iter();
    data.map(|each| {
        (
            each["id"].as_str().unwrap(),
            each["active"].as_bool().unwrap(),
        )
    })
    .collect()
}

#[tokio::test]
async fn it_answers_in_the_order_of_the_request_and_collapses_duplicates() {
    on_each_store(async |server| {
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        let project = server.project("Payments").await;
        for (scope, object, of) in [
            (
                None,
                "organization.certificate.activation",
                "organization.certificate",
            ),
            (
                Some(project.as_str()),
                "organization.project.certificate.activation",
                "organization.project.certificate",
            ),
        ] {
            let answer = server.toggle("activate", scope, &[&two, &one, &two]).await;
            assert_eq!(answer.as_object().unwrap().len(), 2);
            assert_eq!(answer["object"], object);
            assert_eq!(answer["data"][0]["object"], of);
            assert_eq!(
                active(&answer),
                [(two.as_str(), true), (one.as_str(), true)]
            );
        }
    })
    .await;
}

#[tokio::test]
async fn repeating_is_harmless_and_audited_once() {
    on_each_store(async |server| {
        let (one, two) = (server.upload("One").await, server.upload("Two").await);
        let first = server.toggle("activate", None, &[&one]).await;
        let revision = server.store.revision().await.unwrap();
        assert_eq!(server.toggle("activate", None, &[&one]).await, first);
        assert_eq!(server.store.revision().await.unwrap(), revision);
        assert_eq!(server.audit("certificates.activated").await.len(), 1);
        server.toggle("activate", None, &[&one, &two]).await;
        let events = server.audit("certificates.activated").await;
        assert_eq!(events.len(), 2);
        let named = &events[0]["certificates.activated"]["certificates"];
        assert_eq!(named, &json!([{ "id": two, "name": "Two" }]));
    })
    .await;
}

#[tokio::test]
async fn all_or_nothing() {
    on_each_store(async |server| {
        let mine = server.upload("Mine").await;
        let other = server.other_organization().await;
        let body = json!({ "certificate": crate::harness::pem("Theirs") });
        let foreign = server.post(PATH, body).key(&other).ok().await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let now = i64::try_from(START).unwrap();
        let short = root("Short").valid(0, now + 100_000).mint().pem();
        let short = server
            .post(PATH, json!({ "certificate": short }))
            .ok()
            .await;
        let short = short["id"].as_str().unwrap();
        let path = format!("{PATH}/activate");
        for unknown in [
            foreign.as_str(),
            "cert_unknown",
            "x",
            "",
            "proj_a",
            "cert_\u{0}",
        ] {
            let body = json!({ "certificate_ids": [mine, unknown] });
            server
                .post(&path, body)
                .refused("not_found", Some("certificate_ids[1]"))
                .await;
        }
        server.clock.advance(100_000);
        let body = json!({ "certificate_ids": [mine, short] });
        server
            .post(&path, body)
            .refused("expired_certificate", Some("certificate_ids[1]"))
            .await;
        let listed = server.get(PATH).ok().await;
        assert!(
            listed["data"]
                .as_array()
                .unwrap()
                .iter()
                .all(|each| each["active"] == false)
        );
        assert!(server.audit("certificates.activated").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn ids_must_be_1_to_10_texts() {
    on_each_store(async |server| {
        let project = server.project("Payments").await;
        let mut ids = Vec::new();
        for number in 0..11 {
            ids.push(server.upload(&format!("Root {number}")).await);
        }
        let param = Some("certificate_ids");
        for scope in [String::new(), format!("/projects/{project}")] {
            for verb in ["activate", "deactivate"] {
                let path = format!("/v1/organization{scope}/certificates/{verb}");
                server
                    .post(&path, json!({}))
                    .refused("missing_required_parameter", param)
                    .await;
                for wrong in [json!([]), json!("cert_a"), json!(1), json!({}), json!(ids)] {
                    let body = json!({ "certificate_ids": wrong });
                    let answer = server.post(&path, body).send().await;
                    answer.refused("invalid_value", param);
                }
                let body = json!({ "certificate_ids": [ids[0], 1] });
                server
                    .post(&path, body)
                    .refused("invalid_value", Some("certificate_ids[1]"))
                    .await;
                let mut ten = ids[..10].to_vec();
                ten.extend(ids[..10].to_vec());
                let answer = server
                    .post(&path, json!({ "certificate_ids": ten }))
                    .ok()
                    .await;
                assert_eq!(active(&answer).len(), 10);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_archived_project_refuses() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let project = server.project("Old").await;
        server
            .post(
                &format!("/v1/organization/projects/{project}/archive"),
                json!({}),
            )
            .ok()
            .await;
        let path = format!("/v1/organization/projects/{project}/certificates/activate");
        let body = json!({ "certificate_ids": [id] });
        server
            .post(&path, body.clone())
            .refused("project_archived", None)
            .await;
        server
            .post(&path.replace("activate", "deactivate"), body)
            .ok()
            .await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_or_foreign_project_is_a_404() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let project = server.project("Mine").await;
        let other = server.other_organization().await;
        let body = json!({ "certificate_ids": [id] });
        for verb in ["activate", "deactivate"] {
            let path = format!("/v1/organization/projects/{project}/certificates/{verb}");
            server
                .post(&path, body.clone())
                .key(&other)
                .refused("not_found", None)
                .await;
            let path = path.replace(&project, "proj_unknown");
            server
                .post(&path, body.clone())
                .refused("not_found", None)
                .await;
        }
    })
    .await;
}
