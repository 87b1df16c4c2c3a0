//! One of everything that an organization may have.

use countersign_testca::{Minted, THIS_UPDATE, root};
use countersign_types::revoked_set::{Revocation, RevokedSet, record};
use serde_json::{Value, json};

use super::{START, Server};
use crate::countersign::receipt_keys::registration;

/// The PEM of a new root.
pub(crate) fn pem(name: &str) -> String {
    root(name).mint().pem()
}

/// When `testca` has certificates revoked: a day before its lists are made unless told otherwise.
const REVOKED: u64 = THIS_UPDATE.unsigned_abs() - 86_400;

/// A list of a CA that names itself.
fn list(ca: &Minted, number: u8) -> String {
    let start = i64::try_from(START).unwrap();
    let list = ca.crl().number(Some(&[number])).revoke(ca);
    list.current(start - 1000, Some(start + 1_000_000)).pem()
}

/// Ids of one of everything. Each certificate, project and key is made for it.
pub(crate) struct Fixture {
    pub(crate) certificate: String,
    pub(crate) project: String,
    pub(crate) service_account: String,
    pub(crate) project_key: String,
    pub(crate) project_key_value: String,
    pub(crate) admin_key: String,
    /// What the certificate is rotated to, once [`Server::add_successor`] has made it.
    pub(crate) successor: String,
    /// The rotation, once [`Server::start_rotation`] has started it.
    pub(crate) rotation: String,
    /// One that there is, or else a new one: there may not be many.
    pub(crate) webhook: String,
    /// One about the project that never holds, so that it breaks by nothing.
    pub(crate) assertion: String,
    /// One of the project, of a leaf that nobody has.
    pub(crate) denial: String,
    /// A revocation list of the certificate, the digest of its set, and the list that follows it, in PEM.
    pub(crate) crl: String,
    pub(crate) revoked_set: String,
    pub(crate) next_crl: String,
    /// One that there is, or else a new one: there may not be many.
    pub(crate) provider: String,
    /// A rule of the provider.
    pub(crate) rule: String,
    /// A gateway's key for receipts, once [`Server::add_receipt_key`] has registered it.
    pub(crate) receipt_key: String,
}

/// Where workload identity providers are.
pub(crate) const PROVIDERS: &str = "/v1/organization/workload_identity_providers";

/// The id of what was made.
pub(crate) fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

impl Server {
    /// Uploads a new root and gives its id.
    pub(crate) async fn upload(&self, name: &str) -> String {
        let body = json!({ "name": name, "certificate": pem(name) });
        id(&self.post("/v1/organization/certificates", body).ok().await)
    }

    pub(crate) async fn webhook(&self) -> String {
        let path = "/v1/organization/webhooks";
        let all = self.get(path).ok().await;
        if let Some(found) = all["data"].get(0) {
            return id(found);
        }
        let body = json!({ "url": "https://example.com/hook" });
        id(&self.post(path, body).ok().await)
    }

    /// An assertion about a project that no client without a certificate fulfils.
    pub(crate) async fn assertion(&self, project: &str) -> String {
        let body = json!({
            "name": format!("never at {project}"), "project_id": project, "expect": "deny",
            "code": "invalid_certificate", "chain": [],
        });
        id(&self.post("/v1/organization/assertions", body).ok().await)
    }

    /// A root with a revocation list: the root, its id, the list's, and the digest of its set.
    async fn with_crl(&self) -> (Minted, String, String, String) {
        let ca = root("Example Root").mint();
        let body = json!({ "name": "Example Root", "certificate": ca.pem() });
        let certificate = id(&self.post("/v1/organization/certificates", body).ok().await);
        let path = format!("/v1/organization/certificates/{certificate}/crls");
        let made = self.post(&path, json!({ "crl": list(&ca, 1) })).ok().await;
        // Its serial number is in no other's list, and neither is this set.
        let revocation = Revocation {
            at: REVOKED,
            reason: None,
        };
        let set = RevokedSet::new(vec![record(ca.serial(), revocation)]).unwrap();
        (ca, certificate, id(&made), set.sha256().to_string())
    }

    /// A denial at a project of a leaf that nobody has.
    pub(crate) async fn denial(&self, project: &str) -> String {
        let body = json!({
            "name": "nobody", "project_id": project, "match": { "leaf_sha256": "0".repeat(64) },
        });
        id(&self.post("/v1/organization/denials", body).ok().await)
    }

    /// A workload identity provider, and a rule of it: those that there are, or else new ones.
    pub(crate) async fn federation(&self, project: &str, account: &str) -> (String, String) {
        let found = self.get(PROVIDERS).ok().await["data"][0]["id"].clone();
        let provider = match found.as_str() {
            Some(found) => found.to_owned(),
            None => {
                let body = json!({
                    "type": "x509", "name": "mesh", "attribute_transformations": [
                        { "attribute": "openai.subject", "expression": "assertion.subject.common_name" },
                    ],
                });
                id(&self.post(PROVIDERS, body).ok().await)
            }
        };
        let rules = format!("{PROVIDERS}/{provider}/federation_rules");
        let found = self.get(&rules).ok().await["data"][0]["id"].clone();
        let rule = match found.as_str() {
            Some(found) => found.to_owned(),
            None => {
                let body = json!({
                    "project_id": project, "service_account_id": account,
                    "attribute_matchers": { "openai.subject": "worker-*" },
                });
                id(&self.post(&rules, body).ok().await)
            }
        };
        (provider, rule)
    }

    pub(crate) async fn project(&self, name: &str) -> String {
        id(&self
            .post("/v1/organization/projects", json!({ "name": name }))
            .ok()
            .await)
    }

    /// Activates or deactivates for the organization, or for a project.
    pub(crate) async fn toggle(&self, verb: &str, project: Option<&str>, ids: &[&str]) -> Value {
        let scope = project
            .map(|id| format!("/projects/{id}"))
            .unwrap_or_default();
        let path = format!("/v1/organization{scope}/certificates/{verb}");
        self.post(&path, json!({ "certificate_ids": ids }))
            .ok()
            .await
    }

    /// The events of the audit log of these types, newest first.
    pub(crate) async fn audit(&self, event_type: &str) -> Vec<Value> {
        let path = format!("/v1/organization/audit_logs?limit=100&event_types[]={event_type}");
        self.get(&path).ok().await["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// A service account `billing` of a project, with no key.
    pub(crate) async fn service_account(&self, project: &str) -> String {
        let accounts = format!("/v1/organization/projects/{project}/service_accounts");
        let account = json!({ "name": "billing", "create_service_account_only": true });
        id(&self.post(&accounts, account).ok().await)
    }

    pub(crate) async fn fixture(&self) -> Fixture {
        let project = self.project("Payments").await;
        let accounts = format!("/v1/organization/projects/{project}/service_accounts");
        let account = self
            .post(&accounts, json!({ "name": "billing" }))
            .ok()
            .await;
        let admin = json!({ "name": "second" });
        let admin = self
            .post("/v1/organization/admin_api_keys", admin)
            .ok()
            .await;
        let (provider, rule) = self.federation(&project, &id(&account)).await;
        let (ca, certificate, crl, revoked_set) = self.with_crl().await;
        Fixture {
            provider,
            rule,
            certificate,
            crl,
            revoked_set,
            next_crl: list(&ca, 2),
            assertion: self.assertion(&project).await,
            denial: self.denial(&project).await,
            project,
            service_account: id(&account),
            project_key: id(&account["api_key"]),
            project_key_value: account["api_key"]["value"].as_str().unwrap().to_owned(),
            admin_key: id(&admin),
            successor: "cert_unknown".to_owned(),
            rotation: "rot_unknown".to_owned(),
            webhook: self.webhook().await,
            receipt_key: "rk_unknown".to_owned(),
        }
    }

    /// Activates the certificate for the organization, and uploads another to rotate it to.
    pub(crate) async fn add_successor(&self, fixture: &mut Fixture) {
        self.toggle("activate", None, &[&fixture.certificate]).await;
        fixture.successor = self.upload("Successor").await;
    }

    /// Registers a gateway's key for receipts.
    pub(crate) async fn add_receipt_key(&self, fixture: &mut Fixture) {
        let gateway = self.gateway_key().await;
        let body = registration(&[&self.organization]);
        let request = self.post("/v1/countersign/receipt-keys", body);
        fixture.receipt_key = id(&request.key(&gateway).ok().await);
    }

    /// Starts a rotation of the certificate.
    pub(crate) async fn start_rotation(&self, fixture: &mut Fixture) {
        self.add_successor(fixture).await;
        let body = json!({
            "old_certificate_id": fixture.certificate,
            "new_certificate_id": fixture.successor,
        });
        let started = self.post("/v1/organization/rotations", body).ok().await;
        fixture.rotation = id(&started);
    }
}
