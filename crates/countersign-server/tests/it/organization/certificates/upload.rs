use countersign_testca::root;
use serde_json::{Value, json};

use super::{PATH, path};
use crate::harness::{START, on_each_store, pem};

#[tokio::test]
async fn it_answers_the_certificate_inactive_and_without_content() {
    on_each_store(async |server| {
        let body = json!({ "certificate": pem("Example Root"), "name": "Example" });
        let made = server.post(PATH, body).ok().await;
        assert_eq!(made["object"], "certificate");
        assert_eq!(made["name"], "Example");
        assert!(made.get("active").is_none());
        assert!(made["certificate_details"].get("content").is_none());
        let listed = server.get(PATH).ok().await;
        assert_eq!(listed["data"][0]["active"], false);
    })
    .await;
}

#[tokio::test]
async fn a_name_may_be_absent_but_not_null() {
    on_each_store(async |server| {
        for body in [
            json!({ "certificate": pem("A") }),
            json!({ "certificate": pem("B"), "cel_policy": null, "unknown": 1 }),
        ] {
            assert_eq!(server.post(PATH, body).ok().await["name"], Value::Null);
        }
        let body = json!({ "certificate": pem("C"), "name": null });
        let message = server
            .post(PATH, body)
            .refused("invalid_value", Some("name"))
            .await;
        assert_eq!(message, "`name` must be a string, but it is null.");
    })
    .await;
}

#[tokio::test]
async fn content_is_an_older_spelling_and_certificate_wins() {
    on_each_store(async |server| {
        let (old, new) = (pem("Old spelling"), pem("New spelling"));
        for (body, kept) in [
            (json!({ "content": old }), &old),
            (json!({ "content": old, "certificate": new }), &new),
            (json!({ "content": 1, "certificate": new }), &new),
        ] {
            let made = server.post(PATH, body).ok().await;
            let path = path(made["id"].as_str().unwrap());
            let found = server.get(&format!("{path}?include[]=content")).ok().await;
            assert_eq!(&found["certificate_details"]["content"], kept);
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_certificate_it_is_refused() {
    on_each_store(async |server| {
        let param = Some("certificate");
        server
            .post(PATH, json!({}))
            .refused("missing_required_parameter", param)
            .await;
        server
            .post(PATH, json!({ "name": "x" }))
            .refused("missing_required_parameter", param)
            .await;
        for wrong in [json!(1), json!([]), json!(null), json!({})] {
            let body = json!({ "certificate": wrong });
            server
                .post(PATH, body)
                .refused("invalid_value", param)
                .await;
        }
        nothing_is_stored(server).await;
    })
    .await;
}

async fn nothing_is_stored(server: &crate::harness::Server) {
    assert_eq!(server.get(PATH).ok().await["data"], json!([]));
    assert!(server.audit("certificate.created").await.is_empty());
}

#[tokio::test]
async fn what_is_no_anchor_is_refused_with_the_reason() {
    on_each_store(async |server| {
        let ca = root("Example Root").mint();
        let big = format!("{}{}", pem("Big"), " ".repeat(16 * 1024));
        for wrong in [
            String::new(),
            "not PEM".to_owned(),
            ca.leaf("billing").mint().pem(),
            ca.key_pem(),
            format!("{}{}", ca.pem(), ca.key_pem()),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            big,
        ] {
            let body = json!({ "certificate": wrong });
            let message = server
                .post(PATH, body)
                .refused("mtls_certificate_invalid", Some("certificate"))
                .await;
            assert!(message.len() > 20, "{message}");
        }
        nothing_is_stored(server).await;
    })
    .await;
}

#[tokio::test]
async fn one_that_expires_within_a_day_is_refused() {
    on_each_store(async |server| {
        let now = i64::try_from(START).unwrap();
        for not_after in [now - 1, now, now + 24 * 60 * 60 - 1] {
            let pem = root("Old").valid(0, not_after).mint().pem();
            let body = json!({ "certificate": pem });
            server
                .post(PATH, body)
                .refused("expired_certificate", Some("certificate"))
                .await;
        }
        let pem = root("Not yet")
            .valid(now + 1000, now + 1_000_000)
            .mint()
            .pem();
        server.post(PATH, json!({ "certificate": pem })).ok().await;
    })
    .await;
}

#[tokio::test]
async fn a_private_key_appears_nowhere_afterwards() {
    on_each_store(async |server| {
        let ca = root("Example Root").mint();
        let secret = ca.key_pem();
        let line = secret.lines().nth(1).unwrap().to_owned();
        for text in [
            secret.clone(),
            format!("{}{secret}", ca.pem()),
            secret.replace('\n', "\\n"),
        ] {
            let answer = server
                .post(PATH, json!({ "certificate": text }))
                .send()
                .await;
            answer.refused("mtls_certificate_invalid", Some("certificate"));
            assert!(!String::from_utf8_lossy(&answer.text).contains(&line));
        }
        nothing_is_stored(server).await;
    })
    .await;
}

#[tokio::test]
async fn the_fifty_first_is_refused_even_when_they_come_at_once() {
    on_each_store(async |server| {
        for number in 0..45 {
            server.upload(&format!("Root {number}")).await;
        }
        let bodies: Vec<_> = (0..12)
            .map(|n| json!({ "certificate": pem(&format!("Race {n}")) }))
            .collect();
        let uploads = bodies
            .into_iter()
            .map(|body| server.post(PATH, body).send());
        let answers = futures_util::future::join_all(uploads).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|each| each.status == 200);
        assert_eq!((made.len(), refused.len()), (5, 7));
        for answer in refused {
            answer.refused("certificate_limit_exceeded", None);
        }
        assert_eq!(
            server.get(&format!("{PATH}?limit=100")).ok().await["data"]
                .as_array()
                .unwrap()
                .len(),
            50
        );
    })
    .await;
}

#[tokio::test]
async fn a_policy_is_compiled_kept_and_shown() {
    on_each_store(async |server| {
        let policy = "subject.organizational_unit == \"Production\"";
        let body = json!({ "certificate": pem("With policy"), "cel_policy": policy });
        let made = server.post(PATH, body).ok().await;
        assert_eq!(made["cel_policy"], policy);
        for wrong in [
            "subject.comon_name == \"a\"",
            "1",
            "",
            "(((",
            &"(".repeat(10_000),
        ] {
            let body = json!({ "certificate": pem("Wrong policy"), "cel_policy": wrong });
            server
                .post(PATH, body)
                .refused("mtls_cel_policy_invalid", Some("cel_policy"))
                .await;
        }
        assert_eq!(
            server.get(PATH).ok().await["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}
