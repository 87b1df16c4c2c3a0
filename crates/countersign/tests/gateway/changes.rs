//! Changes of trust reach the requests that are under way.

use std::{os::unix::fs::PermissionsExt, sync::atomic::Ordering};

use bytes::Bytes;
use countersign_testca::root;
use countersign_types::api_key::AdminApiKeyCreateRequest;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    client::Connection,
    world::{LIMIT, NOW, World},
};

pub(crate) async fn open_events(world: &World, connection: &mut Connection) {
    connection
        .write(&format!(
            "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
            world.key
        ))
        .await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    assert_eq!(connection.chunk().await.unwrap(), b"data: first\n\n");
}

pub(crate) async fn open_socket(world: &World, connection: &mut Connection) {
    connection
        .write(&format!(
            "GET /v1/socket HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             connection: upgrade\r\nupgrade: websocket\r\n\r\n",
            world.key
        ))
        .await;
    assert_eq!(connection.head().await.unwrap().status, 101);
}

async fn replace_anchor(world: &World, old: &countersign_types::id::CertificateId) {
    let other = world.upload(&root("Other").mint(), None).await;
    world.activate(&world.scope(), &other).await;
    world.deactivate(&world.scope(), old).await;
}

#[tokio::test]
async fn an_idle_connection_is_refused_at_its_next_request() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    assert_eq!(connection.get("/v1/echo", &world.key, "").await.code(), "");
    replace_anchor(&world, &id).await;
    let code = connection.get("/v1/echo", &world.key, "").await.code();
    assert_eq!(code, "certificate_verification_failed");
}

#[tokio::test]
async fn a_live_stream_is_cut_when_its_anchor_goes() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    open_events(&world, &mut connection).await;
    replace_anchor(&world, &id).await;
    let rest = timeout(LIMIT, connection.rest())
        .await
        .expect("the stream to be cut");
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "a cut stream must not look complete: {rest:?}"
    );
}

#[tokio::test]
async fn a_live_stream_that_may_still_pass_is_left_alone() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    open_events(&world, &mut connection).await;
    let other = world.upload(&root("Other").mint(), None).await;
    world.activate(&world.scope(), &other).await;
    let cut = timeout(std::time::Duration::from_millis(300), connection.rest()).await;
    assert!(cut.is_err(), "the stream must go on");
}

#[tokio::test]
async fn a_socket_is_cut_when_its_key_is_deleted() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    open_socket(&world, &mut connection).await;
    let keys = world.api.api_keys(&world.project);
    let listed = keys
        .list(&countersign_client::ListParams::default())
        .await
        .unwrap();
    keys.delete(&listed.data[0].id).await.unwrap();
    timeout(LIMIT, connection.rest())
        .await
        .expect("the socket to be cut");
}

#[tokio::test]
async fn an_http2_stream_is_cut() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let request = Request::get("https://localhost/v1/events")
        .header("authorization", format!("Bearer {}", world.key))
        .body(Full::<Bytes>::default())
        .unwrap();
    let mut response = world
        .tls(&[&leaf])
        .http2(world.address(), request)
        .await
        .unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: first\n\n");
    replace_anchor(&world, &id).await;
    let next = timeout(LIMIT, response.body_mut().frame())
        .await
        .expect("the stream to be cut");
    assert!(
        next.is_some_and(|frame| frame.is_err()),
        "a reset, not an end"
    );
}

#[tokio::test]
async fn a_request_that_waits_for_the_upstream_is_refused() {
    let world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    connection
        .write(&format!(
            "GET /v1/never HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
            world.key
        ))
        .await;
    replace_anchor(&world, &id).await;
    let answer = timeout(LIMIT, connection.answer())
        .await
        .expect("an answer")
        .unwrap();
    assert_eq!(answer.code(), "certificate_verification_failed");
}

#[tokio::test]
async fn an_expiring_leaf_ends_its_stream() {
    let world = World::new().await;
    world.with_active_ca().await;
    let leaf = world
        .ca
        .leaf("short")
        .valid(0, i64::try_from(NOW + 100).unwrap())
        .mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    open_events(&world, &mut connection).await;
    world.clock.store(NOW + 101, Ordering::Relaxed);
    timeout(LIMIT, connection.rest())
        .await
        .expect("the stream to be cut");
}

#[tokio::test]
async fn a_key_is_refused_from_the_second_at_which_it_expires() {
    let world = World::new().await;
    let request = AdminApiKeyCreateRequest {
        name: "short".to_owned(),
        expires_in_seconds: Some(3600),
        scopes: None,
    };
    let made = world.api.admin_api_keys().create(&request).await.unwrap();
    world.enforced(made.revision.unwrap()).await;
    let made = made.value.into_inner();
    let (key, end) = (made.value.unwrap(), made.expires_at.unwrap());
    let ask = async || {
        let mut connection = world.tls(&[]).connect(world.address()).await;
        let path = "/v1/organization/certificates";
        connection.get(path, key.reveal(), "").await.code()
    };
    // By the control plane's own clock it lives on: what refuses it is the gateway.
    let until = async |now, wanted: &str| {
        world.clock.store(now, Ordering::Relaxed);
        // While the clock is set back, the age of the bundle is unknown until the next contact.
        let asked = async { while ask().await != wanted {} };
        timeout(LIMIT, asked).await.expect("the answer");
    };
    until(end - 1, "").await;
    until(end, "invalid_api_key").await;
}

#[tokio::test]
async fn an_archived_project_is_closed() {
    let world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let done = world.api.projects().archive(&world.project).await.unwrap();
    world.enforced(done.revision.unwrap()).await;
    assert_eq!(world.code(&[&leaf], &world.key).await, "invalid_api_key");
}

#[tokio::test]
async fn a_gateway_starts_from_disk_and_fails_closed_past_its_age() {
    let mut world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    world.stop().await;
    // Nothing listens here.
    world.options.control_plane = "http://127.0.0.1:1/v1".to_owned();
    world.options.limits.max_bundle_age = std::time::Duration::from_secs(60);
    world.gateway = Some(world.gateway_with(world.options.clone(), 8));
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    world.clock.store(NOW + 61, Ordering::Relaxed);
    let code = world.code(&[&leaf], &world.key).await;
    assert_eq!(code, "authentication_temporarily_unavailable");

    // What counts is when the control plane last answered, not when it last sent a change.
    world.stop().await;
    let state = rusqlite::Connection::open(world.options.data_dir.join("state.db")).unwrap();
    let contact = i64::try_from(NOW + 30).unwrap();
    let set = state.execute("UPDATE state SET contact = ?1", [contact]);
    assert_eq!(set, Ok(1));
    drop(state);
    world.gateway = Some(world.gateway_with(world.options.clone(), 9));
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
}

#[tokio::test]
async fn a_gateway_without_any_bundle_lets_nothing_pass() {
    let mut world = World::new().await;
    world.stop().await;
    std::fs::remove_dir_all(&world.options.data_dir).unwrap();
    world.options.control_plane = "http://127.0.0.1:1/v1".to_owned();
    let gateway = countersign_gateway::Gateway::start(
        world.options.clone(),
        countersign_gateway::Sockets::default(),
        std::sync::Arc::new(|| NOW),
        [8; 2],
        std::sync::Arc::new(String::new),
        None,
    )
    .unwrap();
    world.gateway = Some(gateway);
    let code = world.code(&[], &world.key).await;
    assert_eq!(code, "authentication_temporarily_unavailable");
}

#[tokio::test]
async fn the_access_log_names_who_passed_and_holds_no_secret() {
    let mut world = World::new().await;
    let (id, leaf) = world.with_active_ca().await;
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    let path = world.options.access_log.clone().unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    world.stop().await;
    let log = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["certificate"], id.as_str());
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[1]["code"], "certificate_required");
    assert!(!log.contains(&world.key) && !log.contains("BEGIN"));
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_end_and_refuses_new_ones() {
    let mut world = World::new().await;
    let mut upload = world.tls(&[]).connect(world.address()).await;
    upload
        .write(&format!(
            "POST /v1/echo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             content-length: 10\r\n\r\nhello",
            world.key
        ))
        .await;
    let mut socket = world.tls(&[]).connect(world.address()).await;
    open_socket(&world, &mut socket).await;
    let gateway = world.gateway.take().unwrap();
    let address = gateway.address();
    let stopped = tokio::task::spawn_blocking(|| gateway.stop());
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, refused).await.expect("new clients refused");

    upload.write("there").await;
    let answer = upload.answer().await.expect("an answer");
    assert_eq!(answer.json()["body"], "hellothere");
    socket.write("ping").await;
    assert_eq!(socket.bytes(4).await, b"ping");
    assert!(!stopped.is_finished(), "the socket is still open");
    drop(socket);
    timeout(LIMIT, stopped)
        .await
        .expect("the gateway to stop")
        .unwrap();
}
