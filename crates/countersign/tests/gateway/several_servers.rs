//! Upstreams of more than one server, and of names.

use std::time::Duration;

use countersign_gateway::options::GatewayOptions;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    client::Connection,
    raw_upstream::{Raw, RawUpstream},
    world::World,
};

/// A gateway of one thread whose only route has these servers.
async fn world(servers: &[String]) -> World {
    let servers = servers.to_vec();
    World::with(|options: &mut GatewayOptions| {
        options.routes[0].upstream = servers;
        options.threads = Some(1);
    })
    .await
}

/// A port that refuses connections until it listens.
fn closed() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

async fn post(world: &World, client: &mut Connection) {
    let key = &world.key;
    let head = format!("POST /v1/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
    client
        .write(&format!("{head}content-length: 4\r\n\r\nbody"))
        .await;
}

async fn serve(connection: &mut Raw) {
    let head = connection.head().await;
    assert!(head.starts_with("POST /v1/a "), "{head}");
    assert_eq!(connection.read(4).await, b"body");
    connection.answer("").await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_no_request_and_is_left_out() {
    let (down, down_url) = closed();
    let (up, up_url) = RawUpstream::listen().await;
    let world = world(&[down_url, up_url]).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let mut serving = up.accept().await;
    serve(&mut serving).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    // It is back, and nobody asks it for a while.
    let down: TcpListener = down.listen(8).unwrap();
    for _ in 0..4 {
        post(&world, &mut client).await;
        serve(&mut serving).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    let asked = tokio::time::timeout(Duration::ZERO, down.accept()).await;
    assert!(asked.is_err(), "{asked:?}");
}

#[tokio::test]
async fn when_all_are_left_out_none_is() {
    let (first, first_url) = closed();
    let (_second, second_url) = closed();
    let world = world(&[first_url, second_url]).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.code(), "upstream_unavailable");
    let up = RawUpstream::of(first.listen(8).unwrap());
    post(&world, &mut client).await;
    serve(&mut up.accept().await).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn servers_take_turns_and_a_busy_one_is_passed_over() {
    let (one, one_url) = RawUpstream::listen().await;
    let (other, other_url) = RawUpstream::listen().await;
    let world = world(&[one_url, other_url]).await;
    let connect = || async { world.tls(&[]).connect(world.address()).await };
    let (mut waiting, mut client) = (connect().await, connect().await);
    post(&world, &mut client).await;
    let mut of_one = one.accept().await;
    serve(&mut of_one).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    post(&world, &mut client).await;
    let mut of_other = other.accept().await;
    serve(&mut of_other).await;
    assert_eq!(client.answer().await.unwrap().status, 200);

    post(&world, &mut waiting).await;
    of_one.head().await;
    of_one.read(4).await;
    for _ in 0..3 {
        post(&world, &mut client).await;
        serve(&mut of_other).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    of_one.answer("").await;
    assert_eq!(waiting.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn each_server_is_asked_for_by_its_own_host() {
    let (up, up_url) = RawUpstream::listen().await;
    let (_down, down_url) = closed();
    let world = world(&[down_url, up_url.clone()]).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let head = up.accept().await.head().await;
    let host = up_url.strip_prefix("http://").unwrap();
    assert!(head.contains(&format!("host: {host}\r\n")), "{head}");
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let (up, up_url) = RawUpstream::listen().await;
    // It may also stand for `::1`, where nobody listens.
    let named = up_url.replace("127.0.0.1", "localhost");
    let world = world(std::slice::from_ref(&named)).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let mut serving = up.accept().await;
    serve(&mut serving).await;
    assert_eq!(client.answer().await.unwrap().status, 200);

    let world = world_of_no_name().await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.code(), "upstream_unavailable");
}

async fn world_of_no_name() -> World {
    world(&["http://nowhere.invalid".to_owned()]).await
}

#[tokio::test]
async fn a_client_that_goes_away_ends_a_connect_under_way() {
    let (upstream, url) = RawUpstream::listen().await;
    let world = World::with(|options: &mut GatewayOptions| {
        options.routes[0].upstream = vec![url.replace("http:", "https:")];
        options.threads = Some(1);
        options.limits.connect_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    post(&world, &mut client).await;
    let mut connecting = upstream.accept().await;
    // The beginning of the handshake, which is never answered.
    connecting.read(5).await;
    client.reset();
    connecting.ended().await;
}
