//! Tokens: a certificate is exchanged for one, requests pass with it, and it ends with what admitted it.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
};

use countersign_gateway::options::{GatewayOptions, TokenExchange};
use countersign_server::store::{Location, Sources, Store};
use countersign_testca::{Minted, oid};
use countersign_types::{
    federation_rule::{FederationRuleCreateRequest, FederationRuleUpdateRequest, MatcherValue},
    id::{
        CertificateId, FederationRuleId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId,
    },
    project::ServiceAccountCreateRequest,
    token_key::TokenKeyRotateRequest,
    workload_identity_provider::{
        AttributeTransformation, SUBJECT_ATTRIBUTE, WorkloadIdentityProviderCreateRequest,
        WorkloadIdentityProviderType, WorkloadIdentityProviderUpdateRequest,
    },
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    client::{Connection, HttpResponse},
    world::{LIMIT, NOW, World},
};

const HOST: &str = "auth.example";

/// A rule that gives workers tokens of a service account.
pub(crate) fn workers(
    project: &ProjectId,
    account: &ServiceAccountId,
) -> FederationRuleCreateRequest {
    FederationRuleCreateRequest {
        attribute_matchers: [(
            SUBJECT_ATTRIBUTE.to_owned(),
            MatcherValue::Text("worker-*".to_owned()),
        )]
        .into(),
        project_id: project.clone(),
        service_account_id: account.clone(),
        name: None,
        description: None,
        enabled: None,
        permissions: None,
    }
}

/// A world where workers of a CA get tokens.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) anchor: CertificateId,
    pub(crate) worker: Minted,
    pub(crate) account: ServiceAccountId,
    pub(crate) provider: WorkloadIdentityProviderId,
    pub(crate) rule: FederationRuleId,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other options of the gateway.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewayOptions)) -> Self {
        let sources = Sources {
            clock: Arc::new(|| NOW),
            ..Sources::system()
        };
        let store = Store::open(&Location::Memory, sources).await.unwrap();
        let world = World::on(store, |options| {
            options.token_exchange = TokenExchange {
                hosts: vec![HOST.to_owned()],
            };
            change(options);
        })
        .await;
        let (anchor, _) = world.with_active_ca().await;
        let worker = world.ca.leaf("worker-7");
        let worker = worker.attribute(oid::ORGANIZATIONAL_UNIT, "Production");
        let account = ServiceAccountCreateRequest {
            name: "billing".to_owned(),
            create_service_account_only: Some(true),
        };
        let accounts = world.api.service_accounts(&world.project);
        let account = accounts.create(&account).await.unwrap().id.clone();
        let provider = WorkloadIdentityProviderCreateRequest {
            kind: WorkloadIdentityProviderType::X509,
            name: "mesh".to_owned(),
            description: None,
            enabled: None,
            attribute_transformations: vec![AttributeTransformation {
                attribute: SUBJECT_ATTRIBUTE.to_owned(),
                expression: "assertion.subject.common_name".to_owned(),
            }],
            attribute_conditions: None,
        };
        let providers = world.api.workload_identity_providers();
        let provider = providers.create(&provider).await.unwrap().id.clone();
        let rule = workers(&world.project, &account);
        let rules = world.api.federation_rules(&provider);
        let made = rules.create(&rule).await.unwrap();
        world.enforced(made.revision.unwrap()).await;
        Self {
            anchor,
            worker: worker.mint(),
            account,
            provider,
            rule: made.value.id.clone(),
            world,
        }
    }

    fn exchange_body(&self) -> Value {
        json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:openai:params:oauth:token-type:x509",
            "identity_provider_id": self.provider,
            "service_account_id": self.account,
        })
    }

    async fn connect(&self, chain: &[&Minted]) -> Connection {
        self.world.tls(chain).connect(self.world.address()).await
    }

    /// Sends a request under the host name of exchanges, with more header lines.
    async fn ask(&self, chain: &[&Minted], line: &str, headers: &str, body: &str) -> HttpResponse {
        let mut connection = self.connect(chain).await;
        let length = body.len();
        connection
            .write(&format!(
                "{line} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n{headers}\r\n{body}"
            ))
            .await;
        connection.answer().await.expect("an answer")
    }

    pub(crate) async fn exchange(&self, chain: &[&Minted]) -> HttpResponse {
        let body = self.exchange_body().to_string();
        self.ask(chain, "POST /oauth/token", "", &body).await
    }

    pub(crate) async fn token(&self) -> String {
        let answer = self.exchange(&[&self.worker]).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn code(&self, token: &str) -> String {
        self.world.code(&[&self.worker], token).await
    }

    async fn change_provider(&self, change: WorkloadIdentityProviderUpdateRequest) {
        let providers = self.world.api.workload_identity_providers();
        let changed = providers.update(&self.provider, &change).await.unwrap();
        self.world.enforced(changed.revision.unwrap()).await;
    }
}

#[tokio::test]
async fn a_token_opens_what_a_key_opens_and_upstreams_are_told_whose_it_is() {
    let scene = Scene::new().await;
    let answer = scene.exchange(&[&scene.worker]).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(
        (&body["expires_in"], &body["expires_at"]),
        (&json!(3600), &json!(NOW + 3600))
    );
    assert_eq!(body.get("scope"), None);
    let token = body["access_token"].as_str().unwrap();
    let mut connection = scene.connect(&[&scene.worker]).await;
    for _ in 0..2 {
        let echo = connection.get("/v1/echo", token, "").await;
        assert_eq!(echo.status, 200, "{}", echo.code());
        let headers = &echo.json()["headers"];
        assert_eq!(
            headers["x-countersign-project"],
            json!([scene.world.project])
        );
        assert_eq!(
            headers["x-countersign-service-account"],
            json!([scene.account])
        );
        assert_eq!(headers.get("x-countersign-key"), None);
    }
    assert_eq!(scene.world.code(&[], token).await, "certificate_required");
    let admin = connection
        .get("/v1/organization/certificates", token, "")
        .await;
    assert_eq!(admin.code(), "invalid_api_key");
    for forged in [
        format!("{token}A"),
        token.replacen('.', "A.", 1),
        "eyJ".to_owned(),
    ] {
        assert_eq!(scene.code(&forged).await, "invalid_api_key");
    }
    let log = fs::read_to_string(scene.world.options.access_log.as_ref().unwrap()).unwrap();
    assert!(!log.contains(token), "a token is never logged");
}

/// The request line, a header, what the body has otherwise (nothing: no body), the status and the error.
const REFUSED: [(&str, &str, &str, u16, &str); 9] = [
    ("GET /oauth/token", "", "", 403, "forbidden"),
    ("POST /v1/echo", "", "", 403, "forbidden"),
    ("POST /oauth/token?a=b", "", "{}", 403, "forbidden"),
    (
        "POST /oauth/token",
        "authorization: Bearer a\r\n",
        "{}",
        400,
        "invalid_request",
    ),
    ("POST /oauth/token", "", "", 400, "invalid_request"),
    (
        "POST /oauth/token",
        "",
        r#"{"subject_token":"a"}"#,
        400,
        "invalid_request",
    ),
    (
        "POST /oauth/token",
        "",
        r#"{"client_id":"a"}"#,
        400,
        "invalid_request",
    ),
    (
        "POST /oauth/token",
        "",
        r#"{"grant_type":"a"}"#,
        400,
        "unsupported_grant_type",
    ),
    (
        "POST /oauth/token",
        "",
        r#"{"identity_provider_id":"idp_a"}"#,
        400,
        "invalid_grant",
    ),
];

#[tokio::test]
async fn under_the_host_names_of_exchanges_nothing_else_is_served() {
    let scene = Scene::new().await;
    let body = |otherwise: &str| {
        let Ok(otherwise) = serde_json::from_str::<Value>(otherwise) else {
            return String::new();
        };
        let mut body = scene.exchange_body();
        for (name, value) in otherwise.as_object().unwrap() {
            body[name] = value.clone();
        }
        body.to_string()
    };
    let chain = [&scene.worker];
    for (line, headers, otherwise, status, error) in REFUSED {
        let answer = scene.ask(&chain, line, headers, &body(otherwise)).await;
        let told = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, told),
            (status, json!(error)),
            "{line} {otherwise}"
        );
        assert!(answer.header("x-request-id").is_some());
    }
    let large = body(&json!({ "a": "a".repeat(5000) }).to_string());
    let answer = scene.ask(&chain, "POST /oauth/token", "", &large).await;
    assert_eq!(answer.status, 400);
    for chain in [vec![], vec![&scene.world.server_ca]] {
        let answer = scene.exchange(&chain).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["error"]),
            (401, &json!("invalid_subject_token"))
        );
        assert_eq!(
            told.as_object().unwrap().len(),
            2,
            "nothing about certificates"
        );
    }
}

#[tokio::test]
async fn a_token_ends_with_what_admitted_it_and_its_streams_are_cut() {
    let scene = Scene::new().await;
    let mut token = scene.token().await;
    let mut events = scene.connect(&[&scene.worker]).await;
    events
        .write(&format!(
            "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n"
        ))
        .await;
    assert_eq!(events.head().await.unwrap().status, 200);
    let disabled = |enabled| WorkloadIdentityProviderUpdateRequest {
        enabled: Some(enabled),
        ..Default::default()
    };
    scene.change_provider(disabled(false)).await;
    timeout(LIMIT, events.rest())
        .await
        .expect("the stream to be cut");
    assert_eq!(scene.code(&token).await, "invalid_api_key");
    scene.change_provider(disabled(true)).await;
    assert_eq!(scene.code(&token).await, "", "it is as it was");

    scene
        .change_provider(WorkloadIdentityProviderUpdateRequest {
            attribute_conditions: Some(Some(
                "assertion.subject.organizational_unit == \"Production\"".to_owned(),
            )),
            ..Default::default()
        })
        .await;
    assert_eq!(
        scene.code(&token).await,
        "invalid_api_key",
        "others may be admitted now"
    );
    token = scene.token().await;
    assert_eq!(scene.code(&token).await, "");

    let rules = scene.world.api.federation_rules(&scene.provider);
    let renamed = FederationRuleUpdateRequest {
        name: Some(Some("workers".to_owned())),
        ..Default::default()
    };
    let renamed = rules.update(&scene.rule, &renamed).await.unwrap();
    scene.world.enforced(renamed.revision.unwrap()).await;
    assert_eq!(scene.code(&token).await, "", "a name decides nothing");

    let accounts = scene.world.api.service_accounts(&scene.world.project);
    let deleted = accounts.delete(&scene.account).await.unwrap();
    scene.world.enforced(deleted.revision.unwrap()).await;
    assert_eq!(scene.code(&token).await, "invalid_api_key");
}

#[tokio::test]
async fn a_token_ends_with_its_anchor_and_with_its_time() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    scene
        .world
        .activate(
            &countersign_types::certificate::Scope::Organization,
            &scene.anchor,
        )
        .await;
    scene
        .world
        .deactivate(&scene.world.scope(), &scene.anchor)
        .await;
    assert_eq!(
        scene.code(&token).await,
        "",
        "the anchor holds for the organization"
    );
    scene.world.clock.store(NOW + 3599, Ordering::Relaxed);
    assert_eq!(scene.code(&token).await, "");
    scene.world.clock.store(NOW + 3600, Ordering::Relaxed);
    assert_eq!(scene.code(&token).await, "invalid_api_key");
    scene.world.clock.store(NOW, Ordering::Relaxed);
    let other = scene
        .world
        .upload(&countersign_testca::root("Other").mint(), None)
        .await;
    let scope = scene.world.scope();
    scene.world.activate(&scope, &other).await;
    let organization = countersign_types::certificate::Scope::Organization;
    scene.world.deactivate(&organization, &scene.anchor).await;
    assert_eq!(scene.code(&token).await, "invalid_api_key");
}

#[tokio::test]
async fn the_public_keys_are_shown_and_a_new_one_refuses_no_token() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    let keys = async || {
        let mut connection = scene.connect(&[]).await;
        let request = "GET /.well-known/jwks.json HTTP/1.1\r\nhost: api.example\r\n\r\n";
        connection.write(request).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, 200);
        answer.json()["keys"].as_array().unwrap().clone()
    };
    let [key]: [Value; 1] = keys().await.try_into().unwrap();
    assert_eq!(
        (&key["kty"], &key["crv"]),
        (&json!("OKP"), &json!("Ed25519"))
    );
    let token_keys = scene.world.api.token_keys();
    let rotated = token_keys.rotate(&TokenKeyRotateRequest::default()).await;
    scene
        .world
        .enforced(rotated.unwrap().revision.unwrap())
        .await;
    assert_eq!(keys().await.len(), 1, "written a moment ago");
    scene.world.clock.store(NOW + 10, Ordering::Relaxed);
    assert_eq!(keys().await.len(), 2);
    assert_eq!(scene.code(&token).await, "");
    let at_once = TokenKeyRotateRequest {
        at_once: Some(true),
    };
    let rotated = token_keys.rotate(&at_once).await.unwrap();
    scene.world.enforced(rotated.revision.unwrap()).await;
    scene.world.clock.store(NOW + 20, Ordering::Relaxed);
    assert_eq!(keys().await.len(), 1);
    assert_eq!(scene.code(&token).await, "invalid_api_key");
}
