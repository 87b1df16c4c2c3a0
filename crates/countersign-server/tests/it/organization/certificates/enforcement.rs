use serde_json::{Value, json};

use super::PATH;
use crate::harness::on_each_store;

/// What a list says of the one certificate.
fn shown(list: &Value) -> (&Value, &Value) {
    let entry = &list["data"][0];
    (&entry["active"], &entry["enforcement"])
}

#[tokio::test]
async fn it_is_shown_where_it_is_not_the_default() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let project = server.project("Payments").await;
        let at_project = format!("/v1/organization/projects/{project}/certificates");
        let report = json!({ "certificate_ids": [id], "enforcement": "report" });
        let on = json!(true);
        for (path, other) in [(PATH, at_project.as_str()), (&at_project, PATH)] {
            let activate = format!("{path}/activate");
            let answer = server.post(&activate, report.clone()).ok().await;
            assert_eq!(answer.as_object().unwrap().len(), 2);
            assert_eq!(shown(&answer), (&on, &json!("report")));
            let list = server.get(path).ok().await;
            assert_eq!(shown(&list), (&on, &json!("report")));
            let there = server.get(other).ok().await;
            assert_eq!(shown(&there).1, &Value::Null, "each scope has its own");

            let body = json!({ "certificate_ids": [id], "enforcement": "enforce" });
            let answer = server.post(&activate, body).ok().await;
            assert_eq!(answer["data"][0].get("enforcement"), None);
            server.post(&activate, report.clone()).ok().await;
            // As every client of the reference API says it.
            let plain = json!({ "certificate_ids": [id] });
            server.post(&activate, plain).ok().await;
            let list = server.get(path).ok().await;
            assert_eq!(shown(&list), (&on, &Value::Null));
        }
        let one = server.get(&format!("{PATH}/{id}")).ok().await;
        assert_eq!((one.get("active"), one.get("enforcement")), (None, None));
    })
    .await;
}

#[tokio::test]
async fn each_change_is_audited_and_a_repetition_is_not() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let path = format!("{PATH}/activate");
        for enforcement in ["report", "report", "enforce", "enforce", "report"] {
            let body = json!({ "certificate_ids": [id], "enforcement": enforcement });
            server.post(&path, body).ok().await;
        }
        let events = server.audit("certificates.activated").await;
        let said: Vec<_> = events
            .iter()
            .map(|event| &event["certificates.activated"]["enforcement"])
            .collect();
        assert_eq!(said, [&json!("report"), &Value::Null, &json!("report")]);
    })
    .await;
}

#[tokio::test]
async fn another_word_changes_nothing() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let project = server.project("Payments").await;
        let revision = server.store.revision().await.unwrap();
        let param = Some("enforcement");
        for scope in [String::new(), format!("/projects/{project}")] {
            let path = |verb| format!("/v1/organization{scope}/certificates/{verb}");
            for wrong in [
                json!("maybe"),
                json!("Report"),
                json!(""),
                json!("report "),
                json!(null),
                json!(true),
                json!(["report"]),
            ] {
                let body = json!({ "certificate_ids": [id], "enforcement": wrong });
                let answer = server.post(&path("activate"), body).send().await;
                let message = answer.refused("invalid_value", param);
                assert!(message.contains("`enforcement`"), "{message}");
            }
            for word in [json!("enforce"), json!("report"), json!(null)] {
                let body = json!({ "certificate_ids": [id], "enforcement": word });
                let answer = server.post(&path("deactivate"), body).send().await;
                answer.refused("unsupported_parameter", param);
            }
        }
        let body = json!({ "name": "x", "enforcement": "report" });
        server
            .post(&format!("{PATH}/{id}"), body)
            .refused("unsupported_parameter", param)
            .await;
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn a_client_can_ask_before_it_relies_on_it() {
    on_each_store(async |server| {
        let answer = server.get("/v1/countersign/extensions").no_key().ok().await;
        assert_eq!(answer["object"], "countersign.extensions");
        let known = answer["extensions"].as_array().unwrap();
        assert!(known.contains(&json!("enforcement")), "{answer}");
    })
    .await;
}
