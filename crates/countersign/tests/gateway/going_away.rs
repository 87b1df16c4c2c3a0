//! HTTP/2 upstreams that end connections in order, and refuse streams.

use std::time::Duration;

use countersign_gateway::options::GatewayOptions;
use http::Request;

use crate::{
    client::Connection,
    raw_upstream::{DATA, END, GOAWAY, HEADERS, PING, RST_STREAM, Raw, RawUpstream},
    world::World,
};

const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

const BODY: &str = "a body that was sent before the upstream went away";

async fn start() -> (RawUpstream, World) {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options: &mut GatewayOptions| {
        route(options);
        options.routes[0].http2 = true;
    })
    .await;
    (upstream, world)
}

/// Sends a request on a client connection of its own.
async fn send(world: &World, method: &str, body: &str) -> Connection {
    let mut client = world.tls(&[]).connect(world.address()).await;
    let (key, length) = (&world.key, body.len());
    client
        .write(&format!(
            "{method} /v1/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
    client
}

/// The upstream's next connection.
async fn accept(upstream: &RawUpstream) -> Raw {
    let mut connection = upstream.accept().await;
    connection.begin_http2().await;
    connection
}

/// The body of the request that a connection has begun to receive.
async fn body(connection: &mut Raw) -> String {
    let mut body = Vec::new();
    loop {
        let frame = connection.next(DATA).await;
        body.extend(frame.payload);
        if frame.flags & END != 0 {
            return String::from_utf8(body).unwrap();
        }
    }
}

#[tokio::test]
async fn streams_above_the_last_one_are_sent_again_on_a_new_connection() {
    let (upstream, world) = start().await;
    let mut processed = send(&world, "POST", BODY).await;
    let mut first = accept(&upstream).await;
    assert_eq!(first.next(HEADERS).await.stream, 1);
    assert_eq!(body(&mut first).await, BODY);
    let mut bodyless = send(&world, "DELETE", "").await;
    assert_eq!(first.next(HEADERS).await.stream, 3);
    let mut posted = send(&world, "POST", BODY).await;
    assert_eq!(first.next(HEADERS).await.stream, 5);
    assert_eq!(body(&mut first).await, BODY);
    first.go_away(1).await;

    let mut second = accept(&upstream).await;
    let (one, other) = (second.next(HEADERS).await, second.next(HEADERS).await);
    assert_eq!(body(&mut second).await, BODY);
    second.answer_stream(one.stream).await;
    second.answer_stream(other.stream).await;
    for client in [&mut bodyless, &mut posted] {
        assert_eq!(client.head().await.unwrap().status, 200);
    }
    first.answer_stream(1).await;
    assert_eq!(processed.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_that_follows_goes_to_a_new_connection() {
    let (upstream, world) = start().await;
    let mut client = send(&world, "POST", BODY).await;
    let mut first = accept(&upstream).await;
    first.next(HEADERS).await;
    first.go_away(1).await;
    first.answer_stream(1).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut client = send(&world, "POST", BODY).await;
    let mut second = accept(&upstream).await;
    let stream = second.next(HEADERS).await.stream;
    second.answer_stream(stream).await;
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_and_a_failed_one_is_not() {
    let (upstream, world) = start().await;
    let mut client = send(&world, "POST", BODY).await;
    let mut connection = accept(&upstream).await;
    let refused = connection.next(HEADERS).await.stream;
    connection.reset_stream(refused, REFUSED_STREAM).await;
    let mut connection = accept(&upstream).await;
    let stream = connection.next(HEADERS).await.stream;
    assert_eq!(body(&mut connection).await, BODY);
    connection.answer_stream(stream).await;
    assert_eq!(client.head().await.unwrap().status, 200);

    let mut client = send(&world, "GET", "").await;
    let failed = connection.next(HEADERS).await.stream;
    connection.reset_stream(failed, INTERNAL_ERROR).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.code(), "upstream_unavailable");
}

#[tokio::test]
async fn an_upstream_that_refuses_every_stream_is_asked_a_few_times() {
    let (upstream, world) = start().await;
    let mut client = send(&world, "POST", BODY).await;
    let refusing = tokio::spawn(async move {
        let mut connections = Vec::new();
        for _ in 0..4 {
            let mut connection = accept(&upstream).await;
            let stream = connection.next(HEADERS).await.stream;
            connection.reset_stream(stream, REFUSED_STREAM).await;
            connections.push(connection);
        }
        connections
    });
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.code(), "upstream_unavailable");
    assert_eq!(refusing.await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_connection_that_is_lost_costs_only_what_may_have_been_executed() {
    let (upstream, world) = start().await;
    let mut client = send(&world, "GET", "").await;
    let mut first = accept(&upstream).await;
    let stream = first.next(HEADERS).await.stream;
    first.answer_stream(stream).await;
    assert_eq!(client.head().await.unwrap().status, 200);

    let mut repeatable = send(&world, "GET", "").await;
    first.next(HEADERS).await;
    let mut posted = send(&world, "POST", BODY).await;
    first.next(HEADERS).await;
    drop(first);
    let mut second = accept(&upstream).await;
    let stream = second.next(HEADERS).await.stream;
    second.answer_stream(stream).await;
    assert_eq!(repeatable.head().await.unwrap().status, 200);
    let answer = posted.answer().await.unwrap();
    assert_eq!(answer.code(), "upstream_unavailable");
}

#[tokio::test]
async fn requests_that_come_together_open_one_connection() {
    let (upstream, world) = start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(send(&world, "GET", "").await);
    }
    let mut connection = accept(&upstream).await;
    for _ in 0..8 {
        let stream = connection.next(HEADERS).await.stream;
        connection.answer_stream(stream).await;
    }
    for client in &mut clients {
        assert_eq!(client.head().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_order() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options| {
        route(options);
        options.routes[0].http2 = true;
        options.routes[0].idle_timeout = Some(Duration::from_millis(20));
    })
    .await;
    for _ in 0..2 {
        let mut client = send(&world, "GET", "").await;
        let mut connection = accept(&upstream).await;
        let stream = connection.next(HEADERS).await.stream;
        connection.answer_stream(stream).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        let ending = connection.next(GOAWAY).await;
        assert_eq!(ending.payload[4..8], [0; 4], "no error");
        connection.closed().await;
    }
}

#[tokio::test]
async fn a_connection_with_a_request_under_way_does_not_idle() {
    let (upstream, route) = RawUpstream::start().await;
    let (other, url) = RawUpstream::listen().await;
    let world = World::with(|options| {
        route(options);
        options.routes[0].upstream.push(url);
        options.routes[0].http2 = true;
        options.routes[0].idle_timeout = Some(Duration::from_millis(20));
    })
    .await;
    // One to each server.
    let mut waiting = send(&world, "GET", "").await;
    let mut busy = accept(&upstream).await;
    let mut streams = vec![busy.next(HEADERS).await.stream];
    let mut second = send(&world, "GET", "").await;
    let mut idle = accept(&other).await;
    let stream = idle.next(HEADERS).await.stream;
    idle.answer_stream(stream).await;
    assert_eq!(second.head().await.unwrap().status, 200);
    idle.next(GOAWAY).await;
    idle.closed().await;
    // Of three more, the server where one waits gets the last, on the same connection.
    let mut third = send(&world, "GET", "").await;
    let mut idle = accept(&other).await;
    idle.next(HEADERS).await;
    let mut fourth = send(&world, "GET", "").await;
    idle.next(HEADERS).await;
    let mut fifth = send(&world, "GET", "").await;
    streams.push(busy.next(HEADERS).await.stream);
    for stream in streams {
        busy.answer_stream(stream).await;
    }
    for stream in [1, 3] {
        idle.answer_stream(stream).await;
    }
    for client in [&mut waiting, &mut third, &mut fourth, &mut fifth] {
        assert_eq!(client.head().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_idled_takes_no_request() {
    let (upstream, world) = start().await;
    for _ in 0..2 {
        let mut client = send(&world, "POST", BODY).await;
        let mut connection = accept(&upstream).await;
        let stream = connection.next(HEADERS).await.stream;
        assert_eq!(body(&mut connection).await, BODY);
        connection.answer_stream(stream).await;
        assert_eq!(client.head().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_response_that_is_reset_is_no_whole_one() {
    let (upstream, world) = start().await;
    let mut client = send(&world, "GET", "").await;
    let mut connection = accept(&upstream).await;
    let stream = connection.next(HEADERS).await.stream;
    connection.begin_answer(stream).await;
    connection.frame(DATA, 0, stream, b"the beginning").await;
    connection.reset_stream(stream, NO_ERROR).await;
    assert!(client.answer().await.is_none(), "it looks whole");
}

#[tokio::test]
async fn what_comes_late_for_requests_that_were_given_up_leaves_the_others_alone() {
    let (upstream, world) = start().await;
    let mut waiting = send(&world, "POST", BODY).await;
    let mut connection = accept(&upstream).await;
    let waits = connection.next(HEADERS).await.stream;
    assert_eq!(body(&mut connection).await, BODY);
    let builder = h2::client::Builder::new();
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let (mut responses, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let request = Request::get("https://localhost/v1/a")
            .header("authorization", format!("Bearer {}", world.key));
        sender = sender.ready().await.unwrap();
        let (response, _) = sender
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        let stream = connection.next(HEADERS).await.stream;
        connection.begin_answer(stream).await;
        responses.push(response.await.unwrap());
        streams.push(stream);
    }
    drop(responses);
    for _ in &streams {
        connection.next(RST_STREAM).await;
    }
    for _ in 0..30 {
        for stream in &streams {
            connection.frame(DATA, 0, *stream, b"late").await;
        }
        // So that it does not all arrive at once.
        connection.frame(PING, 0, 0, &[0; 8]).await;
        connection.next(PING).await;
    }
    connection.answer_stream(waits).await;
    assert_eq!(waiting.head().await.unwrap().status, 200);
}
