//! What passes between an HTTP/2 client and the gateway besides requests and answers.

use std::future::poll_fn;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use crate::{
    raw_upstream::RawUpstream,
    world::{LIMIT, World},
};

fn post(world: &World, path: &str) -> http::request::Builder {
    Request::post(format!("https://localhost{path}"))
        .header("authorization", format!("Bearer {}", world.key))
}

#[tokio::test]
async fn a_client_that_expects_a_100_gets_it_before_it_sends_its_body() {
    let world = World::new().await;
    let builder = h2::client::Builder::new();
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let expecting = || post(&world, "/v1/echo").header("expect", "100-continue");
    let request = expecting().body(()).unwrap();
    let (mut response, mut body) = sender.send_request(request, false).unwrap();
    let interim = poll_fn(|context| response.poll_informational(context));
    let interim = timeout(LIMIT, interim).await.expect("a 100").unwrap();
    assert_eq!(interim.unwrap().status(), 100);
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);

    // What is refused gets none.
    world.with_active_ca().await;
    let request = expecting().body(()).unwrap();
    let mut sender = sender.ready().await.unwrap();
    let (mut response, _body) = sender.send_request(request, false).unwrap();
    let interim = poll_fn(|context| response.poll_informational(context)).await;
    assert!(interim.is_none(), "{interim:?}");
    assert_eq!(response.await.unwrap().status(), 401);
}

#[tokio::test]
async fn interim_responses_reach_clients_that_can_take_them() {
    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nkeep-alive: 1\r\n\r\n";
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let tls = world.tls(&[]);
    let mut connection = tls.connect(world.address()).await;
    let line = format!("host: a\r\nauthorization: Bearer {}\r\n\r\n", world.key);
    let request = format!("GET /v1/a HTTP/1.1\r\n{line}");
    connection.write(&request).await;
    let mut raw = upstream.accept().await;
    raw.head().await;
    for _ in 0..2 {
        raw.write(HINTS).await;
        let interim = connection.head().await.unwrap();
        assert_eq!(
            (interim.status, interim.header("link")),
            (103, Some("</a>"))
        );
        assert_eq!(interim.header("keep-alive"), None, "a header of one hop");
    }
    // With the answer right behind it.
    raw.write(HINTS).await;
    raw.answer("connection: close\r\n").await;
    let mut answer = connection.head().await.unwrap();
    if answer.status == 103 {
        answer = connection.head().await.unwrap();
    }
    assert_eq!(answer.status, 200);
    assert_eq!(connection.bytes(2).await, b"ok");

    let builder = h2::client::Builder::new();
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let request = post(&world, "/v1/b").body(()).unwrap();
    let (mut response, _) = sender.send_request(request, true).unwrap();
    let mut raw = upstream.accept().await;
    raw.head().await;
    raw.write(HINTS).await;
    let interim = poll_fn(|context| response.poll_informational(context));
    let interim = timeout(LIMIT, interim).await.expect("a 103").unwrap();
    assert_eq!(interim.unwrap().headers()["link"], "</a>");
    raw.answer("connection: close\r\n").await;
    assert_eq!(response.await.unwrap().status(), 200);

    // A client of HTTP/1.0 knows none.
    let mut connection = tls.connect_http10(world.address()).await;
    connection
        .write(&format!("GET /v1/c HTTP/1.0\r\n{line}"))
        .await;
    let mut raw = upstream.accept().await;
    raw.head().await;
    raw.write(HINTS).await;
    raw.answer("connection: close\r\n").await;
    assert_eq!(connection.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn an_upload_that_stalls_leaves_the_others_of_its_connection_alone() {
    let world = World::new().await;
    let stream = world.tls(&[]).http2_io(world.address()).await;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let send = |path: &str| {
        let body = Full::new(Bytes::from(vec![b'x'; 1 << 20]));
        let request = post(&world, path).body(body).unwrap();
        tokio::spawn(sender.clone().send_request(request))
    };
    // This upstream never reads a body.
    let stalled = send("/v1/never");
    let others: Vec<_> = (0..19).map(|_| send("/v1/echo")).collect();
    for other in others {
        let response = timeout(LIMIT, other).await.expect("an upload that ends");
        assert_eq!(response.unwrap().unwrap().status(), 200);
    }
    assert!(!stalled.is_finished());
}
