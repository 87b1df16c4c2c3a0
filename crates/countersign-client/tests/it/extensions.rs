//! What a server must say that it knows before it is asked: another one would ignore the property
//! and do something else.

use countersign_client::{
    Error,
    types::certificate::{Enforcement, Scope},
};
use serde_json::{Value, json};

use crate::peer::{self, Peer, Reply};

fn known(extensions: &[&str]) -> Reply {
    let answer = json!({ "object": "countersign.extensions", "extensions": extensions });
    peer::json(200, &[], &answer)
}

async fn report(peer: &Peer) -> Result<(), Error> {
    let ids = ["cert_a".parse().unwrap()];
    let certificates = peer.client();
    let certificates = certificates.certificates();
    let done = certificates.activate_as(&Scope::Organization, &ids, Enforcement::Report);
    done.await.map(drop)
}

#[tokio::test]
async fn a_server_that_knows_it_is_sent_it() {
    let activated = json!({ "object": "organization.certificate.activation", "data": [] });
    let peer = Peer::start(vec![
        known(&["enforcement"]),
        peer::json(200, &[], &activated),
    ])
    .await;
    report(&peer).await.unwrap();
    let seen = peer.seen();
    assert_eq!(seen[0].line, "GET /v1/countersign/extensions");
    assert_eq!(seen[1].line, "POST /v1/organization/certificates/activate");
    let sent: Value = serde_json::from_str(&seen[1].body).unwrap();
    let expected = json!({ "certificate_ids": ["cert_a"], "enforcement": "report" });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_preview_says_that_it_is_one() {
    let preview = json!({
        "object": "organization.project.certificate.deactivation.preview", "data": [],
        "knows_nothing": true, "unobserved_projects": ["proj_a"], "since": null, "judged_at": 7,
        "workloads": 0, "identities": 0, "requests": 0, "starts_to_fail": [],
        "starts_to_pass": [], "would_fail_once_enforced": [], "still_passing": 0,
        "still_failing": 0, "unjudged": 0, "last_used": null,
    });
    let peer = Peer::start(vec![known(&["preview"]), peer::json(200, &[], &preview)]).await;
    let ids = ["cert_a".parse().unwrap()];
    let scope = Scope::Project("proj_a".parse().unwrap());
    let client = peer.client();
    let found = client.certificates().preview_deactivate(&scope, &ids).await;
    assert!(found.unwrap().value.effect.knows_nothing);
    let seen = peer.seen();
    let path = "POST /v1/organization/projects/proj_a/certificates/deactivate";
    assert_eq!(seen[1].line, path);
    let sent: Value = serde_json::from_str(&seen[1].body).unwrap();
    assert_eq!(
        sent,
        json!({ "certificate_ids": ["cert_a"], "preview": true })
    );

    let peer = Peer::start(vec![known(&["enforcement"])]).await;
    let client = peer.client();
    let enforce = Enforcement::Enforce;
    let refused = client
        .certificates()
        .preview_activate(&scope, &ids, enforce)
        .await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    assert_eq!(peer.lines().len(), 1);
}

#[tokio::test]
async fn a_server_that_may_not_know_it_is_sent_nothing() {
    let error =
        json!({ "error": { "message": "Invalid URL", "type": "x", "param": null, "code": null } });
    for other in [
        peer::json(404, &[], &error),
        peer::json(405, &[], &error),
        known(&[]),
        known(&["something"]),
        peer::json(
            200,
            &[],
            &json!({ "object": "list", "data": [], "extensions": ["enforcement"] }),
        ),
        peer::raw(200, &[("content-type", "text/html")], "<html>"),
    ] {
        let peer = Peer::start(vec![other]).await;
        let refused = report(&peer).await.unwrap_err();
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
        assert!(
            refused
                .to_string()
                .ends_with("does not know `enforcement`, so nothing was sent")
        );
        assert_eq!(peer.lines(), ["GET /v1/countersign/extensions"]);
    }
    let peer = Peer::start(vec![peer::json(401, &[], &error)]).await;
    assert_eq!(report(&peer).await.unwrap_err().status(), Some(401));
    assert_eq!(peer.lines().len(), 1);
}
