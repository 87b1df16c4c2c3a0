use serde_json::{Value, json};

use super::path;
use crate::harness::on_each_store;

const POLICY: &str = "subject.common_name == \"billing\"";

#[tokio::test]
async fn it_is_set_shown_everywhere_and_removed() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let policy = format!("{}/policy", path(&id));
        let set = server
            .post(&policy, json!({ "cel_policy": POLICY }))
            .ok()
            .await;
        assert_eq!(set["cel_policy"], POLICY);
        assert_eq!(server.get(&path(&id)).ok().await["cel_policy"], POLICY);
        assert_eq!(
            server.get(super::PATH).ok().await["data"][0]["cel_policy"],
            POLICY
        );
        assert_eq!(server.audit("certificate.updated").await.len(), 1);
        let removed = server
            .post(&policy, json!({ "cel_policy": null }))
            .ok()
            .await;
        assert!(removed.get("cel_policy").is_none());
        assert!(
            server
                .get(&path(&id))
                .ok()
                .await
                .get("cel_policy")
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn what_does_not_compile_is_refused_with_its_place() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let policy = format!("{}/policy", path(&id));
        server
            .post(&policy, json!({ "cel_policy": POLICY }))
            .ok()
            .await;
        let body = json!({ "cel_policy": "subject.comon_name == \"a\"" });
        let param = Some("cel_policy");
        let message = server
            .post(&policy, body)
            .refused("mtls_cel_policy_invalid", param)
            .await;
        assert!(
            message.contains("line 1") && message.ends_with("`subject.common_name`?"),
            "{message}"
        );
        let long = format!("subject.common_name == \"{}\"", "a".repeat(4096));
        for wrong in ["true &&", "subject", "1 + 1", &"(".repeat(30_000), &long] {
            let body = json!({ "cel_policy": wrong });
            server
                .post(&policy, body)
                .refused("mtls_cel_policy_invalid", param)
                .await;
        }
        server
            .post(&policy, json!({}))
            .refused("missing_required_parameter", param)
            .await;
        for wrong in [json!(1), json!(true), json!([])] {
            server
                .post(&policy, json!({ "cel_policy": wrong }))
                .refused("invalid_value", param)
                .await;
        }
        assert_eq!(
            server.get(&path(&id)).ok().await["cel_policy"],
            Value::from(POLICY)
        );
    })
    .await;
}

#[tokio::test]
async fn one_that_is_only_reported_stands_beside_the_one_that_is_enforced() {
    on_each_store(async |server| {
        let id = server.upload("Client CA").await;
        server.toggle("activate", None, &[&id]).await;
        let policy = format!("{}/policy", path(&id));
        let set = async |policy_text: Value, enforcement: Option<&str>| {
            let mut body = json!({ "cel_policy": policy_text });
            if let Some(enforcement) = enforcement {
                body["enforcement"] = json!(enforcement);
            }
            let set = server.post(&policy, body).ok().await;
            let of = |name: &str| set[name].as_str().map(str::to_owned);
            (of("cel_policy"), of("reported_policy"))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(set(json!("true"), None).await, (text("true"), None));
        let reported = set(json!("false"), Some("report")).await;
        assert_eq!(reported, (text("true"), text("false")));
        let gateway = server.gateway_key().await;
        let bundle = server.get("/v1/countersign/bundle?wait=0").key(&gateway);
        let certificate = &bundle.ok().await["organizations"][0]["certificates"][0];
        assert_eq!(certificate["cel_policy"], "true");
        assert_eq!(certificate["reported_policy"], "false");
        let listed = server.get(super::PATH).ok().await;
        assert_eq!(listed["data"][0]["reported_policy"], "false");
        let gone = set(Value::Null, Some("report")).await;
        assert_eq!(gone, (text("true"), None));
        // One that is enforced ends the trial.
        set(json!("false"), Some("report")).await;
        assert_eq!(set(json!("false"), None).await, (text("false"), None));
        let wrong = json!({ "cel_policy": "nonsense", "enforcement": "report" });
        server
            .post(&policy, wrong)
            .refused("mtls_cel_policy_invalid", Some("cel_policy"))
            .await;
    })
    .await;
}
