//! What a failure tells, and what it never shows.

use countersign_client::{Error, types::error::ErrorCode};
use serde_json::json;

use crate::peer::{KEY, Peer, Reply, json as answer, raw};

async fn failure(reply: Reply) -> Error {
    let peer = Peer::start(vec![reply]).await;
    let client = peer.builder().max_retries(0).build().unwrap();
    let id = "cert_a".parse().unwrap();
    client.delete_certificate(&id).await.unwrap_err()
}

#[tokio::test]
async fn a_documented_failure() {
    let body = json!({ "error": { "message": "It is active at proj_a. Deactivate it first.",
        "type": "invalid_request_error", "param": null, "code": "certificate_in_use" } });
    let error = failure(answer(400, &[("x-request-id", "req_9")], &body)).await;
    assert_eq!(error.code(), Some(ErrorCode::CertificateInUse));
    assert_eq!(error.status(), Some(400));
    assert_eq!(error.request_id(), Some("req_9"));
    let api = error.api().unwrap();
    assert_eq!(api.kind.as_deref(), Some("invalid_request_error"));
    assert_eq!(api.param, None);
    assert_eq!(
        error.to_string(),
        "the server answered 400 `certificate_in_use`: It is active at proj_a. Deactivate it \
         first. (request `req_9`)"
    );
}

#[tokio::test]
async fn failures_of_other_servers() {
    for (status, body, wanted) in [
        (
            404,
            r#"{"error":{"message":"No such thing","code":"brand_new"}}"#,
            "the server answered 404 `brand_new`: No such thing",
        ),
        (
            502,
            "<html><body>Bad gateway</body></html>",
            "the server answered 502: an HTML page; is the base URL that of the API?",
        ),
        (
            503,
            "upstream\n  is\x1b[31m down",
            "the server answered 503: upstream is [31m down",
        ),
        (500, "", "the server answered 500"),
        (
            400,
            r#"{"error":"text"}"#,
            r#"the server answered 400: {"error":"text"}"#,
        ),
    ] {
        let error = failure(raw(status, &[], body)).await;
        assert_eq!(error.to_string(), wanted);
        assert_eq!(error.code(), None);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Peer::start(vec![]).await;
    let to = elsewhere.url("http", "/v1/organization/certificates/cert_a");
    for status in [301, 302, 303, 307, 308] {
        let error = failure(raw(status, &[("location", &to)], "")).await;
        let wanted = format!("the server answered {status}: it redirects to `{to}`");
        assert!(error.to_string().starts_with(&wanted), "{error}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_the_operations() {
    let headers = [("x-request-id", "req_9")];
    for (body, wanted) in [
        ("<html>", "expected value at line 1 column 1"),
        ("", "EOF while parsing a value at line 1 column 0"),
        (
            r#"{"object":"certificate.deleted"}"#,
            "missing field `id` at line 1 column 32",
        ),
        (
            r#"{"object":"certificate.deleted","id":["sk-proj-secret"]}"#,
            "invalid type: sequence, expected a string",
        ),
    ] {
        let text = failure(raw(200, &headers, body)).await.to_string();
        assert!(
            text.starts_with("cannot read the answer of `http://127"),
            "{text}"
        );
        assert!(
            text.contains(wanted) && text.ends_with("(request `req_9`)"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn neither_key_nor_pem_nor_a_new_key_is_ever_shown() {
    let shown = |error: &Error| format!("{error} {error:?}");
    let message = format!("Wrong key {KEY}: -----BEGIN CERTIFICATE-----\nMIIB...");
    let body = json!({ "error": { "message": message, "type": KEY, "param": KEY, "code": KEY } });
    let text = shown(&failure(answer(401, &[], &body)).await);
    assert!(!text.contains(KEY) && !text.contains("MIIB"), "{text}");
    assert!(text.contains("Wrong key [the key]:"), "{text}");

    let text = shown(&failure(raw(500, &[], &message)).await);
    assert!(!text.contains(KEY) && !text.contains("MIIB"), "{text}");

    let to = format!("https://elsewhere.example/?{KEY}");
    let text = shown(&failure(raw(302, &[("location", &to)], "")).await);
    assert!(!text.contains(KEY), "{text}");

    // A value that stands where none was expected is a secret until it is known not to be.
    let peer = Peer::start(vec![raw(
        200,
        &[],
        r#"{"object":"organization.project.service_account","id":"user-a","name":"A",
            "role":"member","created_at":3,"api_key":"sk-svcacct-\"new"}"#,
    )])
    .await;
    let project = "proj_a".parse().unwrap();
    let account = countersign_client::types::project::ServiceAccountCreateRequest {
        name: "A".to_owned(),
        create_service_account_only: None,
    };
    let client = peer.client();
    let made = client.create_project_service_account(&project, &account);
    let text = shown(&made.await.unwrap_err());
    assert!(text.contains("invalid type: string"), "{text}");
    assert!(!text.contains("svcacct") && !text.contains("new"), "{text}");

    let text = format!(
        "{client:?} {:?} {:?}",
        peer.builder(),
        client.certificates()
    );
    assert!(!text.contains(KEY) && text.contains("127.0.0.1"), "{text}");
}
