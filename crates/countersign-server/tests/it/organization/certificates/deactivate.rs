use serde_json::json;

use crate::harness::on_each_store;

#[tokio::test]
async fn it_turns_off_at_its_scope_only() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        let project = server.project("Payments").await;
        server.toggle("activate", None, &[&id]).await;
        server.toggle("activate", Some(&project), &[&id]).await;
        let answer = server.toggle("deactivate", None, &[&id]).await;
        assert_eq!(answer["object"], "organization.certificate.deactivation");
        assert_eq!(answer["data"][0]["active"], false);
        let path = format!("/v1/organization/projects/{project}/certificates");
        assert_eq!(server.get(&path).ok().await["data"][0]["active"], true);
        let answer = server.toggle("deactivate", Some(&project), &[&id]).await;
        assert_eq!(
            answer["object"],
            "organization.project.certificate.deactivation"
        );
        assert_eq!(answer["data"][0]["active"], false);
    })
    .await;
}

#[tokio::test]
async fn repeating_is_harmless_and_audited_once() {
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        server.toggle("deactivate", None, &[&id]).await;
        assert!(server.audit("certificates.deactivated").await.is_empty());
        server.toggle("activate", None, &[&id]).await;
        server.toggle("deactivate", None, &[&id]).await;
        server.toggle("deactivate", None, &[&id]).await;
        assert_eq!(server.audit("certificates.deactivated").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_expired_certificate_can_still_be_deactivated() {
    on_each_store(async |server| {
        let now = i64::try_from(crate::harness::START).unwrap();
        let pem = countersign_testca::root("Short")
            .valid(0, now + 100_000)
            .mint()
            .pem();
        let made = server
            .post(super::PATH, json!({ "certificate": pem }))
            .ok()
            .await;
        let id = made["id"].as_str().unwrap();
        server.toggle("activate", None, &[id]).await;
        server.clock.advance(200_000);
        server.toggle("deactivate", None, &[id]).await;
        server.delete(&super::path(id)).ok().await;
    })
    .await;
}
