//! Requests that end early, on either side.

use std::time::Duration;

use bytes::Bytes;
use countersign_gateway::options::GatewayOptions;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::world::{LIMIT, World};

/// An upstream whose bytes a test writes itself.
struct Upstream(TcpListener);

impl Upstream {
    async fn start() -> (Self, impl FnOnce(&mut GatewayOptions)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let route = move |options: &mut GatewayOptions| {
            options.routes[0].upstream = vec![format!("http://{address}")];
        };
        (Self(listener), route)
    }

    /// A connection, after the head of its first request.
    async fn request(&self) -> TcpStream {
        let (mut stream, _) = timeout(LIMIT, self.0.accept()).await.unwrap().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream
    }
}

fn head(world: &World, method: &str, path: &str, lines: &str) -> String {
    let key = &world.key;
    format!("{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{lines}\r\n")
}

#[tokio::test]
async fn a_client_that_first_sends_everything_reads_why_it_was_refused() {
    let world = World::new().await;
    world.with_active_ca().await;
    for bytes in [64 << 10, 1 << 20, 16 << 20] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let lines = format!("content-length: {bytes}\r\n");
        connection
            .write(&head(&world, "POST", "/v1/a", &lines))
            .await;
        connection.write(&"x".repeat(bytes)).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(answer.code(), "certificate_required", "{bytes} bytes");
    }
}

#[tokio::test]
async fn what_is_refused_is_not_asked_to_continue() {
    let world = World::new().await;
    world.with_active_ca().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let lines = "content-length: 1000000\r\nexpect: 100-continue\r\n";
    connection
        .write(&head(&world, "POST", "/v1/a", lines))
        .await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!(answer.code(), "certificate_required");
}

#[tokio::test]
async fn a_refused_upload_over_http2_is_answered_whole() {
    let world = World::new().await;
    world.with_active_ca().await;
    let request = Request::post("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::new(Bytes::from(vec![b'x'; 4 << 20])))
        .unwrap();
    let tls = world.tls(&[]);
    let response = tls.http2(world.address(), request).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(b"}"), "{body:?}");
}

#[tokio::test]
async fn the_response_of_an_upstream_that_answers_an_upload_early_and_closes_arrives() {
    let (upstream, route) = Upstream::start().await;
    let mut world = World::with(route).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let bytes = 32 << 20;
    let lines = format!("content-length: {bytes}\r\n");
    connection
        .write(&head(&world, "POST", "/v1/a", &lines))
        .await;
    let mut refusing = upstream.request().await;
    let answer = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 4\r\n\r\nless";
    refusing.write_all(answer).await.unwrap();
    drop(refusing);
    connection.write(&"x".repeat(bytes)).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (413, &b"less"[..]));
    drop(connection);
    assert_eq!(world.log().await[0]["status"], 413);
}

#[tokio::test]
async fn the_head_of_a_response_arrives_whose_body_is_broken_from_the_start() {
    let (upstream, route) = Upstream::start().await;
    let world = World::with(route).await;
    let tls = world.tls(&[]);
    let answer = async || {
        let broken =
            b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n";
        let mut stream = upstream.request().await;
        stream.write_all(broken).await.unwrap();
        stream
    };
    let mut connection = tls.connect(world.address()).await;
    connection.write(&head(&world, "GET", "/v1/a", "")).await;
    let _kept = answer().await;
    let first = connection.head().await.expect("a head");
    assert_eq!((first.status, first.header("x-a")), (200, Some("1")));
    assert!(connection.rest().await.is_empty(), "no end of the body");
    let request = Request::get("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::default())
        .unwrap();
    let (response, _kept) = tokio::join!(tls.http2(world.address(), request), answer());
    let response = response.expect("a head");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-a"], "1");
    response.into_body().collect().await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_closed_its_side_is_answered() {
    let (upstream, route) = Upstream::start().await;
    let world = World::with(route).await;
    for notify in [true, false] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let whole = head(&world, "POST", "/v1/a", "content-length: 2\r\n") + "hi";
        connection.write(&whole).await;
        let mut stream = upstream.request().await;
        connection.half_close(notify).await;
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        let answer = connection.answer().await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
    }
}

#[tokio::test]
async fn a_forwarded_request_is_logged_when_its_client_goes_away() {
    let (upstream, route) = Upstream::start().await;
    let mut world = World::with(route).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let whole = head(&world, "POST", "/v1/reset", "content-length: 2\r\n") + "hi";
    connection.write(&whole).await;
    let mut first = upstream.request().await;
    connection.reset();
    let mut rest = Vec::new();
    timeout(LIMIT, first.read_to_end(&mut rest))
        .await
        .expect("the request to be dropped")
        .unwrap();

    let request = Request::get("https://localhost/v1/reset-stream")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::<Bytes>::default())
        .unwrap();
    let (tls, address) = (world.tls(&[]), world.address());
    let asking = tokio::spawn(async move { tls.http2(address, request).await });
    let mut second = upstream.request().await;
    asking.abort();
    timeout(LIMIT, second.read_to_end(&mut rest))
        .await
        .expect("the request to be dropped")
        .unwrap();
    let log = world.log().await;
    let line = |index: usize| (log[index]["path"].as_str(), log[index]["status"].as_u64());
    assert_eq!(line(0), (Some("/v1/reset"), Some(499)));
    assert_eq!(line(1), (Some("/v1/reset-stream"), Some(499)));
    assert_eq!(log[0]["bytes_received"], 2);
    assert!(log[0]["project"].is_string());
}

#[tokio::test]
async fn an_upload_that_its_client_abandons_is_logged_as_such_and_no_fault_of_it() {
    let (upstream, route) = Upstream::start().await;
    let mut world = World::with(route).await;
    let endings = ["closed", "notified", "reset"];
    let bodies = [
        "content-length: 9\r\n\r\nhi",
        "transfer-encoding: chunked\r\n\r\n5\r\nhi",
    ];
    for (ending, body) in endings
        .into_iter()
        .flat_map(|end| bodies.map(|body| (end, body)))
    {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let part = head(&world, "POST", "/v1/a", body);
        connection.write(part.trim_end_matches("\r\n")).await;
        let mut stream = upstream.request().await;
        if ending == "reset" {
            connection.reset();
        } else {
            connection.half_close(ending == "notified").await;
            // Whoever closed only its own side is told something all the same.
            let answer = connection.answer().await.expect("an answer");
            assert_eq!(answer.status, 400, "{body}");
        }
        let mut rest = Vec::new();
        let ended = timeout(LIMIT, stream.read_to_end(&mut rest)).await;
        // The request is broken off, in whichever way.
        let _ = ended.expect("the request to be dropped");
    }
    let log = world.log().await;
    assert_eq!(log.len(), endings.len() * bodies.len());
    for line in log {
        assert_eq!(
            (&line["status"], line.get("code")),
            (&499.into(), None),
            "{line}"
        );
    }
}

#[tokio::test]
async fn what_came_before_a_body_broke_off_reaches_a_client_that_reads_late() {
    let (upstream, route) = Upstream::start().await;
    let world = World::with(route).await;
    // What sockets and the gateway keep of an unread response is about that much: at one of the lengths the
    // end is met while the client takes nothing.
    for pieces in 1..24 {
        let whole = vec![b'x'; pieces * 16 * 1024];
        let mut connection = world.tls(&[]).connect(world.address()).await;
        connection.write(&head(&world, "GET", "/v1/a", "")).await;
        let mut stream = upstream.request().await;
        let begin = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
            whole.len()
        );
        for part in [begin.as_bytes(), &whole, b"\r\nno length\r\n"] {
            stream.write_all(part).await.unwrap();
        }
        // The gateway reads on only as the client does.
        assert_eq!(connection.head().await.expect("a head").status, 200);
        let mut left = whole.len();
        while left > 0 {
            left -= connection.chunk().await.expect("a chunk").len();
        }
        assert!(connection.rest().await.is_empty(), "no end of the body");
    }
}

#[tokio::test]
async fn the_log_counts_the_bytes_of_both_bodies() {
    let mut world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let whole = head(&world, "POST", "/v1/echo", "content-length: 5\r\n") + "hello";
    connection.write(&whole).await;
    let sent = connection.answer().await.unwrap().body.len();
    drop(connection);
    let log = world.log().await;
    assert_eq!(log[0]["bytes_received"], 5);
    assert_eq!(log[0]["bytes_sent"], sent);
}

#[tokio::test]
async fn a_body_that_is_none_or_stalls_is_the_clients_fault() {
    let world = World::with(|options| {
        options.limits.body_timeout = Some(Duration::from_millis(300));
    })
    .await;
    for (framing, status, code) in [
        (
            "transfer-encoding: chunked\r\n\r\nnone\r\n",
            400,
            "bad_request",
        ),
        ("content-length: 10\r\n\r\nhello", 408, "request_timeout"),
    ] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let head = head(&world, "POST", "/v1/echo", framing);
        connection.write(&head).await;
        let answer = connection.answer().await.expect(framing);
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{framing}"
        );
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_gets_an_envelope_and_a_line() {
    let mut world = World::new().await;
    let many = "x-a: 1\r\n".repeat(120);
    let large = format!("x-a: {}\r\n", "y".repeat(200_000));
    for (line, lines, status, code) in [
        ("GET /v1/echo HTTP/9.9", "", 400, "bad_request"),
        ("GET /v1/echo HTTP/1.1", "x : 1\r\n", 400, "bad_request"),
        ("GET /v1/echo HTTP/1.1", &*many, 431, "headers_too_large"),
        ("GET /v1/echo HTTP/1.1", &*large, 431, "headers_too_large"),
    ] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let head = format!("{line}\r\nhost: a\r\n{lines}\r\n");
        connection.write(&head).await;
        let answer = connection.answer().await.expect(line);
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{line} {}",
            lines.len()
        );
        assert!(answer.header("x-request-id").is_some(), "{line}");
    }
    // HTTP/2 where HTTP/1.1 was agreed.
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().code(), "bad_request");
    let log = world.log().await;
    let codes: Vec<_> = log
        .iter()
        .filter_map(|line| line["code"].as_str())
        .collect();
    assert_eq!(codes.len(), 5);
}

#[tokio::test]
async fn a_response_that_pauses_ends_when_its_client_has_closed_its_side() {
    let (upstream, route) = Upstream::start().await;
    let world = World::with(route).await;
    for notify in [true, false] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let whole = head(&world, "GET", "/v1/a", "");
        connection.write(&whole).await;
        let mut stream = upstream.request().await;
        let begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
        stream.write_all(begin).await.unwrap();
        assert_eq!(connection.head().await.unwrap().status, 200);
        connection.half_close(notify).await;
        let mut rest = Vec::new();
        let dropped = timeout(LIMIT, stream.read_to_end(&mut rest)).await;
        dropped.expect("the request to be dropped").unwrap();
    }
}

#[tokio::test]
async fn an_upload_that_its_upstream_does_not_take_is_answered_and_over() {
    let (upstream, route) = Upstream::start().await;
    let mut world = World::with(|options| {
        route(options);
        options.limits.response_timeout = Duration::from_millis(300);
    })
    .await;
    let bytes = 20 << 20;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let lines = format!("content-length: {bytes}\r\n");
    connection
        .write(&head(&world, "POST", "/v1/a", &lines))
        .await;
    let mut taking_nothing = upstream.request().await;
    let sent_and_answered = async {
        connection.write(&"x".repeat(bytes)).await;
        connection.answer().await.expect("an answer")
    };
    let answer = timeout(LIMIT, sent_and_answered).await.unwrap();
    assert_eq!(answer.code(), "upstream_timeout");
    // Nobody waits for what the upstream has not taken, and it is told so.
    let mut taken = Vec::new();
    let ended = timeout(LIMIT, taking_nothing.read_to_end(&mut taken)).await;
    assert!(ended.is_ok() && taken.len() < bytes);
    let request = Request::post("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::new(Bytes::from(vec![b'x'; bytes])))
        .unwrap();
    let tls = world.tls(&[]);
    let address = world.address();
    let sending = tokio::spawn(async move { tls.http2(address, request).await });
    let _taking_nothing = upstream.request().await;
    let response = timeout(LIMIT, sending).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), 504);
    drop(connection);
    let log = world.log().await;
    assert_eq!(
        (log.len(), &log[0]["status"], &log[1]["status"]),
        (2, &504.into(), &504.into())
    );
}

#[tokio::test]
async fn a_head_that_stops_half_way_has_its_line() {
    let mut world = World::with(|options| {
        options.limits.header_timeout = Duration::from_millis(200);
    })
    .await;
    let tls = world.tls(&[]);
    // One that sends nothing asks for nothing.
    let silent = tls.connect(world.address()).await;
    let mut connection = tls.connect(world.address()).await;
    connection.write("GET /v1/a HTTP/1.1\r\nhost: a\r\n").await;
    assert!(connection.rest().await.is_empty());
    drop(silent);
    let log = world.log().await;
    let line = (&log[0]["code"], &log[0]["status"], &log[0]["path"]);
    assert_eq!(line, (&"request_timeout".into(), &408.into(), &"-".into()));
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn a_length_that_no_body_has_is_refused_at_once() {
    let world = World::new().await;
    for length in [
        "9223372036854775808",
        "18446744073709551615",
        "99999999999999999999999",
    ] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let lines = format!("content-length: {length}\r\n");
        connection
            .write(&head(&world, "POST", "/v1/a", &lines))
            .await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_request"),
            "{length}"
        );
    }
}

#[tokio::test]
async fn what_is_no_end_of_a_chunked_body_is_not_waited_for() {
    let world = World::new().await;
    for body in [
        "2\r\nhi\r\n0\r\n\n",
        "2\r\nhi\r\n0\r\nx-a: b\n\n",
        "ffffffffffffffff\r\nhi",
    ] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let lines = "transfer-encoding: chunked\r\n";
        connection
            .write(&(head(&world, "POST", "/v1/a", lines) + body))
            .await;
        let answer = timeout(LIMIT, connection.answer()).await.unwrap();
        let answer = answer.expect("an answer");
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_request"),
            "{body}"
        );
    }
}
