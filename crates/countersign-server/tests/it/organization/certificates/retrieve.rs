use serde_json::json;

use super::{PATH, path};
use crate::harness::{START, on_each_store, pem};

#[tokio::test]
async fn it_answers_exactly_the_object_of_the_reference() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let found = server.get(&path(&id)).ok().await;
        let wanted = json!({
            "object": "certificate",
            "id": id,
            "name": "Example Root",
            "created_at": START,
            "certificate_details": {
                "valid_at": countersign_testca::NOT_BEFORE,
                "expires_at": countersign_testca::NOT_AFTER,
            },
        });
        assert_eq!(found, wanted);
    })
    .await;
}

#[tokio::test]
async fn it_is_the_same_active_or_not_and_never_says_which() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let before = server.get(&path(&id)).ok().await;
        server.toggle("activate", None, &[&id]).await;
        assert_eq!(server.get(&path(&id)).ok().await, before);
        assert!(before.get("active").is_none());
    })
    .await;
}

#[tokio::test]
async fn every_spelling_of_include_gives_the_pem_byte_for_byte() {
    on_each_store(async |server| {
        let made = pem("Example Root").trim_end().replace('\n', "\r\n");
        let sent = format!("Bag Attributes: \u{e9}\t\n{made}\n\n  trailing words");
        let body = json!({ "certificate": sent });
        let uploaded = server.post(PATH, body).ok().await;
        let path = path(uploaded["id"].as_str().unwrap());
        for query in [
            "include[]=content",
            "include%5B%5D=content",
            "include%5b%5d=content",
            "include=content",
            "include[]=content&include[]=content",
            "include=content&include[]=content",
            "include[]=content,content",
            "unknown=1&include[]=content",
        ] {
            let found = server.get(&format!("{path}?{query}")).ok().await;
            assert_eq!(found["certificate_details"]["content"], sent, "{query}");
        }
        for query in ["", "?", "?unknown=1", "?includes=content"] {
            let found = server.get(&format!("{path}{query}")).ok().await;
            assert!(
                found["certificate_details"].get("content").is_none(),
                "{query}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn another_include_is_refused() {
    on_each_store(async |server| {
        let path = path(&server.upload("Example Root").await);
        for query in [
            "include=",
            "include",
            "include[]=active",
            "include[]=content&include[]=private_key",
            "include=content,name",
            "include=CONTENT",
        ] {
            let message = server
                .get(&format!("{path}?{query}"))
                .refused("invalid_value", Some("include"))
                .await;
            assert!(message.contains("include[]=content"), "{message}");
        }
        for query in ["include[]=%ff", "include=%00", "include%5B%5D=%"] {
            server
                .get(&format!("{path}?{query}"))
                .refused("invalid_value", Some("include"))
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_a_malformed_and_a_foreign_id_are_one_plain_404() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let other = server.other_organization().await;
        let foreign = server
            .get(&path(&id))
            .key(&other)
            .refused("not_found", None)
            .await;
        for wrong in [
            "cert_unknown",
            "cert_",
            "proj_abc",
            "x",
            "..%2f",
            "cert_a%00b",
            "cert_a%0d%0aSet-Cookie:%20a",
            "%ff",
            "cert_%",
            &format!("cert_{}", "a".repeat(10_000)),
            &id.replace("cert_", "%63ert_"),
            &id.to_uppercase(),
            &format!("{id}%20"),
        ] {
            let message = server.get(&path(wrong)).refused("not_found", None).await;
            assert_eq!(message, foreign, "{wrong}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_is_ignored() {
    on_each_store(async |server| {
        let path = path(&server.upload("Example Root").await);
        let plain = server.get(&path).ok().await;
        for body in [&b"{\"name\":1}"[..], b"\xff", &[b'x'; 200_000]] {
            assert_eq!(server.get(&path).body(body, "text/plain").ok().await, plain);
        }
    })
    .await;
}

#[tokio::test]
async fn it_writes_nothing() {
    on_each_store(async |server| {
        let path = path(&server.upload("Example Root").await);
        let before = server.store.revision().await.unwrap();
        let answer = server.get(&path).send().await;
        assert!(answer.header("countersign-revision").is_none());
        assert_eq!(server.store.revision().await.unwrap(), before);
    })
    .await;
}
