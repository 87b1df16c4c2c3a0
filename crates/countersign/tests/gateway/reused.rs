//! HTTP/1.1 connections to an upstream that serve more than one request, and end in between.

use std::time::Duration;

use crate::{
    client::{Connection, HttpResponse},
    raw_upstream::{Raw, RawUpstream},
    world::World,
};

/// A client whose first request was answered on a connection that the gateway now keeps.
async fn answered(world: &World, upstream: &RawUpstream) -> (Connection, Raw) {
    let mut client = world.tls(&[]).connect(world.address()).await;
    send(world, &mut client, "GET", "").await;
    let mut kept = upstream.accept().await;
    kept.head().await;
    kept.answer("").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    (client, kept)
}

async fn send(world: &World, client: &mut Connection, method: &str, body: &str) {
    let (key, length) = (&world.key, body.len());
    client
        .write(&format!(
            "{method} /v1/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
}

async fn answer_of(client: &mut Connection) -> HttpResponse {
    client.answer().await.expect("an answer")
}

#[tokio::test]
async fn what_was_not_answered_on_a_reused_connection_is_sent_once_more() {
    for (method, body) in [("GET", ""), ("DELETE", ""), ("PUT", "the whole body")] {
        let (upstream, route) = RawUpstream::start().await;
        let world = World::with(route).await;
        let (mut client, mut kept) = answered(&world, &upstream).await;
        send(&world, &mut client, method, body).await;
        kept.read(1).await;
        drop(kept);
        let mut second = upstream.accept().await;
        let head = second.head().await;
        assert!(head.starts_with(&format!("{method} /v1/a ")), "{head}");
        assert_eq!(second.read(body.len()).await, body.as_bytes());
        second.answer("").await;
        assert_eq!(answer_of(&mut client).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn what_was_not_answered_on_a_new_connection_is_not_sent_again() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let (mut client, mut kept) = answered(&world, &upstream).await;
    send(&world, &mut client, "GET", "").await;
    kept.read(1).await;
    drop(kept);
    upstream.accept().await.head().await;
    let refused = answer_of(&mut client).await;
    assert_eq!(refused.code(), "upstream_unavailable");
}

#[tokio::test]
async fn what_an_upstream_may_have_executed_is_not_sent_again() {
    let large = "x".repeat(100_000);
    for (method, body, answered_with) in [
        ("POST", "a body", ""),
        ("GET", "", "HTTP/1.1 2"),
        ("PUT", &*large, ""),
    ] {
        let (upstream, route) = RawUpstream::start().await;
        let world = World::with(route).await;
        let (mut client, mut kept) = answered(&world, &upstream).await;
        send(&world, &mut client, method, body).await;
        kept.head().await;
        kept.read(body.len()).await;
        kept.write(answered_with.as_bytes()).await;
        drop(kept);
        let refused = answer_of(&mut client).await;
        assert_eq!(refused.code(), "upstream_unavailable", "{method}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_idled_takes_no_request() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    for body in ["", "a body"] {
        let (mut client, kept) = answered(&world, &upstream).await;
        drop(kept);
        send(&world, &mut client, "POST", body).await;
        let mut second = upstream.accept().await;
        second.head().await;
        assert_eq!(second.read(body.len()).await, body.as_bytes());
        second.answer("connection: close\r\n").await;
        assert_eq!(answer_of(&mut client).await.status, 200);
    }
}

#[tokio::test]
async fn a_response_whose_end_only_an_unknown_coding_tells_is_a_502() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    for codings in [
        "transfer-encoding: identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ] {
        let mut client = world.tls(&[]).connect(world.address()).await;
        send(&world, &mut client, "GET", "").await;
        let mut connection = upstream.accept().await;
        connection.head().await;
        let answer = format!("HTTP/1.1 200 OK\r\n{codings}\r\n2\r\nok\r\n0\r\n\r\n");
        connection.write(answer.as_bytes()).await;
        let refused = answer_of(&mut client).await;
        assert_eq!(refused.code(), "upstream_unavailable", "{codings}");
        connection.ended().await;
    }
}

#[tokio::test]
async fn a_response_may_have_many_header_lines() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    for (count, status) in [(250, 200), (300, 502)] {
        let mut client = world.tls(&[]).connect(world.address()).await;
        send(&world, &mut client, "POST", "").await;
        let mut connection = upstream.accept().await;
        connection.head().await;
        let lines = "x-line: 1\r\n".repeat(count);
        connection
            .answer(&format!("{lines}connection: close\r\n"))
            .await;
        let answer = answer_of(&mut client).await;
        assert_eq!(answer.status, status, "{count}");
        let passed = answer.head.matches("x-line: 1").count();
        assert_eq!(passed, if status == 200 { count } else { 0 });
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options| {
        route(options);
        options.routes[0].idle_timeout = Some(Duration::from_millis(20));
    })
    .await;
    let (_client, kept) = answered(&world, &upstream).await;
    kept.closed().await;
}

#[tokio::test]
async fn a_connection_that_its_upstream_will_not_keep_is_not_kept() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options| {
        route(options);
        options.routes[0].idle_timeout = Some(Duration::from_secs(3600));
    })
    .await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    send(&world, &mut client, "GET", "").await;
    let mut first = upstream.accept().await;
    first.head().await;
    first.answer("keep-alive: timeout=0\r\n").await;
    assert_eq!(answer_of(&mut client).await.status, 200);
    first.closed().await;
}
