//! Which path, host and framing a request means, and what is refused because it means two.

use bytes::Bytes;
use countersign_gateway::options::EscapedSlashesAction;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::World;

#[tokio::test]
async fn route_and_upstream_see_one_path() {
    let world = World::with(|options| options.routes[0].path = "/v1/public".to_owned()).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    for (path, seen) in [
        ("/v1/public/a?b=/../", "/v1/public/a?b=/../"),
        ("/v1//public//a", "/v1/public/a"),
        ("/%76%31/public/%7ea", "/v1/public/~a"),
        ("/v1/public;x=1/a", "/v1/public;x=1/a"),
    ] {
        let answer = connection.get(path, &world.key, "").await;
        assert_eq!(answer.json()["path"], seen, "{path}");
    }
    for path in [
        "/v1/public/../internal",
        "/v1/public/%2e%2e/internal",
        "/v1/public/..%2finternal",
        "/v1/public/..;/internal",
        "/v1/public/..\\internal",
        "/v1/public/%5cinternal",
        "/v1/public/.",
    ] {
        let answer = connection.get(path, &world.key, "").await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_request"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_spelling_misses_the_management_path() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    for path in [
        "/v1//organization/certificates",
        "/v1/%6frganization/certificates",
        "//v1/organization/certificates",
    ] {
        let answer = connection.get(path, &world.admin_key, "").await;
        assert_eq!(answer.json()["object"], "list", "{path}");
    }
    // The control plane knows no parameters; what counts is that no upstream gets these.
    let path = "/v1/organization;x=1/certificates";
    let answer = connection.get(path, &world.key, "").await;
    assert_eq!((answer.status, answer.header("x-peer")), (404, None));
}

#[tokio::test]
async fn the_settings_of_paths_are_kept() {
    let world = World::with(|options| {
        options.paths.normalize_path = true;
        options.paths.merge_slashes = false;
        options.paths.path_with_escaped_slashes_action = EscapedSlashesAction::KeepUnchanged;
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    for (path, seen) in [
        ("/v1/a/../echo", "/v1/echo"),
        ("/v1/meta%2fllama", "/v1/meta%2fllama"),
    ] {
        let answer = connection.get(path, &world.key, "").await;
        assert_eq!(answer.json()["path"], seen, "{path}");
    }
    assert_eq!(
        connection.get("/v1//echo", &world.key, "").await.status,
        400
    );
}

#[tokio::test]
async fn a_host_is_one_and_is_a_host() {
    let world = World::new().await;
    for host in ["a b", "l/x", "[::1", "u@x", "a:99999", ""] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let key = &world.key;
        let head =
            format!("GET /v1/echo HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n");
        connection.write(&head).await;
        let answer = connection.answer().await.expect(host);
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_request"),
            "{host}"
        );
    }
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let key = &world.key;
    let head = format!("GET http://a/v1/echo HTTP/1.1\r\nauthorization: Bearer {key}\r\n\r\n");
    connection.write(&head).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.code()), (400, "bad_request"));
    let request = Request::get("https://localhost/v1/echo")
        .header("authorization", format!("Bearer {}", world.key))
        .header("host", "other")
        .body(Full::<Bytes>::default())
        .unwrap();
    let tls = world.tls(&[]);
    let response = tls.http2(world.address(), request).await.unwrap();
    assert_eq!(response.status(), 400, "`host` and `:authority` differ");
}

#[tokio::test]
async fn framings_and_methods_that_are_not_carried_are_refused() {
    let world = World::new().await;
    for (line, framing, status) in [
        (
            "POST /v1/echo",
            "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST /v1/echo",
            "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("TRACE /v1/echo", "\r\n", 405),
    ] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let key = &world.key;
        let head =
            format!("{line} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{framing}");
        connection.write(&head).await;
        let answer = connection.answer().await.expect(framing);
        assert_eq!(answer.status, status, "{line} {framing}");
        let closed = answer.header("connection") == Some("close");
        assert_eq!(closed, status == 400, "{line} {framing}");
    }
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let doubled = "content-length: 0\r\ncontent-length: 0\r\n";
    let answer = connection.get("/v1/echo", &world.key, doubled).await;
    assert_eq!(
        answer.json()["headers"]["content-length"],
        serde_json::json!(["0"])
    );
    let folding = "Transfer_Encoding: chunked\r\nContent.Length: 5\r\ncontent_type: a\r\n";
    let answer = connection.get("/v1/echo", &world.key, folding).await;
    let seen = &answer.json()["headers"];
    assert_eq!(seen["content_type"], serde_json::json!(["a"]));
    for name in ["transfer_encoding", "content.length"] {
        assert!(seen[name].is_null(), "{name} reached the upstream");
    }
    let twice = |second: &str| {
        Request::post("https://localhost/v1/echo")
            .header("authorization", format!("Bearer {}", world.key))
            .header("content-length", "2")
            .header("content-length", second)
            .body(Full::new(Bytes::from_static(b"hi")))
            .unwrap()
    };
    let response = world.tls(&[]).http2(world.address(), twice("2")).await;
    let body = response.unwrap().into_body().collect().await.unwrap();
    let echo: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    assert_eq!(echo["headers"]["content-length"], serde_json::json!(["2"]));
    // A malformed request of HTTP/2 may be reset, or answered (RFC 9113 section 8.1.1).
    let differing = world.tls(&[]).http2(world.address(), twice("3")).await;
    assert!(differing.is_err() || differing.is_ok_and(|response| response.status() == 400));
}

#[tokio::test]
async fn the_control_plane_asks_for_one_host_too() {
    let world = World::new().await;
    let plane = world.options.control_plane.trim_start_matches("http://");
    let plane = plane.trim_end_matches("/v1");
    for (before, host) in [
        ("", ""),
        ("http://a", ""),
        ("", "host: a\r\nhost: b\r\n"),
        ("", "host: a b\r\n"),
    ] {
        let mut stream = TcpStream::connect(plane).await.unwrap();
        let key = &world.admin_key;
        let head = format!(
            "GET {before}/v1/organization/certificates HTTP/1.1\r\n{host}connection: close\r\n\
             authorization: Bearer {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{host}: {answer}");
        assert!(answer.contains("bad_request"), "{host}: {answer}");
    }
}
