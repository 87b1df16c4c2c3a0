//! Clients and upstreams that take their time: what moves goes on, and what does not ends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use crate::{
    client::Connection,
    raw_upstream::RawUpstream,
    world::{LIMIT, World},
};

const SHORT: Duration = Duration::from_millis(200);

fn head(world: &World, method: &str, path: &str, lines: &str) -> String {
    let key = &world.key;
    format!("{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{lines}\r\n")
}

#[tokio::test]
async fn an_upload_that_moves_takes_as_long_as_it_needs() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(|options| {
        route(options);
        options.limits.response_timeout = SHORT;
        options.limits.body_timeout = Some(SHORT);
        options.limits.stream_idle_timeout = Some(SHORT);
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let lines = "transfer-encoding: chunked\r\n";
    connection
        .write(&head(&world, "POST", "/v1/a", lines))
        .await;
    let mut raw = upstream.accept().await;
    raw.head().await;
    let started = Instant::now();
    while started.elapsed() < SHORT * 4 {
        connection.write("1\r\nx\r\n").await;
        assert_eq!(raw.read(6).await, b"1\r\nx\r\n");
    }
    connection.write("0\r\n\r\n").await;
    raw.read(5).await;
    raw.answer("").await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_response_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut world = World::with(|options| {
        options.routes[0].upstream = vec![format!("http://{address}")];
        options.limits.send_timeout = SHORT;
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection.write(&head(&world, "GET", "/v1/a", "")).await;
    let (mut stream, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    // What comes before the request is no answer to it.
    stream.read_u8().await.unwrap();
    let endless = async {
        let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
        stream.write_all(begin).await?;
        loop {
            stream.write_all(&[b'x'; 64 * 1024]).await?;
        }
    };
    let ended: std::io::Result<()> = timeout(LIMIT, endless).await.expect("an end");
    ended.unwrap_err();
    let log = world.log().await;
    assert_eq!(log[0]["status"], 200);
    assert!(log[0]["bytes_sent"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_stream_of_which_its_client_takes_nothing_ends_alone() {
    let world = World::with(|options| options.limits.send_timeout = SHORT).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let get = |path: &str| {
        Request::get(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {}", world.key))
            .body(())
            .unwrap()
    };
    let (response, _) = sender.send_request(get("/v1/large"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut taken: Vec<Bytes> = Vec::new();
    let error = loop {
        // Nothing is released: the stream's window runs out.
        match timeout(LIMIT, body.data()).await.expect("an end") {
            Some(Ok(bytes)) => taken.push(bytes),
            Some(Err(error)) => break error,
            None => panic!("a whole body"),
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    assert_eq!(taken.iter().map(Bytes::len).sum::<usize>(), 65_535);
    let (response, _) = sender.send_request(get("/v1/echo"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_has_begun_ends_when_nothing_moves_for_as_long_as_its_route_says() {
    let mut world = World::with(|options| {
        options.limits.stream_idle_timeout = Some(Duration::ZERO);
        options.routes[0].stream_idle_timeout = Some(SHORT);
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection
        .write(&head(&world, "GET", "/v1/events", ""))
        .await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    assert_eq!(connection.chunk().await.unwrap(), b"data: first\n\n");
    let end = timeout(LIMIT, connection.chunk()).await.expect("an end");
    assert_eq!(end, None);

    let mut connection = world.tls(&[]).connect(world.address()).await;
    let lines = "connection: upgrade\r\nupgrade: websocket\r\n";
    connection
        .write(&head(&world, "GET", "/v1/socket", lines))
        .await;
    assert_eq!(connection.head().await.unwrap().status, 101);
    let started = Instant::now();
    while started.elapsed() < SHORT * 3 {
        connection.write("ping").await;
        assert_eq!(connection.bytes(4).await, b"ping");
    }
    timeout(LIMIT, connection.rest()).await.expect("an end");
    let log = world.log().await;
    let socket = log.iter().find(|line| line["status"] == 101).unwrap();
    assert_eq!(socket["bytes_sent"], socket["bytes_received"]);
}

/// How much a client reads before it stops: more than what shows that it reads, so that pieces are large.
const READ_FIRST: usize = 3 << 20;

#[tokio::test]
async fn a_client_that_stops_and_goes_on_gets_all_of_a_response() {
    // More than sockets keep.
    let body: Vec<u8> = (0..48_u32 << 18).flat_map(u32::to_be_bytes).collect();
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let mut raw = None;
    let length = format!("content-length: {}\r\n", body.len());
    let chunked = "transfer-encoding: chunked\r\n";
    for (lines, end) in [
        (&*length, ""),
        (chunked, "0\r\n\r\n"),
        (chunked, "0\r\nx-sum: 1\r\n\r\n"),
        (&*length, ""),
    ] {
        connection.write(&head(&world, "GET", "/v1/a", "")).await;
        let mut sends = match raw.take() {
            Some(raw) => raw,
            None => upstream.accept().await,
        };
        sends.head().await;
        let mut answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes();
        if end.is_empty() {
            answer.extend(&body);
        } else {
            for piece in body.chunks(100_000) {
                answer.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                answer.extend(piece);
                answer.extend(b"\r\n");
            }
        }
        answer.extend(end.as_bytes());
        let reads = async {
            assert_eq!(connection.head().await.unwrap().status, 200);
            let mut found = Vec::new();
            while found.len() < READ_FIRST {
                found.extend(next_piece(&mut connection, end).await);
            }
            found
        };
        // The client goes on only once the gateway has taken nothing for a while.
        let (mut found, taken) = tokio::join!(reads, sends.write_until_silence(&answer, SHORT));
        let goes_on = async {
            while found.len() < body.len() {
                found.extend(next_piece(&mut connection, end).await);
            }
            connection.bytes(end.len()).await
        };
        let both = async { tokio::join!(goes_on, sends.write(&answer[taken..])) };
        let (last, ()) = timeout(LIMIT, both).await.expect("the whole body");
        assert!(found == body, "another body");
        assert_eq!(last, end.as_bytes());
        raw = Some(sends);
    }
}

/// What comes next of a body: a chunk of one that ends with something, or some bytes.
async fn next_piece(connection: &mut Connection, end: &str) -> Vec<u8> {
    if end.is_empty() {
        connection.bytes(1 << 18).await
    } else {
        connection.chunk().await.expect("a chunk")
    }
}
