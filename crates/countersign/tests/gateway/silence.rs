//! A network that drops established connections without a word, while new ones work.

use std::{
    fs,
    time::{Duration, Instant},
};

use countersign_server::{
    App, Limits, listener_tls, router, serve,
    store::{Location, Sources, Store},
};
use countersign_testca::{General, oid, root};
use countersign_tls::CertificateFiles;
use tokio::net::TcpListener;

use crate::{
    plane_proxy::{Proxy, plane_of},
    world::World,
};

/// What the documentation promises.
const BOUND: Duration = Duration::from_secs(10);

async fn assert_enforced_in_time(world: &World, proxy: &Proxy) {
    let id = world.upload(&world.ca, None).await;
    assert_eq!(world.code(&[], &world.key).await, "");
    proxy.silence();
    let before = *proxy.accepted.borrow();
    let begun = Instant::now();
    world.activate(&world.scope(), &id).await;
    let took = begun.elapsed();
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    assert!(took <= BOUND, "{took:?}");
    assert!(*proxy.accepted.borrow() > before, "over a new connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_gets_past_silent_connections_in_plain_text() {
    let mut proxy = None;
    let world = World::with(|options| {
        let through = Proxy::before(plane_of(options));
        options.control_plane = format!("http://{}/v1", through.address);
        proxy = Some(through);
    })
    .await;
    assert_enforced_in_time(&world, &proxy.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_gets_past_silent_connections_over_http2() {
    let store = Store::open(&Location::Memory, Sources::system())
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = root("Control Plane CA").mint();
    let server = ca
        .leaf("localhost")
        .eku(&[oid::SERVER_AUTH])
        .san(General::dns("localhost"))
        .mint();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = CertificateFiles {
        certificate: write("plane.pem", &server.pem()),
        key: write("plane.key", &server.key_pem()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plane = listener.local_addr().unwrap();
    let app = App::new(store.clone(), &Sources::system()).unwrap();
    tokio::spawn(async move {
        let limits = Limits::default();
        let never = std::future::pending();
        let tls = Some(listener_tls(files).unwrap());
        serve(listener, router(app), tls, limits, never).await;
    });
    let proxy = Proxy::before(plane);
    let world = World::on(store, |options| {
        let port = proxy.address.port();
        options.control_plane = format!("https://localhost:{port}/v1");
        options.control_plane_ca = Some(write("ca.pem", &ca.pem()));
    })
    .await;
    assert_enforced_in_time(&world, &proxy).await;
}
