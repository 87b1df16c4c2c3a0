//! Exchanging certificates for tokens: who gets one, what it claims, and what ends with what.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{Minted, root};
use countersign_types::{
    bundle::OrganizationBundle,
    compact_jws::Unverified,
    token::{TOKEN_TYPE, TokenClaims},
};
use serde_json::{Value, json};

use crate::harness::{PROVIDERS, Server, id, on_each_store};

/// The time at which the servers of tests start.
const NOW: i64 = 1_790_000_000;
const EXCHANGE: &str = "/v1/countersign/token-exchange";

/// A project where a CA is enforced, a service account, and a rule that gives workers of it tokens.
pub(super) struct Scene {
    pub(super) project: String,
    pub(super) account: String,
    pub(super) ca: Minted,
    pub(super) certificate: String,
    pub(super) provider: String,
    pub(super) rule: String,
    pub(super) gateway: String,
}

impl Scene {
    pub(super) async fn new(server: &Server) -> Self {
        let project = server.project("Payments").await;
        let account = server.service_account(&project).await;
        let ca = root("Client CA").mint();
        let body = json!({ "certificate": ca.pem() });
        let certificate = id(&server
            .post("/v1/organization/certificates", body)
            .ok()
            .await);
        server
            .toggle("activate", Some(&project), &[&certificate])
            .await;
        let body = json!({
            "type": "x509", "name": "mesh", "attribute_transformations": [
                { "attribute": "openai.subject", "expression": "assertion.subject.common_name" },
            ],
        });
        let provider = id(&server.post(PROVIDERS, body).ok().await);
        let mut scene = Self {
            project,
            account,
            ca,
            certificate,
            provider,
            rule: String::new(),
            gateway: server.gateway_key().await,
        };
        let rule = scene.new_rule("worker-*");
        scene.rule = id(&server.post(&scene.rules(), rule).ok().await);
        scene
    }

    pub(super) fn rules(&self) -> String {
        format!("{PROVIDERS}/{}/federation_rules", self.provider)
    }

    pub(super) fn new_rule(&self, subject: &str) -> Value {
        json!({
            "project_id": self.project, "service_account_id": self.account,
            "attribute_matchers": { "openai.subject": subject },
            "permissions": { "type": "restricted", "scopes": ["a.read", "b.write"] },
        })
    }

    async fn exchange(&self, server: &Server, chain: &[&Minted]) -> Value {
        let chain: Vec<_> = chain
            .iter()
            .map(|each| STANDARD.encode(each.der()))
            .collect();
        let body = json!({
            "identity_provider_id": self.provider, "service_account_id": self.account,
            "chain": chain,
        });
        server.post(EXCHANGE, body).key(&self.gateway).ok().await
    }

    /// What a worker's exchange comes to: `issued`, or why it is refused.
    pub(super) async fn outcome(&self, server: &Server) -> String {
        let worker = self.ca.leaf("worker-7").mint();
        let exchanged = self.exchange(server, &[&worker]).await;
        let refused = exchanged["error"].as_str();
        refused
            .or(exchanged["outcome"].as_str())
            .unwrap()
            .to_owned()
    }

    async fn bundle(&self, server: &Server) -> OrganizationBundle {
        let path = "/v1/countersign/bundle?wait=0";
        let bundle = server.get(path).key(&self.gateway).ok().await;
        serde_json::from_value(bundle["organizations"][0].clone()).unwrap()
    }
}

#[tokio::test]
async fn a_token_says_who_was_admitted_by_what_and_gateways_can_verify_it() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let worker = scene.ca.leaf("worker-7").mint();
        let issued = scene.exchange(server, &[&worker]).await;
        assert_eq!(issued["outcome"], "issued", "{issued}");
        assert_eq!(issued["scope"], "a.read b.write");
        let token = issued["access_token"].as_str().unwrap();
        let bundle = scene.bundle(server).await;
        let federation = bundle.federation.unwrap();
        let [key] = federation.keys.as_slice() else {
            panic!("{federation:?}")
        };
        let read = Unverified::read(token.as_bytes(), TOKEN_TYPE).unwrap();
        assert_eq!(read.key(), key.id.as_str());
        let claims: TokenClaims = read.verify(&key.public_key).unwrap();
        assert_eq!(claims.sub.as_str(), scene.account);
        assert_eq!(claims.project.as_str(), scene.project);
        assert_eq!(claims.rule.as_str(), scene.rule);
        assert_eq!(claims.certificate.as_str(), scene.certificate);
        assert_eq!(json!(claims.exp), issued["expires_at"]);
        assert_eq!(claims.exp - claims.iat, 3600);
        let [rule] = federation.rules.as_slice() else {
            panic!("one rule admits")
        };
        assert_eq!(rule.admission, claims.admission);
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_before_the_first_certificate_of_its_path() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let short = scene
            .ca
            .leaf("worker-7")
            .valid(NOW - 3600, NOW + 600)
            .mint();
        let issued = scene.exchange(server, &[&short]).await;
        assert_eq!(issued["expires_at"], json!(NOW + 600), "{issued}");
    })
    .await;
}

#[tokio::test]
async fn who_is_not_admitted_gets_no_token_and_the_operator_is_told_why() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let stranger = root("Another CA").mint().leaf("worker-7").mint();
        let manager = scene.ca.leaf("manager").mint();
        let expired = scene.ca.leaf("worker-7").valid(NOW - 3600, NOW - 1).mint();
        for (chain, error, reason) in [
            (
                vec![&stranger],
                "invalid_subject_token",
                "certificate_verification_failed",
            ),
            (
                vec![&expired],
                "invalid_subject_token",
                "certificate_verification_failed",
            ),
            (vec![], "invalid_subject_token", "certificate_required"),
            (
                vec![&manager],
                "invalid_grant",
                "no rule for the service account matches",
            ),
        ] {
            let refused = scene.exchange(server, &chain).await;
            assert_eq!(refused["error"], error, "{refused}");
            let why = refused["reason"].as_str().unwrap();
            assert!(why.contains(reason), "{why}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_rule_an_anchor_and_an_open_project_are_needed_at_the_time_of_the_exchange() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let rule = scene.new_rule("worker-7");
        let second = id(&server.post(&scene.rules(), rule).ok().await);
        assert_eq!(
            scene.outcome(server).await,
            "invalid_grant",
            "two rules match"
        );
        let second = format!("{}/{second}", scene.rules());
        server.post(&second, json!({ "enabled": false })).ok().await;
        assert_eq!(scene.outcome(server).await, "issued");
        let provider = format!("{PROVIDERS}/{}", scene.provider);
        for (change, outcome) in [
            (json!({ "enabled": false }), "invalid_grant"),
            (json!({ "enabled": true }), "issued"),
            (
                json!({ "attribute_conditions": "assertion.subject.country_code == \"SE\"" }),
                "invalid_grant",
            ),
            (json!({ "attribute_conditions": null }), "issued"),
        ] {
            server.post(&provider, change.clone()).ok().await;
            assert_eq!(scene.outcome(server).await, outcome, "{change}");
        }
        let (certificate, project) = ([scene.certificate.as_str()], Some(scene.project.as_str()));
        server.toggle("deactivate", project, &certificate).await;
        assert_eq!(scene.outcome(server).await, "invalid_grant", "no anchor");
        server.toggle("activate", None, &certificate).await;
        assert_eq!(
            scene.outcome(server).await,
            "issued",
            "the organization's anchor"
        );
        let archive = format!("/v1/organization/projects/{}/archive", scene.project);
        server.request("POST", &archive).ok().await;
        assert_eq!(scene.outcome(server).await, "invalid_grant", "archived");
    })
    .await;
}

#[tokio::test]
async fn another_organizations_provider_and_account_are_nobodys() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let other = server.other_organization().await;
        let body = json!({
            "type": "x509", "name": "theirs", "attribute_transformations": [
                { "attribute": "openai.subject", "expression": "assertion.subject.common_name" },
            ],
        });
        let theirs = id(&server.post(PROVIDERS, body).key(&other).ok().await);
        let worker = scene.ca.leaf("worker-7").mint();
        for (provider, account) in [
            (theirs.as_str(), scene.account.as_str()),
            (scene.provider.as_str(), "svc_acct_another"),
            (scene.provider.as_str(), "4711"),
            ("idp_another", scene.account.as_str()),
            ("", ""),
        ] {
            let body = json!({
                "identity_provider_id": provider, "service_account_id": account,
                "chain": [STANDARD.encode(worker.der())],
            });
            let refused = server.post(EXCHANGE, body).key(&scene.gateway).ok().await;
            assert_eq!(refused["error"], "invalid_grant", "{provider} {account}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_key_is_known_before_it_signs_and_an_old_one_until_its_tokens_end() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let keys = async || {
            let bundle = scene.bundle(server).await;
            bundle.federation.unwrap().keys
        };
        let signer = async || {
            let worker = scene.ca.leaf("worker-7").mint();
            let issued = scene.exchange(server, &[&worker]).await;
            let token = issued["access_token"].as_str().unwrap().to_owned();
            let read = Unverified::read(token.as_bytes(), TOKEN_TYPE).unwrap();
            read.key().to_owned()
        };
        let first = signer().await;
        let rotate = "/v1/organization/token_keys/rotate";
        let new = server.request("POST", rotate).ok().await;
        assert_eq!(keys().await.len(), 2);
        assert_eq!(
            signer().await,
            first,
            "gateways get to know the new one first"
        );
        let again = server.request("POST", rotate).ok().await;
        assert_eq!(again["id"], new["id"], "one waits already");
        server.clock.advance(600);
        assert_eq!(signer().await, id(&new));
        assert_eq!(keys().await.len(), 2, "tokens of the old one live on");
        let at_once = server.post(rotate, json!({ "at_once": true })).ok().await;
        assert_eq!(signer().await, id(&at_once));
        assert_eq!(
            keys().await.len(),
            1,
            "a key that others may know is good for nothing"
        );
        let listed = server.get("/v1/organization/token_keys").ok().await;
        assert_eq!(listed["data"], json!([at_once]));
        assert!(!listed.to_string().contains("seed"));
    })
    .await;
}

#[tokio::test]
async fn a_try_shows_each_step_and_issues_nothing() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let worker = scene.ca.leaf("worker-7").mint();
        let manager = scene.ca.leaf("manager").mint();
        let path = format!("{}/test", scene.rules());
        let tried = async |leaf: &Minted| {
            let body = json!({
                "service_account_id": scene.account, "chain": [STANDARD.encode(leaf.der())],
            });
            server.post(&path, body).ok().await
        };
        let revision = server.store.revision().await.unwrap();
        let issues = tried(&worker).await;
        assert_eq!(issues["issues"], true, "{issues}");
        assert_eq!(issues["certificate_id"], json!(scene.certificate));
        assert_eq!(
            issues["attributes"],
            json!([{ "attribute": "openai.subject", "value": "worker-7" }])
        );
        assert_eq!(issues["rules"][0]["matches"], true);
        let refused = tried(&manager).await;
        assert_eq!(refused["issues"], false);
        assert_eq!(refused["refused"]["error"], "invalid_grant");
        assert_eq!(
            refused["rules"][0]["why_not"][0],
            "`openai.subject` is \"manager\", not \"worker-*\""
        );
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}
