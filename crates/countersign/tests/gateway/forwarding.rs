//! Forwarding: what passes, what is added and what is removed.

use bytes::Bytes;
use countersign_gateway::options::{Authorization, IdentitySource};
use countersign_testca::{General, root};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::{raw_upstream::RawUpstream, world::World};

const SPOOF: &str = "x-countersign-project: proj_evil\r\nX-Countersign-Key: key_evil\r\n\
    x_countersign_organization: org-evil\r\nClient-Cert: :AAAA:\r\nclient_cert_chain: :AAAA:\r\n\
    x-forwarded-client-cert: Hash=0\r\nconnection: x-countersign-leaf-sha256\r\n";

#[tokio::test]
async fn the_upstream_learns_who_calls_from_the_gateway_alone() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    let answer = connection.get("/v1/echo?a=1", &world.key, SPOOF).await;
    let echo = answer.json();
    let headers = &echo["headers"];
    assert_eq!(echo["path"], "/v1/echo?a=1");
    assert_eq!(
        headers["x-countersign-organization"][0],
        world.organization.as_str()
    );
    assert_eq!(headers["x-countersign-project"][0], world.project.as_str());
    assert_eq!(headers["x-countersign-certificate"][0], id.as_str());
    assert_eq!(
        headers["x-countersign-leaf-sha256"][0]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    assert_eq!(
        headers["x-request-id"][0],
        answer.header("x-request-id").unwrap()
    );
    let text = headers.to_string();
    assert!(
        !text.contains("evil") && !text.contains("AAAA") && !text.contains("Hash=0"),
        "{text}"
    );
    assert_eq!(
        headers["x-countersign-project"].as_array().unwrap().len(),
        1
    );
    assert!(answer.header("keep-alive").is_none(), "a header of one hop");
}

#[tokio::test]
async fn trailers_cannot_claim_an_identity_either() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection
        .write(&format!(
            "POST /v1/echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             transfer-encoding: chunked\r\ntrailer: x-sum, x-countersign-project, x-request-id, host\r\n\r\n\
             5\r\nhello\r\n0\r\nx-sum: 1\r\nx-countersign-project: proj_evil\r\n\
             x-request-id: evil\r\nhost: evil\r\n\r\n",
            world.key
        ))
        .await;
    let echo = connection.answer().await.unwrap().json();
    assert_eq!(echo["body"], "hello");
    assert!(!echo.to_string().contains("evil"), "{echo}");
}

#[tokio::test]
async fn a_get_keeps_its_body() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    for framing in [
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "content-length: 5\r\n\r\nhello",
    ] {
        let key = &world.key;
        connection
            .write(&format!(
                "GET /v1/echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{framing}"
            ))
            .await;
        assert_eq!(connection.answer().await.unwrap().json()["body"], "hello");
    }
}

#[tokio::test]
async fn cookie_lines_of_http2_reach_an_http1_upstream_as_one() {
    let world = World::new().await;
    let request = Request::get("https://localhost/v1/echo")
        .header("authorization", format!("Bearer {}", world.key))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::default())
        .unwrap();
    let response = world
        .tls(&[])
        .http2(world.address(), request)
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let echo: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(echo["headers"]["cookie"], serde_json::json!(["a=1; b=2"]));
}

#[tokio::test]
async fn http2_requests_lose_reserved_headers_too() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let request = Request::post("https://localhost/v1/echo")
        .header("authorization", format!("Bearer {}", world.key))
        .header("x-countersign-project", "proj_evil")
        .body(Full::new(Bytes::from_static(b"hello")))
        .unwrap();
    let response = world
        .tls(&[&leaf])
        .http2(world.address(), request)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let echo: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(echo["body"], "hello");
    assert_eq!(echo["headers"]["x-countersign-certificate"][0], id.as_str());
    assert!(!echo.to_string().contains("evil"));
}

#[tokio::test]
async fn a_route_can_drop_or_replace_the_bearer_key() {
    let world = World::with(|options| options.routes[0].authorization = Authorization::Drop).await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let echo = connection.get("/v1/echo", &world.key, "").await.json();
    assert!(echo["headers"].get("authorization").is_none());

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "sk-upstream\n").unwrap();
    let world = World::with(|options| {
        options.routes[0].authorization = Authorization::ReplaceFromFile(file);
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let echo = connection.get("/v1/echo", &world.key, "").await.json();
    assert_eq!(echo["headers"]["authorization"][0], "Bearer sk-upstream");
}

#[tokio::test]
async fn a_fixed_project_needs_no_key() {
    let mut world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    world.stop().await;
    world.options.identity = IdentitySource::FixedProject(world.project.clone());
    world.start().await;
    assert_eq!(world.code(&[&leaf], "sk-of-the-upstream").await, "");
    assert_eq!(
        world.code(&[], "sk-of-the-upstream").await,
        "certificate_required"
    );
}

#[tokio::test]
async fn large_bodies_stream_and_connections_are_reused() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    for _ in 0..3 {
        assert_eq!(
            connection.get("/v1/large", &world.key, "").await.body.len(),
            4 << 20
        );
        assert_eq!(connection.get("/v1/echo", &world.key, "").await.status, 200);
    }
}

#[tokio::test]
async fn an_upgrade_is_carried_both_ways() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection
        .write(&format!(
            "GET /v1/socket HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             connection: Upgrade\r\nupgrade: websocket\r\n\r\n",
            world.key
        ))
        .await;
    let head = connection.head().await.unwrap();
    assert_eq!(
        (head.status, head.header("upgrade")),
        (101, Some("websocket"))
    );
    connection.write("ping").await;
    assert_eq!(connection.bytes(4).await, b"ping");
}

#[tokio::test]
async fn a_response_that_asks_for_an_upgrade_says_to_what() {
    let (upstream, route) = RawUpstream::start().await;
    let world = World::with(route).await;
    let answer = async || {
        let mut raw = upstream.accept().await;
        raw.head().await;
        let asks = "HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        let asks = format!("{asks}content-length: 0\r\nconnection: close\r\n\r\n");
        raw.write(asks.as_bytes()).await;
        raw
    };
    let tls = world.tls(&[]);
    let mut connection = tls.connect(world.address()).await;
    let (asked, _kept) = tokio::join!(connection.get("/v1/a", &world.key, ""), answer());
    assert_eq!(
        (
            asked.status,
            asked.header("upgrade"),
            asked.header("connection")
        ),
        (426, Some("websocket"), Some("upgrade"))
    );
    let request = Request::get("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::default())
        .unwrap();
    let (response, _kept) = tokio::join!(tls.http2(world.address(), request), answer());
    let response = response.unwrap();
    assert_eq!(response.status(), 426);
    assert!(!response.headers().contains_key("upgrade"));
}

#[tokio::test]
async fn shapes_that_two_servers_read_differently_are_refused() {
    let world = World::new().await;
    let heads = [
        "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n",
        "POST /v1/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n",
        "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n",
        "POST /v1/echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n",
        "GET /v1/echo HTTP/1.1\r\nhost: a\r\nhost: b\r\n",
        "GET /v1/echo HTTP/1.1\r\n",
        "GET /v1/echo HTTP/1.1\r\nhost: a\r\nx: a\r\n folded\r\n",
        "GET /v1/echo HTTP/1.1\r\nhost : a\r\n",
    ];
    for head in heads {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        connection
            .write(&format!(
                "{head}authorization: Bearer {}\r\n\r\n",
                world.key
            ))
            .await;
        let answer = connection.head().await.expect(head);
        assert_eq!(answer.status, 400, "{head}");
    }
}

#[tokio::test]
async fn both_lengths_at_once_are_refused_and_end_the_connection() {
    let world = World::new().await;
    let line = format!(
        "POST /v1/echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}",
        world.key
    );
    let first = format!("{line}\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    for before in ["", &*first] {
        for lengths in [
            "content-length: 5\r\ntransfer-encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ] {
            let mut connection = world.tls(&[]).connect(world.address()).await;
            let after = "0\r\n\r\nGET /v1/evil HTTP/1.1\r\nhost: a\r\n\r\n";
            let sent = format!("{before}{line}\r\n{lengths}\r\n\r\n{after}");
            connection.write(&sent).await;
            if !before.is_empty() {
                assert_eq!(connection.answer().await.unwrap().json()["body"], "hi");
            }
            let answer = connection.answer().await.unwrap();
            assert_eq!(
                (answer.status, &*answer.code()),
                (400, "bad_request"),
                "{sent}"
            );
            assert!(connection.rest().await.is_empty(), "{sent}");
        }
    }
}

#[tokio::test]
async fn a_head_may_have_so_many_bytes_and_no_more() {
    let world = World::with(|options| options.limits.header_bytes = 4096).await;
    let head = |lines: &str| {
        let key = &world.key;
        format!("GET /v1/echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{lines}\r\n")
    };
    let room = 4096 - head("x: \r\n").len();
    for (bytes, status) in [(room, 200), (room + 1, 431), (20_000, 431)] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let lines = format!("x: {}\r\n", "a".repeat(bytes));
        connection.write(&head(&lines)).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, status, "{bytes}");
        assert_eq!(answer.code() == "headers_too_large", status == 431);
    }
    for (path, field, status) in [
        (0, 3_000, 200),
        (0, 4_100, 431),
        (0, 6_000, 431),
        (3_000, 0, 200),
        (4_100, 0, 431),
        (6_000, 0, 431),
        (2_000, 2_000, 431),
    ] {
        let path_and_query = format!("/v1/echo?{}", "a".repeat(path));
        let request = Request::get(format!("https://localhost{path_and_query}"))
            .header("authorization", format!("Bearer {}", world.key))
            .header("x", "a".repeat(field))
            .body(Full::default())
            .unwrap();
        let tls = world.tls(&[]);
        let response = tls.http2(world.address(), request).await.unwrap();
        assert_eq!(response.status(), status, "{path} {field}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert_eq!(body.contains("headers_too_large"), status == 431, "{body}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_in_the_error_envelope() {
    let mut world = World::with(|options| {
        options.routes[0].upstream = vec!["http://127.0.0.1:1".to_owned()];
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_unavailable")
    );
    assert!(answer.header("x-request-id").is_some());
    let log = world.log().await;
    assert_eq!(log[0]["status"], 502);
    assert_eq!(log[0]["code"], "upstream_unavailable");
}

#[tokio::test]
async fn an_upstream_that_is_slow_is_a_504() {
    let world = World::with(|options| {
        options.limits.response_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let answer = connection.get("/v1/never", &world.key, "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
}

#[tokio::test]
async fn management_requests_are_judged_like_any_other_and_go_to_the_control_plane() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let answer = connection
        .get("/v1/organization/certificates", &world.admin_key, "")
        .await;
    assert_eq!(answer.json()["object"], "list");
    let id = world.upload(&world.ca, None).await;
    world
        .activate(&countersign_types::certificate::Scope::Organization, &id)
        .await;
    let answer = connection
        .get("/v1/organization/certificates", &world.admin_key, "")
        .await;
    assert_eq!(answer.code(), "certificate_required");
    let leaf = world.ca.leaf("operator").mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    let answer = connection
        .get("/v1/organization/certificates", &world.admin_key, "")
        .await;
    assert_eq!(answer.json()["data"][0]["active"], true);
}

#[tokio::test]
async fn only_the_verified_path_goes_upstream_as_the_clients_chain() {
    let world = World::with(|options| options.client_cert_header = true).await;
    world.with_active_ca().await;
    let between = world.ca.intermediate("Between").mint();
    let leaf = between.leaf("billing").mint();
    // What nobody asked for may be large, and is no reason to refuse what is right.
    let untrusted = (0..140).fold(root("Untrusted"), |ca, number| {
        ca.san(General::dns(&format!("{number:060}.example.com")))
    });
    let untrusted = untrusted.mint();
    assert!(untrusted.der().len() > 10_000);
    let chain = [&leaf, &untrusted, &between];
    let mut connection = world.tls(&chain).connect(world.address()).await;
    let echo = connection.get("/v1/echo", &world.key, "").await.json();
    let item = |der: &[u8]| format!(":{}:", data_encoding::BASE64.encode(der));
    let headers = &echo["headers"];
    assert_eq!(headers["client-cert"][0], item(leaf.der()));
    assert_eq!(headers["client-cert-chain"][0], item(between.der()));
}
