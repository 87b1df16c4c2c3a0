//! Attacks: ways around the judge, and ways to use up what others need.

use std::time::Duration;

use bytes::Bytes;
use countersign_gateway::options::IdentitySource;
use countersign_testca::{General, root};
use countersign_types::certificate::Scope;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use crate::world::{LIMIT, World};

#[tokio::test]
async fn another_http_is_not_carried_as_an_upgrade() {
    let world = World::new().await;
    for protocol in ["h2c", "websocket, h2c", "HTTP/2.0"] {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        connection
            .write(&format!(
                "GET /v1/socket HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
                 connection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n\
                 upgrade: {protocol}\r\n\r\n",
                world.key
            ))
            .await;
        let answer = connection.head().await.unwrap();
        assert_eq!(answer.status, 426, "the upstream must not see {protocol}");
    }
}

#[tokio::test]
async fn management_requests_are_judged_by_their_key_even_with_a_fixed_project() {
    let mut world = World::new().await;
    let (_, project_leaf) = world.with_active_ca().await;
    let operators = root("Operators CA").mint();
    let id = world.upload(&operators, None).await;
    world.activate(&Scope::Organization, &id).await;
    world.stop().await;
    world.options.identity = IdentitySource::FixedProject(world.project.clone());
    world.start().await;
    let path = "/v1/organization/certificates";
    let mut connection = world.tls(&[&project_leaf]).connect(world.address()).await;
    let answer = connection.get(path, &world.admin_key, "").await;
    assert_eq!(answer.code(), "certificate_verification_failed");
    let leaf = operators.leaf("operator").mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    let answer = connection.get(path, &world.admin_key, "").await;
    assert_eq!(answer.json()["object"], "list");
    let answer = connection.get(path, "sk-of-the-upstream", "").await;
    assert_eq!(answer.code(), "invalid_api_key");
}

#[tokio::test]
async fn odd_request_targets_are_refused() {
    let world = World::new().await;
    let targets = [
        ("OPTIONS *", 404),
        ("GET *", 400),
        ("trace /v1/echo", 405),
        ("connect localhost:443", 405),
        ("GET http://user@localhost/v1/echo", 400),
        ("CONNECT localhost:443", 405),
    ];
    for (target, status) in targets {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        connection
            .write(&format!(
                "{target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
                world.key
            ))
            .await;
        let answer = connection.head().await.expect(target);
        assert_eq!(answer.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_silent_http2_connection_is_closed() {
    let world = World::with(|options| {
        options.limits.header_timeout = Duration::from_millis(100);
    })
    .await;
    let mut connection = world.tls(&[]).silent_http2(world.address()).await;
    timeout(LIMIT, connection.rest())
        .await
        .expect("the connection to be closed");
}

#[tokio::test]
async fn an_http2_stream_under_way_does_not_count_as_idle() {
    let world = World::with(|options| {
        options.limits.header_timeout = Duration::from_millis(100);
        options.limits.drain_timeout = Duration::ZERO;
    })
    .await;
    let request = Request::get("https://localhost/v1/events")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::<Bytes>::default())
        .unwrap();
    let mut response = world
        .tls(&[])
        .http2(world.address(), request)
        .await
        .unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    let next = timeout(Duration::from_millis(1500), response.body_mut().frame()).await;
    assert!(next.is_err(), "the stream must go on");
}

#[tokio::test]
async fn an_upload_that_outlives_its_response_is_cut_too() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let world = World::with(|options| {
        options.routes[0].upstream = vec![format!("http://{address}")];
    })
    .await;
    let (id, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    connection
        .write(&format!(
            "POST /v1/early HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             content-length: 1000\r\n\r\n",
            world.key
        ))
        .await;
    let (mut upstream, _) = upstream.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(upstream.read_u8().await.unwrap());
    }
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(connection.answer().await.unwrap().status, 200);
    connection.write("more").await;
    let mut more = [0; 4];
    timeout(LIMIT, upstream.read_exact(&mut more))
        .await
        .expect("the upload to go on after the answer")
        .unwrap();

    world.deactivate(&world.scope(), &id).await;
    let other = world.upload(&root("Other").mint(), None).await;
    world.activate(&world.scope(), &other).await;
    let end = timeout(LIMIT, upstream.read_u8())
        .await
        .expect("the upload to be cut");
    assert!(end.is_err(), "nothing more may come");
}

#[tokio::test]
async fn a_connection_is_reused_after_a_chunked_response() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let mut ports = Vec::new();
    for path in ["/v1/trailers", "/v1/chunks", "/v1/echo"] {
        let answer = connection.get(path, &world.key, "").await;
        ports.push(answer.header("x-peer").unwrap().to_owned());
    }
    assert_eq!(ports, vec![ports[0].clone(); 3], "one upstream connection");
}

#[tokio::test]
async fn a_session_with_an_oversized_chain_is_not_kept_for_resumption() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let padding: Vec<_> = (0..12).map(|_| world.ca.leaf("padding").mint()).collect();
    let chain: Vec<_> = std::iter::once(&leaf).chain(&padding).collect();
    for (chain, kept) in [(&chain[..1], true), (&chain[..], false)] {
        let client = world.tls(chain);
        for resumed in [false, kept] {
            let mut connection = client.connect(world.address()).await;
            assert_eq!(connection.resumed(), resumed);
            let answer = connection.get("/v1/echo", &world.key, "").await;
            assert_eq!(answer.status, 200);
        }
    }
}

#[tokio::test]
async fn a_chain_beyond_the_limits_ends_the_handshake() {
    let world = World::with(|options| options.limits.chain_certificates = 3).await;
    let (_, leaf) = world.with_active_ca().await;
    let padding = world.ca.leaf("padding").mint();
    let wide = {
        let name = |number| General::dns(&format!("{number:060}.example.com"));
        let names = (0..300).map(name);
        names
            .fold(world.ca.leaf("wide"), |leaf, name| leaf.san(name))
            .mint()
    };
    for (chain, answered) in [
        (&[&leaf, &padding, &padding][..], true),
        (&[&leaf, &padding, &padding, &padding], false),
        (&[&wide], false),
    ] {
        let answers = world.tls(chain).answers(world.address(), &world.key).await;
        assert_eq!(answers, answered, "{} certificates", chain.len());
    }
}

#[tokio::test]
async fn near_the_limit_the_oldest_connection_that_nothing_passed_on_makes_room() {
    let world = World::with(|options| {
        options.threads = Some(1);
        options.limits.connections = 3;
    })
    .await;
    let client = world.tls(&[]);
    let mut passing = client.connect(world.address()).await;
    assert_eq!(passing.get("/v1/echo", &world.key, "").await.code(), "");
    let mut oldest = client.connect(world.address()).await;
    let mut refused = client.connect(world.address()).await;
    let code = refused.get("/v1/echo", "sk-unknown", "").await.code();
    assert_eq!(code, "invalid_api_key");
    let mut newest = timeout(LIMIT, client.connect(world.address()))
        .await
        .expect("a place");
    assert_eq!(newest.get("/v1/echo", &world.key, "").await.code(), "");
    timeout(LIMIT, oldest.rest()).await.expect("its end");
    let mut another = timeout(LIMIT, client.connect(world.address()))
        .await
        .expect("a place");
    assert_eq!(another.get("/v1/echo", &world.key, "").await.code(), "");
    for mut kept in [passing, newest, another] {
        assert_eq!(kept.get("/v1/echo", &world.key, "").await.code(), "");
    }
}

#[tokio::test]
async fn an_organization_that_used_up_its_verification_is_asked_to_try_again() {
    let world = World::with(|options| {
        options.limits.organization_verification = Duration::ZERO;
    })
    .await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.code(), "authentication_temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_organization_has_so_many_requests_and_connections_at_once() {
    let world = World::with(|options| {
        options.threads = Some(1);
        options.limits.organization_streams = 1;
        options.limits.organization_connections = Some(2);
    })
    .await;
    let client = world.tls(&[]);
    let mut streaming = client.connect(world.address()).await;
    let events = format!(
        "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
        world.key
    );
    streaming.write(&events).await;
    assert_eq!(streaming.head().await.unwrap().status, 200);
    let mut second = client.connect(world.address()).await;
    let code = second.get("/v1/echo", &world.key, "").await.code();
    assert_eq!(code, "overloaded", "one request is under way");
    let mut third = client.connect(world.address()).await;
    drop(streaming);
    // The end of the first connection is noticed in its own time.
    let served = async {
        while second.get("/v1/echo", &world.key, "").await.code() != "" {}
        while third.get("/v1/echo", &world.key, "").await.code() != "" {}
    };
    timeout(LIMIT, served).await.expect("their turn");
    let code = world.code(&[], &world.key).await;
    assert_eq!(code, "overloaded", "two connections are open");
}
