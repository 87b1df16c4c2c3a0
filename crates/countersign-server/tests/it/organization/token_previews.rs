//! Previews of changes of providers and rules: which workloads get no tokens any more, and who gets them newly.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::Minted;
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use super::token_exchange::Scene;
use crate::harness::{PROVIDERS, Server, id, on_each_store};

const PREVIEW: &str = "/v1/organization/changes/preview";

/// A gateway saw this leaf at the scene's project, without a key or with one.
async fn seen(scene: &Scene, server: &Server, number: u64, leaf: &Minted, key: Option<&str>) {
    let chain = Presented::new(vec![leaf.der().to_vec().into()]).sha256();
    let mut observation = json!({
        "organization": server.organization, "project": scene.project, "chain": chain.to_string(),
        "requests": 3, "anchor": scene.certificate, "anchor_scope": "project",
        "first_seen": server.now(), "last_seen": server.now(),
    });
    if let Some(key) = key {
        observation["key"] = json!(key);
    }
    let chains = json!([{
        "organization": server.organization, "certificates": [STANDARD.encode(leaf.der())],
    }]);
    let batch = json!({
        "gateway": "gw_process", "number": number, "chains": chains, "observations": [observation],
    });
    let post = server.post("/v1/countersign/observations", batch);
    let kept = post.key(&scene.gateway).ok().await;
    assert_eq!(kept["accepted"], 1, "{kept}");
}

async fn preview(server: &Server, change: &Value) -> Value {
    let body = json!({ "changes": [change] });
    server.post(PREVIEW, body).ok().await
}

/// The changes that end the worker's tokens: of a provider or a rule, why, and the same made for real.
fn ending(scene: &Scene) -> Vec<(Value, &'static str, String, Value)> {
    let provider = format!("{PROVIDERS}/{}", scene.provider);
    let rule = format!("{}/{}", scene.rules(), scene.rule);
    let of_provider = |provider: Value| {
        json!({
            "type": "update_workload_identity_provider", "provider": provider,
            "workload_identity_provider_id": scene.provider,
        })
    };
    let of_rule = |rule: Value| {
        json!({
            "type": "update_federation_rule", "rule": rule,
            "workload_identity_provider_id": scene.provider, "federation_rule_id": scene.rule,
        })
    };
    let [off, on] = [false, true].map(|enabled| json!({ "enabled": enabled }));
    let condition = |text: Value| json!({ "attribute_conditions": text });
    let ops = condition(json!("assertion.subject.organization == \"Ops\""));
    let matcher = |text: &str| json!({ "attribute_matchers": { "openai.subject": text } });
    vec![
        (
            of_provider(off.clone()),
            "disabled",
            provider.clone(),
            on.clone(),
        ),
        (
            of_provider(ops),
            "condition does not hold",
            provider,
            condition(Value::Null),
        ),
        (of_rule(off), "no rule", rule.clone(), on),
        (
            of_rule(matcher("other-*")),
            "no rule",
            rule,
            matcher("worker-*"),
        ),
    ]
}

#[tokio::test]
async fn who_would_get_no_tokens_any_more_is_named_and_nothing_changes() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let worker = scene.ca.leaf("worker-7").mint();
        seen(&scene, server, 1, &worker, None).await;
        for (change, why, path, back) in ending(&scene) {
            let effect = preview(server, &change).await;
            let [failing] = effect["starts_to_fail"].as_array().unwrap().as_slice() else {
                panic!("{change}: {effect}")
            };
            assert_eq!(failing["code"], "invalid_api_key");
            assert_eq!(failing["project"], json!(scene.project));
            let reason = failing["reason"].as_str().unwrap();
            assert!(
                reason.contains(why) && reason.contains(&scene.account),
                "{reason}"
            );
            assert_eq!(effect["tokens"]["workloads"], 1, "{effect}");
            assert_eq!(effect["last_used"], json!(server.now()));
            assert_eq!(scene.outcome(server).await, "issued", "only a preview");
            let made = change.get("provider").or(change.get("rule")).unwrap();
            server.post(&path, made.clone()).ok().await;
            assert_eq!(scene.outcome(server).await, "invalid_grant", "{change}");
            server.post(&path, back).ok().await;
        }
        for kind in [
            "delete_workload_identity_provider",
            "delete_federation_rule",
        ] {
            let change = json!({
                "type": kind, "workload_identity_provider_id": scene.provider,
                "federation_rule_id": scene.rule,
            });
            let effect = preview(server, &change).await;
            assert_eq!(
                effect["starts_to_fail"].as_array().unwrap().len(),
                1,
                "{effect}"
            );
        }
        assert_eq!(scene.outcome(server).await, "issued");
    })
    .await;
}

#[tokio::test]
async fn a_second_rule_that_matches_refuses_and_a_name_does_not() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let worker = scene.ca.leaf("worker-7").mint();
        seen(&scene, server, 1, &worker, None).await;
        let second = |subject: &str| {
            json!({
                "type": "create_federation_rule", "rule": scene.new_rule(subject),
                "workload_identity_provider_id": scene.provider,
            })
        };
        let effect = preview(server, &second("worker-7")).await;
        let reason = effect["starts_to_fail"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("2 rules match"), "{reason}");
        let renamed = json!({
            "type": "update_federation_rule", "rule": { "name": "workers" },
            "workload_identity_provider_id": scene.provider, "federation_rule_id": scene.rule,
        });
        for change in [second("other-*"), renamed] {
            let effect = preview(server, &change).await;
            assert_eq!(effect["starts_to_fail"], json!([]), "{effect}");
            assert_eq!(
                (&effect["still_passing"], &effect["last_used"]),
                (&json!(1), &Value::Null)
            );
        }
        let mut wrong = second("a*b");
        wrong["rule"]["name"] = json!("third");
        let body = json!({ "changes": [wrong] });
        let request = server.post(PREVIEW, body);
        let param = "changes[0].rule.attribute_matchers.openai.subject";
        request.refused("invalid_value", Some(param)).await;
        let body = json!({ "changes": [second("other-*")] });
        let request = server.post("/v1/organization/changes", body);
        request
            .refused("invalid_value", Some("changes[0].type"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn without_observed_tokens_that_is_said_and_who_would_get_them_is_named() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let delete = json!({
            "type": "delete_federation_rule", "workload_identity_provider_id": scene.provider,
            "federation_rule_id": scene.rule,
        });
        let effect = preview(server, &delete).await;
        assert_eq!(effect["tokens"]["workloads"], 0, "{effect}");
        assert_eq!(effect["tokens"]["last_seen"], Value::Null);
        let path = format!(
            "/v1/organization/projects/{}/service_accounts",
            scene.project
        );
        let keyed = server.post(&path, json!({ "name": "keyed" })).ok().await;
        let key = keyed["api_key"]["id"].as_str().unwrap();
        let batch = scene.ca.leaf("batch-1").mint();
        seen(&scene, server, 1, &batch, Some(key)).await;
        let create = json!({
            "type": "create_federation_rule", "rule": scene.new_rule("batch-*"),
            "workload_identity_provider_id": scene.provider,
        });
        let effect = preview(server, &create).await;
        let [new] = effect["tokens"]["newly_admitted"]
            .as_array()
            .unwrap()
            .as_slice()
        else {
            panic!("{effect}")
        };
        assert_eq!(new["service_account_id"], json!(scene.account));
        assert!(new["leaf"]["subject"].as_str().unwrap().contains("batch-1"));
        assert_eq!(effect["tokens"]["workloads"], 0, "it calls with a key");
        assert_eq!(effect["starts_to_fail"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn tokens_end_where_the_last_anchor_goes() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let worker = scene.ca.leaf("worker-7").mint();
        seen(&scene, server, 1, &worker, None).await;
        let path = format!(
            "/v1/organization/projects/{}/certificates/deactivate",
            scene.project
        );
        let body = json!({ "certificate_ids": [scene.certificate], "preview": true });
        let effect = server.post(&path, body).ok().await;
        let reason = effect["starts_to_fail"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("no trust anchor is enforced"), "{reason}");
        assert_eq!(effect.get("tokens"), None, "no provider or rule changes");
        server
            .toggle("deactivate", Some(&scene.project), &[&scene.certificate])
            .await;
        assert_eq!(scene.outcome(server).await, "invalid_grant");
        let one = id(&server
            .get(&format!("{PROVIDERS}/{}", scene.provider))
            .ok()
            .await);
        assert_eq!(one, scene.provider);
    })
    .await;
}
