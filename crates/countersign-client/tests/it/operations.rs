//! Every operation, under its verb and under the reference's name: what is sent, and that the
//! answer is read.

use std::time::Duration;

use countersign_client::{
    AuditLogParams, BundleReader, Client, Error, ListParams, ProjectListParams,
    types::{
        api_key::AdminApiKeyCreateRequest,
        capability::Capability,
        certificate::{
            ActiveCertificate, Enforcement, ModifyCertificateRequest, Scope,
            UploadCertificateRequest,
        },
        crl::CrlAddRequest,
        denial::{DenialCreateRequest, DenialMatch},
        digest::Sha256,
        history::{HistoryPoint, RevisionToken},
        id::{ApiKeyId, CertificateId, GatewayId, ProjectId, RotationId, ServiceAccountId},
        observation::{Der, ObservationBatch, ObservedChain},
        page::Order,
        project::{
            ProjectCreateRequest, ProjectUpdateRequest, ServiceAccountApiKeyCreateRequest,
            ServiceAccountCreateRequest, ServiceAccountRole, ServiceAccountUpdateRequest,
        },
        rotation::{EndRotationRequest, StartRotationRequest},
    },
};
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture};
use serde_json::{Value, json};

use crate::peer::{self, KEY, Peer};

const WAIT: Duration = Duration::from_secs(30);

type Call = Box<dyn Fn(Client) -> BoxFuture<'static, Result<(), Error>>>;

macro_rules! calls {
    ($($client:ident => $call:expr),+ $(,)?) => {
        vec![$(Box::new(move |$client: Client| {
            async move {
                $call.map(drop)
            }
            .boxed()
        }) as Call),+]
    };
}

/// Each call sends this request line and body, and reads this answer.
async fn check(line: &str, body: Value, answer: &Value, calls: Vec<Call>) {
    for (number, call) in calls.into_iter().enumerate() {
        let peer = Peer::start(vec![peer::json(200, &[], answer)]).await;
        call(peer.client())
            .await
            .unwrap_or_else(|error| panic!("{line}, call {number}: {error}"));
        let seen = peer.seen();
        assert_eq!(seen.len(), 1, "{line}, call {number}");
        let sent: Value = serde_json::from_str(&seen[0].body).unwrap_or(Value::Null);
        assert_eq!(
            (seen[0].line.as_str(), &sent),
            (line, &body),
            "call {number}"
        );
        let media = seen[0].headers.get("content-type").map(String::as_str);
        assert_eq!(
            media,
            (!body.is_null()).then_some("application/json"),
            "{line}"
        );
    }
}

fn cert() -> CertificateId {
    "cert_a".parse().unwrap()
}

fn proj() -> ProjectId {
    "proj_a".parse().unwrap()
}

fn account() -> ServiceAccountId {
    "user-a".parse().unwrap()
}

fn key() -> ApiKeyId {
    "key_a".parse().unwrap()
}

fn gw() -> GatewayId {
    "gw_a".parse().unwrap()
}

fn certificate() -> Value {
    json!({ "object": "certificate", "id": "cert_a", "name": null, "created_at": 3,
        "certificate_details": { "valid_at": 1, "expires_at": 2 }, "new_field": {} })
}

fn list(entries: &[Value]) -> Value {
    json!({ "object": "list", "data": entries, "has_more": false })
}

fn scoped(object: &str) -> Value {
    json!({ "object": object, "id": "cert_a", "name": "A", "created_at": 3, "active": true,
        "certificate_details": { "valid_at": 1, "expires_at": 2 } })
}

fn upload() -> UploadCertificateRequest {
    UploadCertificateRequest {
        certificate: "PEM".to_owned(),
        name: Some("A".to_owned()),
        cel_policy: None,
    }
}

fn rename() -> ModifyCertificateRequest {
    ModifyCertificateRequest {
        name: Some("B".to_owned()),
    }
}

fn denial() -> Value {
    json!({ "object": "organization.denial", "id": "deny_a", "name": "left", "reason": null,
        "match": { "leaf_sha256": "0".repeat(64) }, "project_id": null, "enforcement": "enforce",
        "created_at": 3, "expires_at": null, "created_by": "key_a", "new_field": {} })
}

#[tokio::test]
async fn denials_are_made_listed_and_deleted() {
    let request = || DenialCreateRequest {
        name: "left".to_owned(),
        reason: None,
        matches: DenialMatch::LeafSha256(Sha256::ZERO),
        project_id: None,
        enforcement: Enforcement::Enforce,
        expires_at: None,
    };
    check(
        "POST /v1/organization/denials",
        json!({ "name": "left", "match": { "leaf_sha256": "0".repeat(64) }, "enforcement": "enforce" }),
        &denial(),
        calls![client => client.denials().create(&request()).await],
    )
    .await;
    check(
        "GET /v1/organization/denials",
        Value::Null,
        &list(&[denial()]),
        calls![
            client => client.denials().list(&ListParams::default()).await,
            client => client.denials().stream(&ListParams::default()).try_collect::<Vec<_>>().await
        ],
    )
    .await;
    let id = || "deny_a".parse().unwrap();
    check(
        "GET /v1/organization/denials/deny_a",
        Value::Null,
        &denial(),
        calls![client => client.denials().retrieve(&id()).await],
    )
    .await;
    check(
        "DELETE /v1/organization/denials/deny_a",
        Value::Null,
        &json!({ "object": "organization.denial.deleted", "id": "deny_a", "deleted": true }),
        calls![client => client.denials().delete(&id()).await],
    )
    .await;
    check(
        "POST /v1/organization/certificates/cert_a/floor",
        json!({ "refuse_issued_before": 7, "enforcement": "report" }),
        &certificate(),
        calls![client => client.certificates().set_floor(&cert(), Some(7), Enforcement::Report).await],
    )
    .await;
}

fn crl() -> Value {
    json!({ "object": "organization.certificate.crl", "id": "crl_a", "certificate_id": "cert_a",
        "issuer": "CN=CA", "issuer_sha256": "0".repeat(64), "number": null, "this_update": 1, "next_update": 2,
        "entries": 3, "only_user_certificates": false, "sha256": "0".repeat(64), "created_at": 4,
        "updated_at": 5, "updated_by": "key_a", "new_field": {} })
}

#[tokio::test]
async fn revocation_lists_are_added_listed_and_deleted() {
    let request = || CrlAddRequest {
        crl: Some("PEM".to_owned()),
        url: None,
        interval: None,
        issuer_certificates: None,
    };
    check(
        "POST /v1/organization/certificates/cert_a/crls",
        json!({ "crl": "PEM" }),
        &crl(),
        calls![client => client.crls(&cert()).add(&request()).await],
    )
    .await;
    check(
        "GET /v1/organization/certificates/cert_a/crls",
        Value::Null,
        &list(&[crl()]),
        calls![
            client => client.crls(&cert()).list(&ListParams::default()).await,
            client => client.crls(&cert()).stream(&ListParams::default()).try_collect::<Vec<_>>().await
        ],
    )
    .await;
    let id = || "crl_a".parse().unwrap();
    check(
        "GET /v1/organization/certificates/cert_a/crls/crl_a",
        Value::Null,
        &crl(),
        calls![client => client.crls(&cert()).retrieve(&id()).await],
    )
    .await;
    check(
        "DELETE /v1/organization/certificates/cert_a/crls/crl_a",
        Value::Null,
        &json!({ "object": "organization.certificate.crl.deleted", "id": "crl_a", "deleted": true }),
        calls![client => client.crls(&cert()).delete(&id()).await],
    )
    .await;
    check(
        "POST /v1/organization/certificates/cert_a/crl_missing",
        json!({ "crl_missing": null }),
        &certificate(),
        calls![client => client.crls(&cert()).set_missing(None).await],
    )
    .await;
    check(
        &format!(
            "GET /v1/countersign/revoked-sets?sha256={}&from=7",
            "0".repeat(64)
        ),
        Value::Null,
        &json!({ "sha256": "0".repeat(64), "records": "" }),
        calls![client => client.countersign().revoked_records(Sha256::ZERO, 7).await],
    )
    .await;
}

#[tokio::test]
async fn certificates_are_read() {
    check(
        "GET /v1/organization/certificates/cert_a",
        Value::Null,
        &certificate(),
        calls![
            client => client.certificates().retrieve(&cert()).await,
            client => client.get_certificate(&cert()).await
        ],
    )
    .await;
    check(
        "GET /v1/organization/certificates/cert_a?include%5B%5D=content",
        Value::Null,
        &certificate(),
        calls![
            client => client.certificates().retrieve_with_content(&cert()).await,
            client => client.get_certificate_with_content(&cert()).await
        ],
    )
    .await;
    let mut used = certificate();
    used["usage"] = json!({ "last_used": null, "scopes": [] });
    check(
        "GET /v1/organization/certificates/cert_a?include%5B%5D=usage",
        Value::Null,
        &used,
        calls![client => client.certificates().retrieve_with_usage(&cert()).await],
    )
    .await;
}

#[tokio::test]
async fn what_certificates_are_used_for() {
    check(
        "GET /v1/organization/certificates?include%5B%5D=usage",
        Value::Null,
        &list(&[]),
        calls![client => {
            let scope = Scope::Organization;
            let all = client.certificates().stream_with_usage(&scope, &ListParams::default());
            all.try_collect::<Vec<_>>().await
        }],
    )
    .await;
    let windows = json!({ "days_1": 1, "days_7": 2, "days_30": 3 });
    check(
        "GET /v1/organization/certificates/cert_a/usage",
        Value::Null,
        &list(&[json!({
            "object": "organization.certificate.use", "id": "obs_1",
            "active_at_project_id": null, "project_id": "proj_a", "api_key_id": null,
            "leaf": { "sha256": "ab".repeat(32), "subject": "CN=a", "subject_alt_names": ["DNS:a"],
                "issuer": "CN=b", "expires_at": 9 },
            "first_seen": 1, "last_seen": 2, "requests": windows,
        })]),
        calls![client => {
            let uses = client.certificates().stream_uses(&cert(), &ListParams::default());
            uses.try_collect::<Vec<_>>().await
        }],
    )
    .await;
}

#[tokio::test]
async fn certificates_are_written() {
    check(
        "POST /v1/organization/certificates",
        json!({ "certificate": "PEM", "name": "A" }),
        &certificate(),
        calls![
            client => client.certificates().upload(&upload()).await,
            client => client.upload_certificate(&upload()).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/certificates/cert_a",
        json!({ "name": "B" }),
        &certificate(),
        calls![
            client => client.certificates().update(&cert(), &rename()).await,
            client => client.modify_certificate(&cert(), &rename()).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/certificates/cert_a",
        json!({}),
        &certificate(),
        calls![client => client
            .modify_certificate(&cert(), &ModifyCertificateRequest::default())
            .await],
    )
    .await;
    check(
        "POST /v1/organization/certificates/cert_a/policy",
        json!({ "cel_policy": null }),
        &certificate(),
        calls![client => client.certificates().set_policy(&cert(), None).await],
    )
    .await;
    check(
        "DELETE /v1/organization/certificates/cert_a",
        Value::Null,
        &json!({ "object": "certificate.deleted", "id": "cert_a" }),
        calls![
            client => client.certificates().delete(&cert()).await,
            client => client.delete_certificate(&cert()).await
        ],
    )
    .await;
}

#[tokio::test]
async fn certificates_of_the_organization() {
    check(
        "GET /v1/organization/certificates",
        Value::Null,
        &list(&[scoped("organization.certificate")]),
        calls![
            client => client
                .certificates()
                .list(&Scope::Organization, &ListParams::default())
                .await,
            client => client
                .list_organization_certificates(&ListParams::default())
                .await
        ],
    )
    .await;
    let toggled =
        |object: &str| json!({ "object": object, "data": [scoped("organization.certificate")] });
    check(
        "POST /v1/organization/certificates/activate",
        json!({ "certificate_ids": ["cert_a"] }),
        &toggled("organization.certificate.activation"),
        calls![
            client => client
                .certificates()
                .activate(&Scope::Organization, &[cert()])
                .await,
            client => client.activate_organization_certificates(&[cert()]).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/certificates/deactivate",
        json!({ "certificate_ids": ["cert_a"] }),
        &toggled("organization.certificate.deactivation"),
        calls![
            client => client
                .certificates()
                .deactivate(&Scope::Organization, &[cert()])
                .await,
            client => client.deactivate_organization_certificates(&[cert()]).await
        ],
    )
    .await;
}

#[tokio::test]
async fn certificates_of_a_project() {
    check(
        "GET /v1/organization/projects/proj_a/certificates?limit=2&order=asc&after=cert_z",
        Value::Null,
        &list(&[scoped("organization.project.certificate")]),
        calls![
            client => client.certificates().list(&Scope::Project(proj()), &second_page()).await,
            client => client.list_project_certificates(&proj(), &second_page()).await,
        ],
    )
    .await;
    let toggled = |object: &str| json!({ "object": object, "data": [scoped("organization.project.certificate")] });
    check(
        "POST /v1/organization/projects/proj_a/certificates/activate",
        json!({ "certificate_ids": ["cert_a"] }),
        &toggled("organization.project.certificate.activation"),
        calls![
            client => client
                .certificates()
                .activate(&Scope::Project(proj()), &[cert()])
                .await,
            client => client
                .activate_project_certificates(&proj(), &[cert()])
                .await
        ],
    )
    .await;
    check(
        "POST /v1/organization/projects/proj_a/certificates/deactivate",
        json!({ "certificate_ids": ["cert_a"] }),
        &toggled("organization.project.certificate.deactivation"),
        calls![
            client => client
                .certificates()
                .deactivate(&Scope::Project(proj()), &[cert()])
                .await,
            client => client
                .deactivate_project_certificates(&proj(), &[cert()])
                .await
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_active_is_set_whole() {
    let reported = || {
        [ActiveCertificate {
            certificate_id: cert(),
            enforcement: Enforcement::Report,
        }]
    };
    check(
        "POST /v1/organization/certificates/active",
        json!({ "active": [{ "certificate_id": "cert_a", "enforcement": "report" }] }),
        &json!({ "object": "organization.certificate.active", "data": [scoped("organization.certificate")] }),
        calls![client => client
            .certificates()
            .set_active(&Scope::Organization, &reported(), None)
            .await],
    )
    .await;
    check(
        "POST /v1/organization/projects/proj_a/certificates/active",
        json!({
            "active": [],
            "expected": [{ "certificate_id": "cert_a", "enforcement": "report" }],
        }),
        &json!({ "object": "organization.project.certificate.active", "data": [] }),
        calls![client => client
            .certificates()
            .set_active(&Scope::Project(proj()), &[], Some(&reported()))
            .await],
    )
    .await;
}

fn rot() -> RotationId {
    "rot_a".parse().unwrap()
}

#[tokio::test]
async fn rotations() {
    let rotation = json!({
        "object": "organization.rotation", "id": "rot_a", "old_certificate_id": "cert_a",
        "new_certificate_id": "cert_b", "enforcement": "report", "status": "in_progress",
        "created_at": 3, "ended_at": null, "scopes": [{ "project_id": null }],
    });
    let path = "/v1/organization/rotations";
    check(
        &format!("GET {path}"),
        Value::Null,
        &list(std::slice::from_ref(&rotation)),
        calls![client => client.rotations().list(&ListParams::default()).await],
    )
    .await;
    check(
        &format!("GET {path}/rot_a?seen_within=60"),
        Value::Null,
        &rotation,
        calls![client => client.rotations().retrieve(&rot(), Some(Duration::from_secs(60))).await],
    )
    .await;
    check(
        &format!("POST {path}"),
        json!({ "old_certificate_id": "cert_a", "new_certificate_id": "cert_a" }),
        &rotation,
        calls![client => client
            .rotations()
            .start(&StartRotationRequest {
                old_certificate_id: cert(),
                new_certificate_id: cert(),
                project_ids: None,
                enforcement: None,
                force: None,
            })
            .await],
    )
    .await;
    let forced = || EndRotationRequest {
        force: Some(true),
        seen_within: None,
    };
    check(
        &format!("POST {path}/rot_a/finish"),
        json!({ "force": true }),
        &rotation,
        calls![client => client.rotations().finish(&rot(), &forced()).await],
    )
    .await;
    check(
        &format!("POST {path}/rot_a/abort"),
        json!({}),
        &rotation,
        calls![client => client.rotations().abort(&rot(), &EndRotationRequest::default()).await],
    )
    .await;
}

fn project() -> Value {
    json!({ "object": "organization.project", "id": "proj_a", "name": "A", "created_at": 3,
        "archived_at": null, "status": "active" })
}

#[tokio::test]
async fn projects_are_listed() {
    check(
        "GET /v1/organization/projects?include_archived=true",
        Value::Null,
        &list(&[project()]),
        calls![
            client => client.projects().list(&archived_too()).await,
            client => client.list_projects(&archived_too()).await
        ],
    )
    .await;
}

#[tokio::test]
async fn projects_are_written() {
    let create = || ProjectCreateRequest {
        name: "A".to_owned(),
        residency: None,
        external_key_id: None,
    };
    let rename = || ProjectUpdateRequest {
        name: Some("B".to_owned()),
        external_key_id: None,
    };
    check(
        "POST /v1/organization/projects",
        json!({ "name": "A" }),
        &project(),
        calls![
            client => client.projects().create(&create()).await,
            client => client.create_project(&create()).await
        ],
    )
    .await;
    check(
        "GET /v1/organization/projects/proj_a",
        Value::Null,
        &project(),
        calls![
            client => client.projects().retrieve(&proj()).await,
            client => client.retrieve_project(&proj()).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/projects/proj_a",
        json!({ "name": "B" }),
        &project(),
        calls![
            client => client.projects().update(&proj(), &rename()).await,
            client => client.modify_project(&proj(), &rename()).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/projects/proj_a/archive",
        Value::Null,
        &project(),
        calls![
            client => client.projects().archive(&proj()).await,
            client => client.archive_project(&proj()).await
        ],
    )
    .await;
}

fn second_page() -> ListParams {
    ListParams {
        limit: Some(2),
        after: Some("cert_z".to_owned()),
        order: Some(Order::Asc),
    }
}

fn archived_too() -> ProjectListParams {
    ProjectListParams {
        list: ListParams::default(),
        include_archived: true,
    }
}

fn service_account() -> Value {
    json!({ "object": "organization.project.service_account", "id": "user-a", "name": "A",
        "role": "member", "created_at": 3 })
}

fn service_account_key() -> Value {
    json!({ "object": "organization.project.service_account.api_key", "value": "sk-svcacct-x",
        "name": "A", "created_at": 3, "id": "key_a" })
}

#[tokio::test]
async fn service_accounts_are_read() {
    check(
        "GET /v1/organization/projects/proj_a/service_accounts",
        Value::Null,
        &list(&[service_account()]),
        calls![
            client => client
                .service_accounts(&proj())
                .list(&ListParams::default())
                .await,
            client => client
                .list_project_service_accounts(&proj(), &ListParams::default())
                .await
        ],
    )
    .await;
    check(
        "GET /v1/organization/projects/proj_a/service_accounts/user-a",
        Value::Null,
        &service_account(),
        calls![
            client => client.service_accounts(&proj()).retrieve(&account()).await,
            client => client
                .retrieve_project_service_account(&proj(), &account())
                .await
        ],
    )
    .await;
}

#[tokio::test]
async fn service_accounts_are_written() {
    let create = || ServiceAccountCreateRequest {
        name: "A".to_owned(),
        create_service_account_only: None,
    };
    let promote = || ServiceAccountUpdateRequest {
        name: None,
        role: Some(ServiceAccountRole::Owner),
    };
    let mut created = service_account();
    created["api_key"] = service_account_key();
    check(
        "POST /v1/organization/projects/proj_a/service_accounts",
        json!({ "name": "A" }),
        &created,
        calls![
            client => client.service_accounts(&proj()).create(&create()).await,
            client => client
                .create_project_service_account(&proj(), &create())
                .await
        ],
    )
    .await;
    check(
        "POST /v1/organization/projects/proj_a/service_accounts/user-a",
        json!({ "role": "owner" }),
        &service_account(),
        calls![
            client => client
                .service_accounts(&proj())
                .update(&account(), &promote())
                .await,
            client => client
                .update_project_service_account(&proj(), &account(), &promote())
                .await
        ],
    )
    .await;
    check(
        "DELETE /v1/organization/projects/proj_a/service_accounts/user-a",
        Value::Null,
        &json!({ "object": "organization.project.service_account.deleted", "id": "user-a",
            "deleted": true }),
        calls![
            client => client.service_accounts(&proj()).delete(&account()).await,
            client => client
                .delete_project_service_account(&proj(), &account())
                .await
        ],
    )
    .await;
}

#[tokio::test]
async fn keys_of_service_accounts() {
    let another = ServiceAccountApiKeyCreateRequest::default;
    check(
        "POST /v1/organization/projects/proj_a/service_accounts/user-a/api_keys",
        json!({}),
        &service_account_key(),
        calls![
            client => client
                .service_accounts(&proj())
                .create_api_key(&account(), &another())
                .await,
            client => client
                .create_project_service_account_api_key(&proj(), &account(), &another())
                .await
        ],
    )
    .await;
}

#[tokio::test]
async fn project_keys() {
    let project_key = json!({ "object": "organization.project.api_key", "redacted_value": "sk-***",
        "name": "A", "created_at": 3, "last_used_at": null, "id": "key_a",
        "owner_project_access": "active",
        "owner": { "type": "user", "user": { "id": "user-b", "name": "B" } } });
    check(
        "GET /v1/organization/projects/proj_a/api_keys",
        Value::Null,
        &list(std::slice::from_ref(&project_key)),
        calls![
            client => client.api_keys(&proj()).list(&ListParams::default()).await,
            client => client
                .list_project_api_keys(&proj(), &ListParams::default())
                .await
        ],
    )
    .await;
    check(
        "GET /v1/organization/projects/proj_a/api_keys/key_a",
        Value::Null,
        &project_key,
        calls![
            client => client.api_keys(&proj()).retrieve(&key()).await,
            client => client.retrieve_project_api_key(&proj(), &key()).await
        ],
    )
    .await;
    check(
        "DELETE /v1/organization/projects/proj_a/api_keys/key_a",
        Value::Null,
        &json!({ "object": "organization.project.api_key.deleted", "id": "key_a",
            "deleted": true }),
        calls![
            client => client.api_keys(&proj()).delete(&key()).await,
            client => client.delete_project_api_key(&proj(), &key()).await
        ],
    )
    .await;
}

#[tokio::test]
async fn admin_keys() {
    let admin_key = json!({ "object": "organization.admin_api_key", "id": "key_a", "name": null,
        "redacted_value": "sk-admin-***", "created_at": 3, "expires_at": null,
        "last_used_at": null, "owner": { "type": "user", "id": "user-b" } });
    let create = || AdminApiKeyCreateRequest {
        name: "A".to_owned(),
        expires_in_seconds: Some(60),
        scopes: None,
    };
    check(
        "GET /v1/organization/admin_api_keys",
        Value::Null,
        &list(std::slice::from_ref(&admin_key)),
        calls![
            client => client.admin_api_keys().list(&ListParams::default()).await,
            client => client.admin_api_keys_list(&ListParams::default()).await
        ],
    )
    .await;
    check(
        "POST /v1/organization/admin_api_keys",
        json!({ "name": "A", "expires_in_seconds": 60 }),
        &admin_key,
        calls![
            client => client.admin_api_keys().create(&create()).await,
            client => client.admin_api_keys_create(&create()).await
        ],
    )
    .await;
    check(
        "GET /v1/organization/admin_api_keys/key_a",
        Value::Null,
        &admin_key,
        calls![
            client => client.admin_api_keys().retrieve(&key()).await,
            client => client.admin_api_keys_get(&key()).await
        ],
    )
    .await;
    check(
        "DELETE /v1/organization/admin_api_keys/key_a",
        Value::Null,
        &json!({ "object": "organization.admin_api_key.deleted", "id": "key_a",
            "deleted": true }),
        calls![
            client => client.admin_api_keys().delete(&key()).await,
            client => client.admin_api_keys_delete(&key()).await
        ],
    )
    .await;
}

#[tokio::test]
async fn audit_logs() {
    let narrow = || AuditLogParams {
        effective_after: Some(1),
        effective_from: Some(2),
        effective_before: Some(9),
        effective_until: Some(8),
        project_ids: vec![proj()],
        event_types: vec!["certificate.created".to_owned(), "a&b".to_owned()],
        actor_ids: vec!["key_a".to_owned()],
        resource_ids: vec!["cert_a".to_owned()],
        limit: Some(5),
        after: Some("audit_log-a".to_owned()),
        before: Some("audit_log-b".to_owned()),
    };
    check(
        "GET /v1/organization/audit_logs?effective_at%5Bgt%5D=1&effective_at%5Bgte%5D=2\
         &effective_at%5Blt%5D=9&effective_at%5Blte%5D=8&project_ids%5B%5D=proj_a\
         &event_types%5B%5D=certificate.created&event_types%5B%5D=a%26b\
         &actor_ids%5B%5D=key_a&resource_ids%5B%5D=cert_a&limit=5&before=audit_log-b\
         &after=audit_log-a",
        Value::Null,
        &list(&[
            json!({ "id": "audit_log-a", "type": "login.failed", "effective_at": 3,
            "actor": { "type": "session", "session": { "ip_address": "127.0.0.1" } },
            "login.failed": { "error_code": "x" } }),
        ]),
        calls![
            client => client.audit_logs().list(&narrow()).await,
            client => client.list_audit_logs(&narrow()).await
        ],
    )
    .await;
}

fn reader(name: &str) -> BundleReader {
    BundleReader {
        gateway: gw(),
        name: name.to_owned(),
        durable: false,
        understands: vec![Capability::Denials, Capability::Floors],
    }
}

fn point() -> HistoryPoint {
    HistoryPoint {
        revision: 7,
        token: RevisionToken::from_random(0xab),
    }
}

#[tokio::test]
async fn bundles() {
    let empty = json!({ "revision": 8, "complete": false, "organizations": [] });
    check(
        "GET /v1/countersign/bundle?gateway=gw_a&name=edge+1&durable=false&understands%5B%5D=denials&understands%5B%5D=floors&after=7\
         &token=000000000000000000000000000000ab&wait=30",
        Value::Null,
        &empty,
        calls![client => client.countersign().bundle(Some(&reader("edge 1")), point(), WAIT).await],
    )
    .await;
    check(
        "GET /v1/countersign/bundle?gateway=gw_a&durable=false&understands%5B%5D=denials&understands%5B%5D=floors&after=0&wait=30",
        Value::Null,
        &empty,
        calls![client => {
            client.countersign().bundle(Some(&reader("")), HistoryPoint::START, WAIT).await
        }],
    )
    .await;
    check(
        "GET /v1/countersign/bundle?after=0&wait=30",
        Value::Null,
        &empty,
        calls![client => client.countersign().bundle(None, HistoryPoint::START, WAIT).await],
    )
    .await;
    check(
        "GET /v1/countersign/bundle?organizations%5B%5D=org-a&organizations%5B%5D=org-b",
        Value::Null,
        &empty,
        calls![client => {
            let ids = ["org-a", "org-b"].map(|id| id.parse().unwrap());
            client.countersign().organization_bundles(&ids).await
        }],
    )
    .await;
    check(
        "GET /v1/countersign/bundle/digests",
        Value::Null,
        &json!({ "revision": 8, "token": "ab".repeat(16), "organizations": [
            { "id": "org-a", "digest": "cd".repeat(32) }] }),
        calls![client => client.countersign().bundle_digests().await],
    )
    .await;
    let page =
        json!({ "revision": 8, "token": "ab".repeat(16), "organizations": [], "next": "org-b" });
    check(
        "GET /v1/countersign/bundle/digests?paged=true&from=org-a",
        Value::Null,
        &page,
        calls![client => {
            let from = "org-a".parse().unwrap();
            client.countersign().bundle_digests_page(Some(&from)).await
        }],
    )
    .await;
}

fn batch() -> ObservationBatch {
    ObservationBatch {
        gateway: gw(),
        number: 1,
        chains: vec![ObservedChain {
            organization: "org-a".parse().unwrap(),
            certificates: vec![Der(vec![0x30, 0])],
        }],
        observations: Vec::new(),
        refusals: Some(Vec::new()),
        refused_by: None,
        live: None,
    }
}

#[tokio::test]
async fn gateways_and_what_they_send() {
    check(
        "DELETE /v1/countersign/gateways/gw_a",
        Value::Null,
        &json!({}),
        calls![client => client.countersign().forget_gateway(&gw()).await],
    )
    .await;
    check(
        "GET /v1/organization/refusals?limit=2",
        Value::Null,
        &json!({ "object": "list", "has_more": false, "data": [
            { "object": "organization.refusal", "id": "ref_1", "project_id": null,
              "api_key_id": null, "code": "certificate_required", "leaf": null,
              "requests": 3, "first_seen": 1, "last_seen": 2 }] }),
        calls![client => {
            let params = ListParams { limit: Some(2), ..ListParams::default() };
            client.refusals().list(&params).await
        }],
    )
    .await;
    check(
        "POST /v1/countersign/observations",
        json!({ "gateway": "gw_a", "number": 1, "observations": [], "refusals": [],
            "chains": [{ "organization": "org-a", "certificates": ["MAA="] }] }),
        &json!({ "accepted": 0, "refused": 0, "unknown_chains": ["ab".repeat(32)] }),
        calls![client => client.countersign().record_observations(&batch()).await],
    )
    .await;
    check(
        "GET /v1/countersign/gateways",
        Value::Null,
        &json!({ "revision": 8, "gateways": [
            { "id": "gw_a", "name": "a", "revision": 8, "seen_at": 3 }] }),
        calls![client => client.countersign().gateways().await],
    )
    .await;
    let change = HistoryPoint {
        revision: 8,
        token: "ab".repeat(16).parse().unwrap(),
    };
    check(
        &format!(
            "GET /v1/countersign/gateways?revision=8&token={}",
            change.token
        ),
        Value::Null,
        &json!({ "revision": 9, "gateways": [], "lost": true }),
        calls![client => client.countersign().gateways_and_whether_lost(change).await],
    )
    .await;
}

#[tokio::test]
async fn the_headers_of_a_request_and_what_stands_beside_an_answer() {
    let token = "ab".repeat(16);
    let headers = [
        ("x-request-id", "req_9"),
        ("countersign-revision", "42"),
        ("countersign-token", &token),
    ];
    let peer = Peer::start(vec![peer::json(200, &headers, &certificate())]).await;
    let client = peer
        .builder()
        .organization("org-a")
        .project("proj_a")
        .build()
        .unwrap();
    let answer = client.modify_certificate(&cert(), &rename()).await.unwrap();
    assert_eq!(answer.revision, Some(42));
    assert_eq!(answer.change().unwrap().token.to_string(), token);
    assert_eq!(answer.request_id.as_deref(), Some("req_9"));
    assert_eq!(answer.value.id, cert());

    let sent = &peer.seen()[0].headers;
    let version = concat!("countersign/", env!("CARGO_PKG_VERSION"));
    assert_eq!(sent["authorization"], format!("Bearer {KEY}"));
    assert_eq!(sent["user-agent"], version);
    assert_eq!(sent["accept"], "application/json");
    assert_eq!(sent["openai-organization"], "org-a");
    assert_eq!(sent["openai-project"], "proj_a");
}

#[tokio::test]
async fn a_base_url_may_have_a_prefix_and_a_last_slash() {
    for base in ["/v1", "/v1/", "/", "", "/some/prefix/v1", "/a%20b/v1/"] {
        let peer = Peer::start(vec![peer::json(200, &[], &certificate())]).await;
        let client = peer.builder().base_url(peer.url("http", base));
        let client = client.build().unwrap();
        client.get_certificate(&cert()).await.unwrap();
        let prefix = base.trim_end_matches('/');
        let wanted = format!("GET {prefix}/organization/certificates/cert_a");
        assert_eq!(peer.lines(), [wanted]);
    }
}
