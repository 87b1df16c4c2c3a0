//! What holds for every operation, checked by walking the table that the router is made from: an
//! operation that is added is covered here, or the walk stops at it.

use countersign_server::{Needs, Operation, operations};
use countersign_types::api_key::Permission;
use serde_json::{Value, json};

use crate::countersign::receipt_keys::registration;
use crate::harness::{Fixture, Request, Server, on_each_store, pem};

/// The body of a request to an operation that takes one, good enough to succeed.
fn body(operation: &Operation, fixture: &Fixture) -> Option<Value> {
    let toggle = json!({ "certificate_ids": [fixture.certificate] });
    Some(match operation.id() {
        "uploadCertificate" => json!({ "certificate": pem("Another Root"), "name": "Another" }),
        "activateOrganizationCertificates"
        | "deactivateOrganizationCertificates"
        | "activateProjectCertificates"
        | "deactivateProjectCertificates" => toggle,
        "setActiveOrganizationCertificates" | "setActiveProjectCertificates" => {
            json!({ "active": [{ "certificate_id": fixture.certificate }] })
        }
        "previewChanges" | "makeChanges" => json!({ "changes": [{
            "type": "set_certificate_policy", "certificate_id": fixture.certificate,
            "cel_policy": "size(subject_alt_names) > 0",
        }] }),
        "startRotation" => json!({
            "old_certificate_id": fixture.certificate,
            "new_certificate_id": fixture.successor,
        }),
        "finishRotation" | "abortRotation" => json!({ "force": true }),
        "updateCertificatePolicy" => json!({ "cel_policy": "true" }),
        "update-project-service-account" => json!({ "name": "Renamed", "role": "owner" }),
        "modifyCertificate"
        | "create-project"
        | "modify-project"
        | "create-project-service-account"
        | "admin-api-keys-create" => json!({ "name": "Renamed" }),
        "CreateanAPIkeyforaserviceaccount" | "rotateTokenKey" => json!({}),
        "createAssertion" => json!({
            "name": "another", "project_id": fixture.project, "expect": "deny", "chain": [],
        }),
        "createDenial" => json!({
            "name": "another", "project_id": fixture.project, "match": { "leaf_sha256": "1".repeat(64) },
        }),
        "addCertificateCrl" => json!({ "crl": fixture.next_crl }),
        "updateCertificateCrlMissing" => json!({ "crl_missing": "allow" }),
        "updateCertificateFloor" => json!({ "refuse_issued_before": 1 }),
        "updateAssertion" => json!({ "reason": "why" }),
        "registerReceiptKey" => registration(&["org-none"]),
        "createWebhook" => json!({ "url": "https://example.com/hook" }),
        "recordObservations" => {
            json!({ "gateway": "gw_every", "number": 1, "chains": [], "observations": [] })
        }
        _ => return federation_body(operation, fixture),
    })
}

/// The same for what workloads exchange certificates by.
fn federation_body(operation: &Operation, fixture: &Fixture) -> Option<Value> {
    Some(match operation.id() {
        "createWorkloadIdentityProvider" => json!({
            "type": "x509", "name": "another", "attribute_transformations": [
                { "attribute": "openai.subject", "expression": "assertion.subject.common_name" },
            ],
        }),
        "createFederationRule" => json!({
            "project_id": fixture.project, "service_account_id": fixture.service_account,
            "attribute_matchers": { "openai.subject": "another" },
        }),
        "updateFederationRule" | "updateWorkloadIdentityProvider" => {
            json!({ "description": "why" })
        }
        "testFederationRules" => json!({
            "service_account_id": fixture.service_account, "chain": ["AAAA"],
        }),
        "exchangeToken" => json!({
            "identity_provider_id": "idp_a", "service_account_id": "svc_acct_a", "chain": [],
        }),
        _ => return None,
    })
}

fn path(operation: &Operation, fixture: &Fixture) -> String {
    operation
        .path()
        .replace("{certificate_id}", &fixture.certificate)
        .replace("{project_id}", &fixture.project)
        .replace("{service_account_id}", &fixture.service_account)
        .replace("{api_key_id}", &fixture.project_key)
        .replace("{rotation_id}", &fixture.rotation)
        .replace("{key_id}", &fixture.admin_key)
        .replace("{webhook_id}", &fixture.webhook)
        .replace("{assertion_id}", &fixture.assertion)
        .replace("{denial_id}", &fixture.denial)
        .replace("{crl_id}", &fixture.crl)
        .replace("{workload_identity_provider_id}", &fixture.provider)
        .replace("{federation_rule_id}", &fixture.rule)
        .replace("{receipt_key_id}", &fixture.receipt_key)
        .replace("{gateway_id}", "gw_every")
}

fn request(server: &Server, operation: &Operation, fixture: &Fixture) -> Request {
    let path = path(operation, fixture);
    assert!(!path.contains('{'), "no example of an id for {path}");
    let path = if operation.id() == "getBundle" {
        format!("{path}?wait=0&gateway=gw_every")
    } else if operation.id() == "getRevokedSet" {
        format!("{path}?sha256={}", fixture.revoked_set)
    } else {
        path
    };
    let request = server.request(operation.method().as_str(), &path);
    match body(operation, fixture) {
        Some(body) => request.json(&body),
        None => request,
    }
}

fn permission(operation: &Operation) -> Option<Permission> {
    match operation.needs() {
        Needs::Admin(permission) | Needs::AdminOrGateway(permission) => Some(permission),
        Needs::Nothing | Needs::Gateway => None,
    }
}

/// What gateways do writes, but changes no organization.
fn writes(operation: &Operation) -> bool {
    let only_says =
        ["previewChanges", "runAssertions", "testFederationRules"].contains(&operation.id());
    operation.method() != "GET" && operation.needs() != Needs::Gateway && !only_says
}

fn reads(operation: &Operation) -> bool {
    operation.method() == "GET"
}

#[test]
fn the_table_has_every_operation_of_the_reference() {
    let Some(reference) = crate::harness::reference() else {
        return;
    };
    let ours: Vec<_> = operations()
        .iter()
        .map(|each| {
            (
                each.id(),
                each.method().as_str().to_lowercase(),
                each.path(),
            )
        })
        .collect();
    let mut count = 0;
    for (path, methods) in reference["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let (id, path) = (
                operation["operationId"].as_str().unwrap(),
                format!("/v1{path}"),
            );
            assert!(
                ours.contains(&(id, method.clone(), &path)),
                "{id}: {method} {path}"
            );
            count += 1;
        }
    }
    assert!(count >= 29, "only {count} operations in the reference");
}

/// An operation becomes public only on purpose.
#[test]
fn only_these_operations_are_public() {
    let public = operations()
        .iter()
        .filter(|each| each.needs() == Needs::Nothing);
    let public: Vec<_> = public.map(Operation::path).collect();
    let wanted = [
        "/v1/countersign/extensions",
        "/openapi.json",
        "/healthz",
        "/readyz",
    ];
    assert_eq!(public, wanted);
}

#[tokio::test]
async fn without_a_good_key_nothing_answers() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let revision = server.store.revision().await.unwrap();
        for operation in operations()
            .iter()
            .filter(|each| each.needs() != Needs::Nothing)
        {
            let request = || request(server, operation, &fixture);
            let answer = request().no_key().await;
            answer.refused("invalid_api_key", None);
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer"),
                "{}",
                operation.id()
            );
            assert_eq!(answer.header("openai-organization"), None);
            request()
                .key("sk-admin-unknown")
                .refused("invalid_api_key", None)
                .await;
            request()
                .key(&fixture.project_key_value)
                .refused("invalid_api_key", None)
                .await;
            if !matches!(operation.needs(), Needs::Gateway | Needs::AdminOrGateway(_)) {
                let key = server.gateway_key().await;
                request().key(&key).refused("invalid_api_key", None).await;
            }
            if operation.needs() == Needs::Gateway {
                request().refused("invalid_api_key", None).await;
            }
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn without_the_permission_it_is_a_403_that_names_it() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let mut keys = Vec::new();
        for missing in Permission::ALL {
            let others: Vec<_> = Permission::ALL
                .into_iter()
                .filter(|each| *each != missing)
                .map(Permission::as_str)
                .collect();
            keys.push((missing, server.key_with(&others).await));
        }
        let revision = server.store.revision().await.unwrap();
        for operation in operations() {
            let Some(permission) = permission(operation) else {
                continue;
            };
            let (_, key) = keys
                .iter()
                .find(|(missing, _)| *missing == permission)
                .unwrap();
            let answer = request(server, operation, &fixture).key(key).await;
            let message = answer.refused("missing_scope", None);
            assert!(message.contains(permission.as_str()), "{message}");
            assert_eq!(
                answer.header("openai-organization"),
                Some(&*server.organization)
            );
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn another_organization_can_neither_see_nor_touch_anything() {
    on_each_store(async |server| {
        let mut fixture = server.fixture().await;
        server.start_rotation(&mut fixture).await;
        server.add_receipt_key(&mut fixture).await;
        let other = server.other_organization().await;
        let revision = server.store.revision().await.unwrap();
        for operation in operations()
            .iter()
            .filter(|each| matches!(each.needs(), Needs::Admin(_)))
        {
            let names_ids = operation.path().contains('{')
                || operation.id().ends_with("activateOrganizationCertificates")
                || operation.id() == "setActiveOrganizationCertificates"
                || [
                    "startRotation",
                    "previewChanges",
                    "makeChanges",
                    "createAssertion",
                    "createDenial",
                ]
                .contains(&operation.id());
            let answer = if names_ids || !writes(operation) {
                request(server, operation, &fixture).key(&other).await
            } else {
                continue;
            };
            if names_ids {
                assert_eq!(answer.status, 404, "{}: {}", operation.id(), answer.body());
                continue;
            }
            let shown = answer.expect_ok().to_string();
            for id in [&fixture.certificate, &fixture.project, &fixture.admin_key] {
                assert!(!shown.contains(id.as_str()), "{}: {shown}", operation.id());
            }
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

/// Clients read ids of any form in answers. What the server reads has its own form.
#[tokio::test]
async fn an_id_of_another_form_is_refused_wherever_one_is_read() {
    on_each_store(async |server| {
        let mut fixture = server.fixture().await;
        server.start_rotation(&mut fixture).await;
        let gateway = server.gateway_key().await;
        let revision = server.store.revision().await.unwrap();
        for form in ["4711", "01J9ZC.x-y", "user_abc", "cert-abc"] {
            for id in [
                &mut fixture.certificate,
                &mut fixture.successor,
                &mut fixture.project,
                &mut fixture.service_account,
                &mut fixture.project_key,
                &mut fixture.rotation,
                &mut fixture.admin_key,
                &mut fixture.webhook,
                &mut fixture.assertion,
                &mut fixture.denial,
                &mut fixture.provider,
                &mut fixture.rule,
                &mut fixture.receipt_key,
            ] {
                form.clone_into(id);
            }
            let named = |operation: &&Operation| {
                let by_path = operation.path().contains('{') && operation.needs() != Needs::Gateway;
                by_path
                    || body(operation, &fixture).is_some_and(|body| body.to_string().contains(form))
            };
            for operation in operations().iter().filter(named) {
                let answer = request(server, operation, &fixture).await;
                let body = answer.body();
                assert_eq!(
                    body["error"]["code"],
                    "not_found",
                    "{}: {body}",
                    operation.id()
                );
            }
            let batch = json!({ "gateway": form, "number": 1, "chains": [], "observations": [] });
            let of_gateways = [
                server.post("/v1/countersign/observations", batch),
                server.get(&format!("/v1/countersign/bundle?wait=0&gateway={form}")),
                server.get(&format!("/v1/countersign/bundle?organizations[]={form}")),
            ];
            for request in of_gateways {
                let answer = request.key(&gateway).await;
                assert_eq!(answer.status, 400, "{form}: {}", answer.body());
            }
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn every_write_succeeds_with_200_a_revision_and_an_audit_record() {
    on_each_store(async |server| {
        for operation in operations().iter().filter(|each| writes(each)) {
            let mut fixture = server.fixture().await;
            match operation.id() {
                "startRotation" => server.add_successor(&mut fixture).await,
                "finishRotation" | "abortRotation" => server.start_rotation(&mut fixture).await,
                "withdrawReceiptKey" => server.add_receipt_key(&mut fixture).await,
                _ => {}
            }
            if operation.id().starts_with("deactivate") {
                server
                    .toggle("activate", None, &[&fixture.certificate])
                    .await;
                server
                    .toggle("activate", Some(&fixture.project), &[&fixture.certificate])
                    .await;
            }
            let before = newest(server).await;
            let answer = request(server, operation, &fixture).await;
            let revision = answer.header("countersign-revision").map(str::to_owned);
            let token = answer.header("countersign-token").map(str::to_owned);
            let body = answer.expect_ok();
            let change = format!(
                "revision={}&token={}",
                revision.clone().unwrap(),
                token.unwrap()
            );
            let path = format!("/v1/countersign/gateways?{change}");
            let listed = server.get(&path).ok().await;
            assert_eq!(listed["lost"], false, "{}: {listed}", operation.id());
            let revision = revision.unwrap_or_else(|| panic!("{}: {body}", operation.id()));
            let revision: u64 = revision.parse().unwrap();
            assert_eq!(
                server.store.revision().await.unwrap(),
                revision,
                "{}",
                operation.id()
            );
            assert_ne!(
                newest(server).await,
                before,
                "{} left no record",
                operation.id()
            );
            let key = server.get("/v1/organization/audit_logs?limit=1").ok().await;
            assert_eq!(
                key["data"][0]["actor"]["type"],
                "api_key",
                "{}",
                operation.id()
            );
        }
    })
    .await;
}

async fn newest(server: &Server) -> Value {
    server.get("/v1/organization/audit_logs?limit=1").ok().await["first_id"].clone()
}

#[tokio::test]
async fn whatever_else_answers_200_and_changes_no_organization() {
    on_each_store(async |server| {
        let mut fixture = server.fixture().await;
        server.start_rotation(&mut fixture).await;
        let gateway = server.gateway_key().await;
        let revision = server.store.revision().await.unwrap();
        for operation in operations().iter().filter(|each| !writes(each)) {
            let mut request = request(server, operation, &fixture);
            if operation.needs() == Needs::Gateway {
                request = request.key(&gateway);
            }
            let answer = request.await;
            assert_eq!(answer.header("countersign-revision"), None);
            answer.expect_ok();
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

/// What is no JSON object.
const NO_JSON: [&[u8]; 14] = [
    b" ",
    b"{",
    b"null",
    b"[]",
    b"1",
    b"\"x\"",
    b"{\"name\":NaN}",
    b"{\"name\":\"\xff\"}",
    b"{\"name\":\"\\ud800\"}",
    b"{\"name\":\"a\",\"name\":\"b\"}",
    b"{'name':'a'}",
    b"{\"name\":\"a\"}{}",
    b"\xef\xbb\xbf{}",
    b"{\"\\u0000\":\xc0\x80}",
];

#[tokio::test]
async fn what_no_operation_can_read_is_refused_by_each_and_changes_nothing() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let revision = server.store.revision().await.unwrap();
        let gateway = server.gateway_key().await;
        let deep = "[".repeat(60_000);
        for operation in operations()
            .iter()
            .filter(|each| body(each, &fixture).is_some())
        {
            let optional = [
                "CreateanAPIkeyforaserviceaccount",
                "finishRotation",
                "abortRotation",
                "rotateTokenKey",
            ]
            .contains(&operation.id());
            let request = || {
                let request = request(server, operation, &fixture);
                match operation.needs() {
                    Needs::Gateway => request.key(&gateway),
                    _ => request,
                }
            };
            for wrong in NO_JSON.into_iter().chain([deep.as_bytes()]) {
                request()
                    .body(wrong, "application/json")
                    .refused("invalid_json", None)
                    .await;
            }
            if !optional {
                request().body(b"", "").refused("invalid_json", None).await;
            }
            let limit = match (operation.needs(), operation.id()) {
                (Needs::Gateway, _) => 1024 * 1024,
                (_, "previewChanges" | "makeChanges" | "addCertificateCrl") => 104 * 1024 * 1024,
                _ => 64 * 1024,
            };
            let big = format!("{{\"name\":\"{}\"}}", "x".repeat(limit));
            let big = big.as_bytes();
            request()
                .body(big, "application/json")
                .refused("request_too_large", None)
                .await;
            for media_type in [
                "",
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/jsonp",
            ] {
                let answer = request().body(b"{}", media_type).await;
                answer.refused("unsupported_media_type", None);
            }
            request()
                .header("content-type", "text/plain")
                .refused("unsupported_media_type", None)
                .await;
        }
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn every_list_holds_its_query_to_the_same_rules() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let lists = operations().iter().filter(|each| {
            reads(each)
                && each.path().starts_with("/v1/organization")
                && !each.path().ends_with('}')
                && !each.path().ends_with("/head")
                && !each.path().ends_with("/expiring")
        });
        let mut count = 0;
        for operation in lists {
            let path = path(operation, &fixture);
            for (query, param) in [
                ("limit=0", Some("limit")),
                ("limit=101", Some("limit")),
                ("limit=1&limit=2", Some("limit")),
                ("after=x", Some("after")),
                ("after=", Some("after")),
                ("after=cert_a%00", Some("after")),
                ("x=%", Some("x")),
                ("%ff", None),
            ] {
                server
                    .get(&format!("{path}?{query}"))
                    .refused("invalid_value", param)
                    .await;
            }
            let page = server.get(&format!("{path}?limit=1&x=y&x=z")).ok().await;
            assert_eq!(page["first_id"], page["data"][0]["id"]);
            assert_eq!(page["last_id"], page["data"][0]["id"]);
            count += 1;
        }
        assert_eq!(count, 19);
    })
    .await;
}

/// The schema of an operation's body, with what it refers to in place of the reference.
fn body_schema(document: &Value, operation: &Operation) -> Option<Value> {
    let method = operation.method().as_str().to_lowercase();
    let described = &document["paths"][operation.path()][method];
    let schema = &described["requestBody"]["content"]["application/json"]["schema"];
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    Some(document["components"]["schemas"][name].clone())
}

fn takes_null(schema: &Value) -> bool {
    let null = json!("null");
    let types = schema["type"].as_array();
    let alternatives = ["oneOf", "anyOf"]
        .iter()
        .filter_map(|word| schema[word].as_array());
    types.is_some_and(|types| types.contains(&null))
        || alternatives.flatten().any(|each| each["type"] == null)
}

#[tokio::test]
async fn null_is_refused_wherever_the_document_does_not_allow_it() {
    on_each_store(async |server| {
        let document = countersign_server::document();
        let mut fixture = server.fixture().await;
        server.add_successor(&mut fixture).await;
        let gateway = server.gateway_key().await;
        let (mut refused, mut taken) = (0, 0);
        for operation in operations() {
            let Some(schema) = body_schema(&document, operation) else {
                continue;
            };
            for (name, property) in schema["properties"].as_object().unwrap() {
                let mut body = body(operation, &fixture).unwrap();
                body[name] = Value::Null;
                let mut request = server
                    .request(operation.method().as_str(), &path(operation, &fixture))
                    .json(&body);
                if operation.needs() == Needs::Gateway {
                    request = request.key(&gateway);
                }
                let answer = request.await;
                if takes_null(property) {
                    taken += 1;
                    assert_eq!(answer.status, 200, "{}: {name}", operation.id());
                } else {
                    refused += 1;
                    answer.refused("invalid_value", Some(name));
                }
            }
        }
        assert!(refused >= 30 && taken >= 6, "{refused}, {taken}");
    })
    .await;
}

/// The parameters of an operation that take values of a closed set, with those values as messages
/// write them.
fn closed_sets(document: &Value, operation: &Operation) -> Vec<(String, Vec<String>)> {
    let described = &document["paths"][operation.path()]["get"];
    let parameters = described["parameters"].as_array().unwrap().iter();
    let closed = parameters.filter_map(|parameter| {
        let schema = &parameter["schema"];
        let known = schema["enum"].as_array();
        let known = known.or_else(|| schema["items"]["enum"].as_array())?;
        let known = known.iter().map(|value| value.as_str().unwrap());
        let name = parameter["name"].as_str().unwrap().to_owned();
        Some((name, known.map(|value| format!("`{value}`")).collect()))
    });
    closed.collect()
}

#[tokio::test]
async fn another_value_of_a_closed_set_is_refused_with_those_there_are() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let document = countersign_server::document();
        let mut count = 0;
        for operation in operations().iter().filter(|each| reads(each)) {
            let path = path(operation, &fixture);
            for (name, known) in closed_sets(&document, operation) {
                let param = name.trim_end_matches("[]");
                for wrong in ["", "secret", "DESC", "%20asc"] {
                    let get = server.get(&format!("{path}?{name}={wrong}"));
                    let message = get.refused("invalid_value", Some(param)).await;
                    let missing = known.iter().find(|value| !message.contains(*value));
                    assert_eq!(missing, None, "{message}");
                    assert!(!message.contains("secret"), "{message}");
                }
                count += 1;
            }
        }
        assert!(count >= 15, "{count}");
    })
    .await;
}
