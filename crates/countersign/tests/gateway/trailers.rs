//! Trailers over HTTP/1.1, whether a `Trailer` header announces them or not.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tokio::time::timeout;

use crate::{
    raw_upstream::{DATA, END, HEADERS, RawUpstream},
    world::{LIMIT, World},
};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";

fn get(world: &World, version: &str) -> String {
    let key = &world.key;
    format!("GET /v1/a {version}\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

#[tokio::test]
async fn those_of_a_response_reach_the_client() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let mut raw = None;
    for (announced, trailers, arrive) in [
        ("", "x-sum: 1\r\nx-sum: 2\r\ngrpc-status: 0\r\n", true),
        ("trailer: x-sum\r\n", "x-sum: 1\r\nx-other: 2\r\n", true),
        ("", "", true),
        (
            "",
            "content-length: 7\r\nset-cookie: a=1\r\nhost: b\r\n",
            false,
        ),
    ] {
        for whole in [true, false] {
            connection.write(&get(&world, "HTTP/1.1")).await;
            let mut upstream = match raw.take() {
                Some(raw) => raw,
                None => upstream.accept().await,
            };
            upstream.head().await;
            let head = format!("{ANSWER}{announced}\r\n");
            let (data, end) = ("5\r\nhello\r\n", format!("0\r\n{trailers}\r\n"));
            let left: &str = if arrive { &end } else { "0\r\n\r\n" };
            let expected = format!("{data}{left}");
            if whole {
                upstream
                    .write(format!("{head}{data}{end}").as_bytes())
                    .await;
                assert_eq!(connection.head().await.unwrap().status, 200);
            } else {
                upstream.write(format!("{head}{data}").as_bytes()).await;
                assert_eq!(connection.head().await.unwrap().status, 200);
                assert_eq!(connection.bytes(data.len()).await, data.as_bytes());
                upstream.write(end.as_bytes()).await;
            }
            let expected: &str = if whole { &expected } else { left };
            let found = timeout(LIMIT, connection.bytes(expected.len())).await;
            let found = String::from_utf8(found.expect("the end")).unwrap();
            assert_eq!(found, expected, "{announced}");
            raw = Some(upstream);
        }
    }
    // HTTP/1.0 has no place for them, and nothing of them is left for whoever comes next.
    let mut old = world.tls(&[]).connect_http10(world.address()).await;
    old.write(&get(&world, "HTTP/1.0")).await;
    let mut raw = raw.unwrap();
    raw.head().await;
    let answer = format!("{ANSWER}\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
    raw.write(answer.as_bytes()).await;
    assert_eq!(old.head().await.unwrap().status, 200);
    assert_eq!(old.rest().await, b"hello");
}

#[tokio::test]
async fn those_of_a_request_reach_the_upstream_unless_they_claim_something() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let head = format!(
        "POST /v1/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n",
        world.key
    );
    let body = "\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\nx-countersign-key: evil\r\nhost: evil\r\n\
                x-request-id: evil\r\nx-forwarded-for: evil\r\nauthorization: evil\r\n\r\n";
    let expected = b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
    let mut raw = None;
    for announced in ["", "trailer: x-sum, host\r\n", "trailer: x-other\r\n"] {
        connection.write(&format!("{head}{announced}{body}")).await;
        let mut upstream = match raw.take() {
            Some(raw) => raw,
            None => upstream.accept().await,
        };
        upstream.head().await;
        assert_eq!(upstream.read(expected.len()).await, expected);
        upstream.answer("").await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
        raw = Some(upstream);
    }

    // The same of a client of HTTP/2.
    let builder = h2::client::Builder::new();
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let request = Request::post("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key))
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "x-countersign-key"] {
        trailers.insert(name, HeaderValue::from_static("1"));
    }
    body.send_trailers(trailers).unwrap();
    let mut upstream = raw.unwrap();
    upstream.head().await;
    assert_eq!(upstream.read(expected.len()).await, expected);
    upstream.answer("").await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn those_of_an_http2_upstream_reach_an_http1_client() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options| {
        route(options);
        options.routes[0].http2 = true;
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection.write(&get(&world, "HTTP/1.1")).await;
    let mut raw = upstream.accept().await;
    raw.begin_http2().await;
    let stream = raw.next(HEADERS).await.stream;
    raw.begin_answer(stream).await;
    raw.frame(DATA, 0, stream, b"hello").await;
    // A literal that is not indexed: its name and its value, with their lengths.
    let trailers = b"\x00\x0bgrpc-status\x010";
    raw.frame(HEADERS, END | 4, stream, trailers).await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    let expected = b"5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let found = timeout(LIMIT, connection.bytes(expected.len())).await;
    assert_eq!(found.expect("the end"), expected);
}
