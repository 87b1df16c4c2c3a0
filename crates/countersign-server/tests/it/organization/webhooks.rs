use serde_json::{Value, json};

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/organization/webhooks";

async fn create(server: &Server, url: &str) -> Value {
    server.post(PATH, json!({ "url": url })).ok().await
}

async fn deliveries(server: &Server, id: &Value) -> Vec<Value> {
    let path = format!("{PATH}/{}/deliveries?limit=100", id.as_str().unwrap());
    let page = server.get(&path).ok().await;
    page["data"].as_array().unwrap().clone()
}

fn types(deliveries: &[Value]) -> Vec<&str> {
    let types = deliveries.iter().map(|each| each["type"].as_str().unwrap());
    types.collect()
}

#[tokio::test]
async fn a_secret_is_shown_once_and_a_url_only_to_who_manages() {
    on_each_store(async |server| {
        let url = "https://example.com/hook?token=hunter2";
        let made = create(server, url).await;
        let secret = made["secret"].as_str().unwrap();
        assert!(
            secret.starts_with("whsec_") && secret.len() == 6 + 44,
            "{secret}"
        );
        assert_eq!(made["url"], url);
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
        let shown = server.get(&path).ok().await;
        let listed = server.get(PATH).ok().await;
        assert_eq!((&shown["url"], shown.get("secret")), (&json!(url), None));
        assert_eq!(listed["data"], json!([shown]));
        let other = create(server, url).await;
        assert_ne!(other["secret"], made["secret"]);
        server.delete(&path).ok().await;
        let log = server.get("/v1/organization/audit_logs").ok().await;
        let log = log.to_string();
        assert!(
            log.contains("example.com") && log.contains("webhook_deleted"),
            "{log}"
        );
        assert!(!log.contains("hunter2") && !log.contains(secret), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_url_is_a_public_https_url() {
    on_each_store(async |server| {
        for url in [
            json!("http://example.com/"),
            json!("https://127.0.0.1/"),
            json!("https://[::ffff:169.254.169.254]/latest/meta-data"),
            json!("https://0x7f000001/"),
            json!("https://user:hunter2@example.com/"),
            json!("ftp://hunter2.example.com/"),
            json!("hunter2"),
            json!(""),
            json!(format!("https://example.com/{}", "x".repeat(2048))),
            json!(null),
            json!(["https://example.com/"]),
        ] {
            let body = json!({ "url": url });
            let message = server
                .post(PATH, body)
                .refused("invalid_value", Some("url"))
                .await;
            assert!(!message.contains("hunter2"), "{message}");
        }
        server
            .post(PATH, json!({}))
            .refused("missing_required_parameter", Some("url"))
            .await;
        let listed = server.get(PATH).ok().await;
        assert_eq!(listed["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn there_are_ten_at_most() {
    on_each_store(async |server| {
        let mut last = Value::Null;
        for number in 0..10 {
            last = create(server, &format!("https://example.com/{number}")).await;
        }
        let body = json!({ "url": "https://example.com/" });
        let message = server
            .post(PATH, body)
            .refused("limit_exceeded", None)
            .await;
        assert!(message.contains("10 webhooks"), "{message}");
        let path = format!("{PATH}/{}", last["id"].as_str().unwrap());
        server.delete(&path).ok().await;
        create(server, "https://example.com/").await;
    })
    .await;
}

#[tokio::test]
async fn every_event_from_its_making_on_is_put_out_to_each_webhook() {
    on_each_store(async |server| {
        server.upload("before").await;
        let one = create(server, "https://one.example.com/").await;
        let certificate = server.upload("meanwhile").await;
        let other = create(server, "https://other.example.com/").await;
        let path = format!("{PATH}/{}/test", one["id"].as_str().unwrap());
        server.post(&path, json!({})).ok().await;
        let path = format!("/v1/organization/certificates/{certificate}");
        server.delete(&path).ok().await;
        let sent = deliveries(server, &other["id"]).await;
        assert_eq!(
            types(&sent),
            ["certificate.deleted", "organization.updated"]
        );
        let sent = deliveries(server, &one["id"]).await;
        assert_eq!(
            types(&sent),
            [
                "certificate.deleted",
                "webhook.tested",
                "organization.updated",
                "certificate.created",
                "organization.updated",
            ]
        );
        let first = &sent[4];
        assert_eq!(
            (&first["status"], &first["attempts"]),
            (&json!("pending"), &json!(0))
        );
        assert!(first["id"].as_str().unwrap().starts_with("msg_"));
        // Another organization's webhooks hear nothing of this one.
        let theirs = server.other_organization().await;
        let body = json!({ "url": "https://theirs.example.com/" });
        let theirs_made = server.post(PATH, body).key(&theirs).ok().await;
        server.upload("after").await;
        let path = format!("{PATH}/{}/deliveries", theirs_made["id"].as_str().unwrap());
        let sent = server.get(&path).key(&theirs).ok().await;
        assert_eq!(
            types(sent["data"].as_array().unwrap()),
            ["organization.updated"]
        );
    })
    .await;
}

/// It would otherwise be a way to read the audit log.
#[tokio::test]
async fn creating_one_requires_reading_the_audit_log() {
    on_each_store(async |server| {
        let body = json!({ "url": "https://example.com/hook" });
        let manager = server.key_with(&["api.management"]).await;
        let request = server.post(PATH, body.clone()).key(&manager);
        let message = request.refused("missing_scope", None).await;
        assert!(message.contains("api.audit.read"), "{message}");
        let both = server.key_with(&["api.management", "api.audit.read"]).await;
        server.post(PATH, body).key(&both).ok().await;
    })
    .await;
}
