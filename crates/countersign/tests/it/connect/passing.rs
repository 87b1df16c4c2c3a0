//! What goes through the forwarder goes through as it is.

use std::{process::Command, thread};

use super::scene::{Connect, Scene, output};

const HUNDRED_MEGABYTES: usize = 100 << 20;

/// The head of a request to the forwarder, without its end.
fn head(scene: &Scene, connect: &Connect, request: &str) -> String {
    let (address, prefix) = connect.address_and_prefix();
    let (method, path) = request.split_once(' ').unwrap();
    let key = scene.key();
    format!(
        "{method} {prefix}{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n"
    )
}

#[test]
fn events_come_as_they_are_sent_and_interim_answers_before_them() {
    let scene = Scene::start();
    let connect = scene.connect(&[]);
    let mut tool = connect.wire();
    tool.write(head(&scene, &connect, "GET /v1/events?after=1") + "\r\n");
    let mut upstream = scene.accept();
    let received = upstream.head();
    assert!(
        received.starts_with("GET /v1/events?after=1 HTTP/1.1\r\n"),
        "{received}"
    );
    assert!(
        received.contains("x-countersign-leaf-sha256: "),
        "{received}"
    );
    assert!(!received.contains(&connect.token()), "{received}");
    upstream.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    let interim = tool.head();
    assert!(
        interim.starts_with("HTTP/1.1 103 ") && interim.contains("link: </a>"),
        "{interim}"
    );
    upstream.write(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    assert!(tool.head().starts_with("HTTP/1.1 200 "));
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        upstream.write(format!("9\r\n{event}\r\n"));
        // The next is sent only once this one has come.
        tool.until(event);
    }
    upstream.write("0\r\nx-sum: 2\r\n\r\n");
    assert!(tool.until("\r\n\r\n").contains("x-sum: 2"), "a trailer");
}

#[test]
fn a_large_upload_arrives_whole_with_its_trailers() {
    let scene = Scene::start();
    let connect = scene.connect(&[]);
    let mut tool = connect.wire();
    let request = head(&scene, &connect, "POST /v1/files");
    tool.write(format!(
        "{request}content-length: {HUNDRED_MEGABYTES}\r\n\r\n"
    ));
    let sending = thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        (0..100).for_each(|_| tool.write(&piece));
        tool
    });
    let mut upstream = scene.accept();
    assert!(
        upstream
            .head()
            .contains(&format!("content-length: {HUNDRED_MEGABYTES}\r\n"))
    );
    upstream.skip(HUNDRED_MEGABYTES);
    upstream.write("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
    let mut tool = sending.join().unwrap();
    assert!(tool.head().starts_with("HTTP/1.1 201 "));
    // The same connection once more, with trailers.
    let request = head(&scene, &connect, "POST /v1/files");
    tool.write(format!("{request}transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n"));
    let received = upstream.until("x-sum: 3\r\n");
    assert!(received.contains("abc"), "{received}");
}

#[test]
fn a_websocket_is_two_streams_of_bytes() {
    let scene = Scene::start();
    // The server is spoken to over HTTP/1.1 here even where it is not for other requests.
    let connect = scene.connect(&["--http2"]);
    let mut tool = connect.wire();
    let request = head(&scene, &connect, "GET /v1/realtime");
    tool.write(format!(
        "{request}connection: Upgrade\r\nupgrade: websocket\r\n\r\n"
    ));
    let mut upstream = scene.accept();
    assert!(upstream.head().contains("upgrade: websocket\r\n"));
    upstream.write(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    assert!(tool.head().starts_with("HTTP/1.1 101 "));
    for text in ["\u{1}ping", "\u{2}pong"] {
        tool.write(text);
        upstream.until(text);
        upstream.write(text);
        tool.until(text);
    }
}

#[test]
fn http2_is_spoken_on_both_sides_where_it_is_asked_for() {
    let scene = Scene::echoing();
    let connect = scene.connect(&["--http2"]);
    let url = format!("{}/models", connect.env["COUNTERSIGN_CONNECT_URL"]);
    let said = output(
        Command::new("curl")
            .args([
                "-sS",
                "--noproxy",
                "*",
                "--http2-prior-knowledge",
                "-w",
                "%{http_version}",
                &url,
            ])
            .args(["-H", &format!("authorization: Bearer {}", scene.key())]),
    );
    assert!(
        said.contains("\"object\": \"echo\"") && said.ends_with('2'),
        "{said}"
    );
}

#[test]
fn a_unix_socket_is_enough_of_a_secret() {
    let scene = Scene::echoing();
    let socket = scene.path("api.sock");
    let listen = format!("unix:{}", socket.display());
    let connect = scene.connect(&["--listen", &listen]);
    assert_eq!(connect.env["OPENAI_BASE_URL"], "http://localhost/v1");
    assert_eq!(
        connect.env["COUNTERSIGN_CONNECT_SOCKET"],
        socket.to_str().unwrap()
    );
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let said = output(
            Command::new("curl")
                .args(["-sS", version, "--unix-socket"])
                .arg(&socket)
                .arg(format!("{}/models", connect.env["OPENAI_BASE_URL"]))
                .args(["-H", &format!("authorization: Bearer {}", scene.key())]),
        );
        assert!(said.contains("\"object\": \"echo\""), "{version}: {said}");
    }
    connect.end();
    assert!(!socket.exists());
    assert!(
        !scene.path("connect.env").exists(),
        "it would name a dead socket"
    );
}
