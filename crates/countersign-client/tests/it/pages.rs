//! Streams over pages.

use countersign_client::{
    ItemStream, ListParams, Received,
    types::certificate::{Scope, ScopedCertificate},
};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::peer::{Peer, json as answer, raw};

fn page(ids: &[&str], last_id: &Value, has_more: bool) -> crate::peer::Reply {
    let data: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({ "object": "organization.certificate", "id": id, "name": null,
                "created_at": 3, "active": false,
                "certificate_details": { "valid_at": 1, "expires_at": 2 } })
        })
        .collect();
    let body = json!({ "object": "list", "data": data, "first_id": ids.first(),
        "last_id": last_id, "has_more": has_more });
    answer(200, &[], &body)
}

fn certificates(peer: &Peer, params: &ListParams) -> ItemStream<Received<ScopedCertificate>> {
    peer.client()
        .certificates()
        .stream(&Scope::Organization, params)
}

async fn ids(peer: &Peer, params: &ListParams) -> Vec<String> {
    certificates(peer, params)
        .map_ok(|certificate| certificate.id.to_string())
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn pages_follow_each_other_by_last_id() {
    let peer = Peer::start(vec![
        page(&["cert_a", "cert_b"], &json!("cert_b"), true),
        page(&["cert_c"], &json!("cert_c"), true),
        page(&["cert_d"], &json!("cert_d"), false),
    ])
    .await;
    let params = ListParams {
        limit: Some(2),
        ..ListParams::default()
    };
    assert_eq!(
        ids(&peer, &params).await,
        ["cert_a", "cert_b", "cert_c", "cert_d"]
    );
    assert_eq!(
        peer.lines(),
        [
            "GET /v1/organization/certificates?limit=2",
            "GET /v1/organization/certificates?limit=2&after=cert_b",
            "GET /v1/organization/certificates?limit=2&after=cert_c",
        ]
    );
}

#[tokio::test]
async fn a_server_that_names_no_last_id_is_paged_by_the_last_entry() {
    let peer = Peer::start(vec![
        page(&["cert_a"], &Value::Null, true),
        page(&[], &Value::Null, true),
    ])
    .await;
    let after = ListParams {
        after: Some("cert_z".to_owned()),
        ..ListParams::default()
    };
    assert_eq!(ids(&peer, &after).await, ["cert_a"]);
    assert_eq!(
        peer.lines(),
        [
            "GET /v1/organization/certificates?after=cert_z",
            "GET /v1/organization/certificates?after=cert_a",
        ]
    );
}

#[tokio::test]
async fn a_list_that_does_not_go_on_ends_with_an_error() {
    let same = || page(&["cert_a"], &json!("cert_a"), true);
    let peer = Peer::start(vec![same(), same()]).await;
    let mut stream = certificates(&peer, &ListParams::default());
    assert!(stream.next().await.unwrap().is_ok());
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("ends with the entry"), "{error}");
    assert!(stream.next().await.is_none());
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn pages_are_fetched_as_they_are_read_and_a_failure_ends_the_stream() {
    let peer = Peer::start(vec![
        page(&["cert_a"], &json!("cert_a"), true),
        raw(403, &[], "{}"),
    ])
    .await;
    let mut stream = certificates(&peer, &ListParams::default());
    assert_eq!(peer.seen().len(), 0);
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(peer.seen().len(), 1);
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().status(),
        Some(403)
    );
    assert!(stream.next().await.is_none());
}
