//! When a call is sent again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use countersign_client::{Error, types::history::HistoryPoint};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::peer::{Peer, Reply, json as answer, raw};

fn certificate() -> Value {
    json!({ "object": "certificate", "id": "cert_a", "name": null, "created_at": 3,
        "certificate_details": { "valid_at": 1, "expires_at": 2 } })
}

const SOON: (&str, &str) = ("retry-after-ms", "1");

async fn retrieve(peer: &Peer) -> Result<(), Error> {
    let id = "cert_a".parse().unwrap();
    peer.client().get_certificate(&id).await.map(drop)
}

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    for status in [408, 409, 429, 500, 503, 529] {
        let script = vec![
            raw(status, &[SOON], "{}"),
            raw(status, &[SOON], "{}"),
            answer(200, &[], &certificate()),
        ];
        let peer = Peer::start(script).await;
        retrieve(&peer).await.unwrap();
        assert_eq!(peer.seen().len(), 3, "{status}");
    }
}

#[tokio::test]
async fn a_write_is_sent_again_with_its_body() {
    let script = vec![raw(503, &[SOON], ""), answer(200, &[], &certificate())];
    let peer = Peer::start(script).await;
    let change = countersign_client::types::certificate::ModifyCertificateRequest {
        name: Some("B".to_owned()),
    };
    let id = "cert_a".parse().unwrap();
    peer.client()
        .modify_certificate(&id, &change)
        .await
        .unwrap();
    let bodies: Vec<String> = peer.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [r#"{"name":"B"}"#; 2]);
}

#[tokio::test]
async fn what_will_not_pass_is_not_sent_again() {
    for status in [301, 400, 401, 403, 404, 413, 422] {
        let peer = Peer::start(vec![raw(status, &[SOON], "{}")]).await;
        let error = retrieve(&peer).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(peer.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn it_gives_up_with_the_last_answer() {
    let script = (0..9).map(|_| raw(503, &[SOON], "{}")).collect();
    let peer = Peer::start(script).await;
    let id = "cert_a".parse().unwrap();
    for (repeats, requests) in [(0, 1), (2, 4), (4, 9)] {
        let client = peer.builder().max_retries(repeats).build().unwrap();
        let error = client.get_certificate(&id).await.unwrap_err();
        assert_eq!(error.status(), Some(503));
        assert_eq!(peer.seen().len(), requests);
    }
}

#[tokio::test]
async fn the_server_may_overrule() {
    let never = raw(503, &[SOON, ("x-should-retry", "false")], "{}");
    let peer = Peer::start(vec![never]).await;
    assert_eq!(retrieve(&peer).await.unwrap_err().status(), Some(503));
    assert_eq!(peer.seen().len(), 1);

    let again = raw(400, &[SOON, ("x-should-retry", "true")], "{}");
    let peer = Peer::start(vec![again, answer(200, &[], &certificate())]).await;
    retrieve(&peer).await.unwrap();
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn the_wait_that_the_server_asks_for_is_waited() {
    let wait = ("retry-after", "0.3");
    let peer = Peer::start(vec![
        raw(429, &[wait], "{}"),
        answer(200, &[], &certificate()),
    ])
    .await;
    let begun = Instant::now();
    retrieve(&peer).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let short = Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec());
    for broken in [
        Reply::HangUp,
        short,
        Reply::Bytes(b"garbage\r\n\r\n".to_vec()),
    ] {
        let script = vec![broken, answer(200, &[], &certificate())];
        let peer = Peer::start(script).await;
        let id = "cert_a".parse().unwrap();
        let client = peer.builder().timeout(Duration::from_secs(1));
        let client = client.build().unwrap();
        client.get_certificate(&id).await.unwrap();
        assert_eq!(peer.seen().len(), 2);
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_tried_again() {
    let script = vec![Reply::Silence, answer(200, &[], &certificate())];
    let peer = Peer::start(script).await;
    let id = "cert_a".parse().unwrap();
    let client = peer.builder().timeout(Duration::from_secs(1));
    let client = client.build().unwrap();
    client.get_certificate(&id).await.unwrap();
    assert_eq!(peer.seen().len(), 2);

    let peer = Peer::start(vec![Reply::Silence]).await;
    let client = peer.builder().timeout(Duration::from_millis(100));
    let client = client.max_retries(0).build().unwrap();
    let error = client.get_certificate(&id).await.unwrap_err();
    let wanted = format!("no answer from `{}` within 0.1 s", peer.url("http", ""));
    assert_eq!(error.to_string(), wanted);
}

#[tokio::test]
async fn a_request_that_is_held_open_may_take_longer_than_the_timeout() {
    let peer = Peer::start(vec![Reply::Silence]).await;
    let client = peer.builder().timeout(Duration::from_millis(100));
    let client = client.max_retries(0).build().unwrap();
    let begun = Instant::now();
    let wait = Duration::from_secs(1);
    client
        .countersign()
        .bundle(None, HistoryPoint::START, wait)
        .await
        .unwrap_err();
    assert!(begun.elapsed() >= wait);
}

#[tokio::test]
async fn patience_ends_with_silence_before_an_answer_and_within_it() {
    let begun = b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{";
    let replies = [
        (Reply::Silence, false),
        (Reply::Bytes(begun.to_vec()), true),
    ];
    for (reply, begins) in replies {
        let peer = Peer::start(vec![reply]).await;
        let client = peer.builder().max_retries(0).build().unwrap();
        let arrivals = Arc::new(Notify::new());
        let patient = client.with_patience(Duration::from_millis(100));
        let patient = patient.with_arrivals(Arc::clone(&arrivals));
        let id = "cert_a".parse().unwrap();
        let error = patient.get_certificate(&id).await.unwrap_err();
        let arrived = arrivals.notified().now_or_never().is_some();
        assert_eq!(arrived, begins);
        let wanted = format!("no answer from `{}` within 0.1 s", peer.url("http", ""));
        assert_eq!(error.to_string(), wanted);
    }
}

#[tokio::test]
async fn no_one_there_is_a_connection_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = countersign_client::Client::builder()
        .base_url(format!("{url}/v1"))
        .key(countersign_client::types::secret::Secret::new("k"))
        .max_retries(0)
        .build()
        .unwrap();
    let id = "cert_a".parse().unwrap();
    let error = client.get_certificate(&id).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot reach `{url}`: ")),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}
