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
