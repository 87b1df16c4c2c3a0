//! Clients that send what is no work, over HTTP/2.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::Ping;
use http::Request;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use crate::{
    client::Connection,
    world::{LIMIT, World},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: [u8; 4] = 11_u32.to_be_bytes();

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The next frame of this kind; none if the connection ends before.
async fn next(connection: &mut Connection, kind: u8) -> Option<Vec<u8>> {
    loop {
        let head = connection.try_bytes(9).await?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = connection.try_bytes(length).await?;
        if head[3] == kind {
            return Some(payload);
        }
    }
}

async fn begin(world: &World) -> Connection {
    let mut connection = world.tls(&[]).silent_http2(world.address()).await;
    connection
        .send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await;
    connection
}

#[tokio::test]
async fn a_flood_of_frames_that_are_no_work_ends_its_connection() {
    let world = World::new().await;
    for (what, flood, count) in [
        ("PING", frame(6, 0, 0, &[0; 8]), 1_010),
        ("PING that acknowledges", frame(6, 1, 0, &[0; 8]), 1_010),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 7]), 1_010),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1]), 1_010),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[]), 105),
        ("an unknown kind", frame(0xfa, 0, 0, &[]), 1_010),
    ] {
        let mut connection = begin(&world).await;
        connection.send(&flood.repeat(count)).await;
        let end = timeout(LIMIT, next(&mut connection, GOAWAY))
            .await
            .expect(what);
        let end = end.expect(what);
        assert_eq!(end[4..8], ENHANCE_YOUR_CALM, "{what}");
    }
}

#[tokio::test]
async fn empty_frames_of_a_body_are_left_out_however_many_there_are() {
    let world = World::new().await;
    let builder = h2::client::Builder::new();
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    // More than `h2` takes on one connection.
    for _ in 0..3 {
        let request = Request::post("https://localhost/v1/echo")
            .header("authorization", format!("Bearer {}", world.key))
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        for _ in 0..60 {
            body.send_data(Bytes::new(), false).unwrap();
        }
        body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        let response = timeout(LIMIT, response).await.expect("a response");
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_client_that_works_is_no_flood() {
    let world = World::new().await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(8 * 1024);
    let stream = world.tls(&[]).http2_io(world.address()).await;
    let (mut sender, mut connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get("https://localhost/v1/large")
            .header("authorization", format!("Bearer {}", world.key))
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut received = 0;
        while let Some(bytes) = body.data().await {
            let bytes = bytes.unwrap();
            received += bytes.len();
            body.flow_control().release_capacity(bytes.len()).unwrap();
            timeout(LIMIT, pings.ping(Ping::opaque()))
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(received, 4 << 20);
    }
}

#[tokio::test]
async fn requests_that_are_reset_for_ever_end_their_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let world = World::with(|options| {
        options.routes[0].upstream = vec![format!("http://{address}")];
        options.threads = Some(1);
    })
    .await;
    let opened = Arc::new(AtomicUsize::new(0));
    let (sent, mut accepted) = mpsc::unbounded_channel();
    let counted = Arc::clone(&opened);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            sent.send(stream).unwrap();
        }
    });
    let builder = h2::client::Builder::new();
    let tls = world.tls(&[]);
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    // An upstream that closes them would answer the requests.
    let mut kept = Vec::new();
    loop {
        let request = Request::get("https://localhost/v1/a")
            .header("authorization", format!("Bearer {}", world.key))
            .body(())
            .unwrap();
        sender = match timeout(LIMIT, sender.ready()).await.unwrap() {
            Ok(sender) => sender,
            Err(error) => {
                assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
                break;
            }
        };
        let (mut response, mut stream) = sender.send_request(request, true).unwrap();
        // Reset once the upstream has it; or the connection ends.
        tokio::select! {
            opened_now = accepted.recv() => {
                kept.push(opened_now);
                stream.send_reset(h2::Reason::CANCEL);
            }
            _ = &mut response => {}
        }
    }
    let opened = opened.load(Ordering::Relaxed);
    assert!((90..150).contains(&opened), "{opened}");
}

#[tokio::test]
async fn a_request_that_is_reset_as_it_is_read_costs_no_connection_to_its_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let world = World::with(|options| {
        options.routes[0].upstream = vec![format!("http://{address}")];
        options.threads = Some(1);
    })
    .await;
    let mut connection = begin(&world).await;
    // `:method GET`, `:scheme https`, `:path /`, `:authority a`, `authorization: Bearer ...`
    let bearer = format!("Bearer {}", world.key);
    let mut block = vec![0x82, 0x87, 0x84, 0x01, 1, b'a', 0x0f, 8];
    block.push(u8::try_from(bearer.len()).unwrap());
    block.extend(bearer.as_bytes());
    let mut bytes = frame(HEADERS, 5, 1, &block);
    bytes.extend(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    bytes.extend(frame(HEADERS, 5, 3, &block));
    connection.send(&bytes).await;
    // The one that was not reset is the first that arrives.
    let (_second, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    connection.send(&frame(6, 0, 0, &[0; 8])).await;
    next(&mut connection, 6).await.unwrap();
    assert!(std::pin::pin!(listener.accept()).now_or_never().is_none());
}

/// Fields as text, none of which is to be remembered.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

#[tokio::test]
async fn a_malformed_request_is_reset_by_itself_and_has_its_line_in_the_log() {
    let mut world = World::new().await;
    let mut connection = begin(&world).await;
    let good = [0x82, 0x87, 0x84, 0x01, 1, b'a'];
    let no_fields = [
        ("connection", "close"),
        ("X-Upper", "a"),
        ("", "a"),
        ("x y", "a"),
        (":unknown", "a"),
        (":path", "/again"),
    ];
    for (field, stream) in no_fields.iter().zip((1..).step_by(4)) {
        let block = [&good[..], &fields(&[*field])].concat();
        connection.send(&frame(HEADERS, 5, stream, &block)).await;
        let reset = timeout(LIMIT, next(&mut connection, RST_STREAM)).await;
        let reset = reset.unwrap().expect(field.0);
        assert_eq!(reset, 1_u32.to_be_bytes(), "PROTOCOL_ERROR");
        // What follows is served.
        connection.send(&frame(HEADERS, 5, stream + 2, &good)).await;
        next(&mut connection, HEADERS).await.expect(field.0);
    }
    drop(connection);
    let log = world.log().await;
    let codes: Vec<_> = log
        .iter()
        .map(|line| line["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["bad_request", "invalid_api_key"].repeat(no_fields.len())
    );
}

#[tokio::test]
async fn a_value_that_no_request_has_is_answered() {
    let mut world = World::new().await;
    let mut connection = begin(&world).await;
    let get = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a"),
    ];
    let unfit = [
        [(":path", "/a b"), ("x-a", "b")],
        [(":path", "/\u{1}"), ("x-a", "b")],
        [(":path", "/"), ("x-a", "b\0c")],
        [(":path", "/"), ("x-a", "b\r\nc: d")],
    ];
    for (request, stream) in unfit.iter().zip((1..).step_by(2)) {
        let block = [fields(&get), fields(request)].concat();
        connection.send(&frame(HEADERS, 5, stream, &block)).await;
        let answer = timeout(LIMIT, next(&mut connection, 0)).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        assert_eq!(answer["error"]["code"], "bad_request", "{request:?}");
    }
    // In UTF-8 a path may have any letter, and must be in UTF-8.
    for (path, code) in [
        (&b"/\xff"[..], "bad_request"),
        ("/é".as_bytes(), "invalid_api_key"),
    ] {
        let mut block = fields(&get);
        block.extend([4, u8::try_from(path.len()).unwrap()]);
        block.extend(path);
        let stream = if code == "bad_request" { 101 } else { 103 };
        connection.send(&frame(HEADERS, 5, stream, &block)).await;
        let answer = timeout(LIMIT, next(&mut connection, 0)).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        assert_eq!(answer["error"]["code"], code);
    }
    drop(connection);
    let log = world.log().await;
    assert_eq!(log.len(), unfit.len() + 2);
    let request_ids = log.iter().all(|line| line["request_id"].is_string());
    assert!(request_ids && log[0]["path"] == "-" && log[2]["path"] == "/");
}
