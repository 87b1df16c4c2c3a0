//! Workload identity providers and federation rules: what they take, and what ends with what.

use serde_json::{Value, json};

use crate::harness::{PROVIDERS, Server, id, on_each_store};

fn provider() -> Value {
    json!({
        "type": "x509", "name": "mesh", "attribute_transformations": [
            { "attribute": "openai.subject", "expression": "assertion.subject.common_name" },
            {
                "attribute": "openai.spiffe",
                "expression": "assertion.subject_alt_names.filter(n, n.type == URI)[0].value",
            },
        ],
    })
}

/// A project with a service account, and a rule that gives tokens of it.
struct Scene {
    project: String,
    account: String,
    provider: String,
    rule: Value,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let project = server.project("Payments").await;
        let account = server.service_account(&project).await;
        let provider = id(&server.post(PROVIDERS, provider()).ok().await);
        let mut scene = Self {
            project,
            account,
            provider,
            rule: Value::Null,
        };
        scene.rule = server.post(&scene.rules(), scene.new_rule()).ok().await;
        scene
    }

    fn rules(&self) -> String {
        format!("{PROVIDERS}/{}/federation_rules", self.provider)
    }

    fn rule(&self) -> String {
        format!("{}/{}", self.rules(), id(&self.rule))
    }

    fn new_rule(&self) -> Value {
        json!({
            "name": "workers", "project_id": self.project, "service_account_id": self.account,
            "attribute_matchers": {
                "openai.spiffe": "spiffe://example.com/*", "openai.canary": false, "openai.shard": 7,
            },
            "permissions": { "type": "restricted", "scopes": ["api.responses.write"] },
        })
    }
}

#[tokio::test]
async fn a_provider_is_kept_as_it_was_sent_and_only_what_is_named_changes() {
    on_each_store(async |server| {
        let made = server.post(PROVIDERS, provider()).ok().await;
        let sent = provider();
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(made[name], *value, "{name}");
        }
        assert_eq!(made["object"], "organization.workload_identity_provider");
        assert_eq!((&made["enabled"], &made["description"]), (&json!(true), &Value::Null));
        assert!(made.get("attribute_conditions").is_none());
        let one = format!("{PROVIDERS}/{}", id(&made));
        assert_eq!(server.get(&one).ok().await, made);
        assert_eq!(server.get(PROVIDERS).ok().await["data"], json!([made]));

        let change = json!({
            "description": "of the mesh", "attribute_conditions": "assertion.subject.country_code == \"SE\"",
        });
        let changed = server.post(&one, change.clone()).ok().await;
        assert_eq!(changed["description"], change["description"]);
        assert_eq!(changed["attribute_conditions"], change["attribute_conditions"]);
        assert_eq!(changed["attribute_transformations"], sent["attribute_transformations"]);
        let removed = json!({ "description": null, "attribute_conditions": null, "enabled": false });
        let removed = server.post(&one, removed).ok().await;
        assert_eq!(removed["description"], Value::Null);
        assert!(removed.get("attribute_conditions").is_none());
        let revision = server.store.revision().await.unwrap();
        server.post(&one, json!({ "enabled": false })).ok().await;
        assert_eq!(server.store.revision().await.unwrap(), revision);

        let updated = server.audit("workload_identity_provider.updated").await;
        assert_eq!(
            updated[1]["workload_identity_provider.updated"]["changes_requested"],
            change
        );
        let deleted = server.request("DELETE", &one).ok().await;
        assert_eq!(deleted["object"], "organization.workload_identity_provider.deleted");
        let event = server.audit("workload_identity_provider.deleted").await;
        assert_eq!(event[0]["workload_identity_provider.deleted"]["name"], "mesh");
        assert_eq!(server.get(&one).await.status, 404);
    })
    .await;
}

/// A property of a provider in JSON, the parameter that is named, and what is said.
const REFUSED_PROVIDERS: [(&str, &str, &str, &str); 16] = [
    (
        "type",
        "\"oidc\"",
        "type",
        "Providers of type `oidc` are not supported",
    ),
    ("type", "\"saml\"", "type", "must be `x509`"),
    (
        "issuer",
        "\"https://a\"",
        "issuer",
        "trusts the certificates",
    ),
    ("audience", "\"a\"", "audience", "cannot be given here"),
    ("verification", "{}", "verification", "cannot be given here"),
    ("name", "\"\"", "name", "Give 1 to 256"),
    (
        "description",
        "{1025}",
        "description",
        "Give 0 to 1024 characters",
    ),
    (
        "attribute_transformations",
        "[]",
        "attribute_transformations",
        "lacks `openai.subject`",
    ),
    (
        "attribute_transformations",
        "[{21}]",
        "attribute_transformations",
        "20 at most",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "team", "expression": "1" }]"#,
        "attribute_transformations[0].attribute",
        "must begin with `openai.`",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "openai.subject", "expression": "1" },
            { "attribute": "openai.subject", "expression": "2" }]"#,
        "attribute_transformations[1].attribute",
        "is there twice",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "openai.subject", "expression": "assertion.subject.comon_name" }]"#,
        "attribute_transformations[0].expression",
        "line 1, column 19: unknown name `assertion.subject.comon_name`; did you mean `assertion.subject.common_name`?",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "openai.subject", "expression": "assertion.subject_alt_names" }]"#,
        "attribute_transformations[0].expression",
        "not a string, a number or a bool",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "openai.subject", "expression": {4097} }]"#,
        "attribute_transformations[0].expression",
        "more than 4096",
    ),
    (
        "attribute_transformations",
        r#"[{ "attribute": "openai.subject", "expression": "" }]"#,
        "attribute_transformations[0].expression",
        "is empty",
    ),
    (
        "attribute_conditions",
        "\"assertion.subject.common_name\"",
        "attribute_conditions",
        "yields a string, not a bool",
    ),
];

/// The JSON of a table, with what is long spelled out.
fn spelled(json: &str) -> Value {
    let attribute = |number| format!(r#"{{ "attribute": "openai.a{number}", "expression": "1" }}"#);
    let many: Vec<_> = (0..21).map(attribute).collect();
    let text = json
        .replace("{21}", &many.join(","))
        .replace("{1025}", &format!("\"{}\"", "x".repeat(1025)))
        .replace("{4097}", &format!("\"{}\"", "x".repeat(4097)));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_a_provider_cannot_be_is_refused_with_what_to_do() {
    on_each_store(async |server| {
        for (name, value, param, says) in REFUSED_PROVIDERS {
            let mut body = provider();
            body[name] = spelled(value);
            let answer = server.post(PROVIDERS, body).await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.body());
            let error = &answer.body()["error"];
            assert_eq!(error["param"], param, "{error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(says), "{message}");
        }
        let made = id(&server.post(PROVIDERS, provider()).ok().await);
        for name in ["type", "issuer", "created_at"] {
            let one = format!("{PROVIDERS}/{made}");
            let answer = server.post(&one, json!({ name: "x509" })).await;
            assert_eq!(answer.body()["error"]["param"], name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_rule_is_kept_as_it_was_sent_and_stays_with_its_service_account() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let (made, sent) = (&scene.rule, scene.new_rule());
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(made[name], *value, "{name}");
        }
        assert_eq!(
            made["object"],
            "organization.workload_identity_federation_rule"
        );
        assert_eq!(made["workload_identity_provider_id"], json!(scene.provider));
        assert_eq!(server.get(&scene.rule()).ok().await, *made);
        let listed = async |query: &str| {
            let path = format!("{}{query}", scene.rules());
            server.get(&path).ok().await["data"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(listed("").await, 1);
        assert_eq!(
            listed(&format!("?service_account_id={}", scene.account)).await,
            1
        );
        assert_eq!(listed("?service_account_id=svc_acct_another").await, 0);
        assert_eq!(listed("?service_account_id=4711").await, 0);

        let change = json!({ "name": null, "permissions": { "type": "service_account_default" } });
        let changed = server.post(&scene.rule(), change).ok().await;
        assert_eq!(changed["name"], Value::Null);
        assert_eq!(
            changed["permissions"],
            json!({ "type": "service_account_default" })
        );
        for name in ["project_id", "service_account_id"] {
            let answer = server
                .post(&scene.rule(), json!({ name: scene.account }))
                .await;
            assert_eq!(answer.body()["error"]["param"], name);
        }
        let created = server
            .audit("workload_identity_provider_mapping.created")
            .await;
        let details = &created[0]["workload_identity_provider_mapping.created"];
        assert_eq!(details["identity_provider_id"], json!(scene.provider));
        assert_eq!(details["data"], sent);
        assert_eq!(created[0]["project"]["id"], json!(scene.project));
    })
    .await;
}

/// A property of a rule in JSON, the status, and what is said.
const REFUSED_RULES: [(&str, &str, u16, &str); 16] = [
    (
        "attribute_matchers",
        r#"{}"#,
        400,
        "every workload would match",
    ),
    (
        "attribute_matchers",
        r#"{ "team": "a" }"#,
        400,
        "must begin with `openai.`",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": "*" }"#,
        400,
        "has `*` in a place",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": "a*b" }"#,
        400,
        "has `*` in a place",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": "a**" }"#,
        400,
        "has `*` in a place",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": "" }"#,
        400,
        "must have 1 to 2048",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": null }"#,
        400,
        "a string, a number, or true or false",
    ),
    (
        "attribute_matchers",
        r#"{ "openai.subject": [] }"#,
        400,
        "a string, a number, or true or false",
    ),
    (
        "permissions",
        r#"{ "type": "all" }"#,
        400,
        "`service_account_default` or `restricted`",
    ),
    (
        "permissions",
        r#"{ "type": "restricted" }"#,
        400,
        "`permissions.scopes` is missing",
    ),
    (
        "permissions",
        r#"{ "type": "restricted", "scopes": [] }"#,
        400,
        "Give 1 to 100",
    ),
    (
        "permissions",
        r#"{ "type": "restricted", "scopes": ["a b"] }"#,
        400,
        "visible ASCII",
    ),
    (
        "permissions",
        r#"{ "type": "restricted", "scopes": ["a", "a"] }"#,
        400,
        "is there twice",
    ),
    (
        "permissions",
        r#"{ "type": "service_account_default", "scopes": ["a"] }"#,
        400,
        "goes with `\"type\": \"restricted\"`",
    ),
    ("project_id", r#""proj_another""#, 404, "No such project"),
    (
        "service_account_id",
        r#""svc_acct_another""#,
        404,
        "No such service account",
    ),
];

#[tokio::test]
async fn what_a_rule_cannot_be_is_refused_with_what_to_do() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        for (name, value, status, says) in REFUSED_RULES {
            let mut body = scene.new_rule();
            body[name] = spelled(value);
            let answer = server.post(&scene.rules(), body).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.body());
            let message = answer.body()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(message.contains(says), "{message}");
        }
        let archive = format!("/v1/organization/projects/{}/archive", scene.project);
        server.request("POST", &archive).ok().await;
        let answer = server.post(&scene.rules(), scene.new_rule()).await;
        assert_eq!(answer.body()["error"]["code"], "project_archived");
        // As keys do, rules stay with an archived project.
        server.get(&scene.rule()).ok().await;
    })
    .await;
}

#[tokio::test]
async fn rules_end_with_their_provider_and_with_their_service_account() {
    on_each_store(async |server| {
        let (by_provider, by_account) = (Scene::new(server).await, Scene::new(server).await);
        let provider = format!("{PROVIDERS}/{}", by_provider.provider);
        server.request("DELETE", &provider).ok().await;
        let account = format!(
            "/v1/organization/projects/{}/service_accounts/{}",
            by_account.project, by_account.account
        );
        server.request("DELETE", &account).ok().await;
        assert_eq!(server.get(&by_provider.rule()).await.status, 404);
        assert_eq!(server.get(&by_account.rule()).await.status, 404);
        let events = server
            .audit("workload_identity_provider_mapping.deleted")
            .await;
        for (event, scene) in events.iter().zip([&by_account, &by_provider]) {
            let details = &event["workload_identity_provider_mapping.deleted"];
            assert_eq!(details["id"], scene.rule["id"]);
            assert_eq!(details["service_account_id"], json!(scene.account));
            assert_eq!(details["project_id"], json!(scene.project));
        }
        assert_eq!(events.len(), 2);
    })
    .await;
}
