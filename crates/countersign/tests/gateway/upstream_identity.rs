//! What the gateway shows an upstream over TLS, and whom it takes for the upstream.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use countersign_gateway::options::{GatewayOptions, Route};
use countersign_testca::{General, Minted, oid, root};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    client::Connection,
    world::{LIMIT, World},
};

/// An upstream that serves only clients with a certificate of its CA, and answers with what they
/// showed.
struct Upstream {
    address: SocketAddr,
    ca: Minted,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start() -> Self {
        let ca = root("Upstream CA").mint();
        let server = ca
            .leaf("upstream.test")
            .eku(&[oid::SERVER_AUTH])
            .san(General::dns("upstream.test"))
            .mint();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = PrivateKeyDer::try_from(server.key().pkcs8().to_vec()).unwrap();
        let chain = vec![CertificateDer::from(server.der().to_vec())];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        count.fetch_add(1, Ordering::Relaxed);
                        serve(stream).await;
                    }
                });
            }
        });
        Self {
            address,
            ca,
            connections,
        }
    }

    /// Writes its CA and a new client certificate of it to files, and sets a route to use them.
    fn identity(&self, name: &str, directory: &Path) -> (Minted, impl FnOnce(&mut Route) + use<>) {
        let leaf = self.ca.leaf(name).mint();
        let ca = write(directory, "ca.pem", &self.ca.pem());
        let certificate = write(directory, "client.pem", &leaf.pem());
        let key = write(directory, "client.key", &leaf.key_pem());
        let upstream = format!("https://{}", self.address);
        let set = move |route: &mut Route| {
            route.upstream = vec![upstream];
            route.ca = Some(ca);
            route.client_certificate = Some(certificate);
            route.client_key = Some(key);
            route.server_name = Some("upstream.test".to_owned());
        };
        (leaf, set)
    }
}

/// Answers each request on a connection with the client's certificate in hexadecimal.
async fn serve(mut stream: TlsStream<TcpStream>) {
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let shown = data_encoding::HEXLOWER.encode(&shown);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{shown}",
        shown.len()
    );
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn one_thread(set: impl FnOnce(&mut Route)) -> impl FnOnce(&mut GatewayOptions) {
    move |options| {
        options.threads = Some(1);
        set(&mut options.routes[0]);
    }
}

async fn shown(world: &World, client: &mut Connection) -> String {
    let answer = client.get("/v1/a", &world.key, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

fn hex(certificate: &Minted) -> String {
    data_encoding::HEXLOWER.encode(certificate.der())
}

#[tokio::test]
async fn an_upstream_is_shown_the_routes_certificate_and_must_carry_its_name() {
    let (upstream, directory) = (Upstream::start().await, TempDir::new().unwrap());
    let (leaf, set) = upstream.identity("gateway", directory.path());
    let world = World::with(one_thread(set)).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    assert_eq!(shown(&world, &mut client).await, hex(&leaf));

    let (_, set) = upstream.identity("gateway", directory.path());
    let world = World::with(one_thread(|route| {
        set(route);
        route.server_name = None;
    }))
    .await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    let answer = client.get("/v1/a", &world.key, "").await;
    assert_eq!(answer.code(), "upstream_unavailable");
}

#[tokio::test]
async fn a_new_certificate_is_shown_on_new_connections_and_the_old_ones_end() {
    let (upstream, directory) = (Upstream::start().await, TempDir::new().unwrap());
    let (first, set) = upstream.identity("first", directory.path());
    let world = World::with(one_thread(set)).await;
    let mut client = world.tls(&[]).connect(world.address()).await;
    for _ in 0..2 {
        assert_eq!(shown(&world, &mut client).await, hex(&first));
    }
    assert_eq!(upstream.connections.load(Ordering::Relaxed), 1);
    let (second, _) = upstream.identity("second", directory.path());
    let replaced = async {
        while shown(&world, &mut client).await != hex(&second) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, replaced).await.expect("the new certificate");
    assert!(upstream.connections.load(Ordering::Relaxed) >= 2);
}

#[tokio::test]
async fn what_cannot_be_shown_is_an_error_at_the_start() {
    let (upstream, directory) = (Upstream::start().await, TempDir::new().unwrap());
    let world = World::new().await;
    let other = upstream.ca.leaf("other").mint();
    let other_key = write(directory.path(), "other.key", &other.key_pem());
    for (change, says) in [
        (
            Box::new(|route: &mut Route| route.client_key = None) as Box<dyn FnOnce(&mut Route)>,
            "`client_certificate` and `client_key`, or neither",
        ),
        (
            Box::new(|route: &mut Route| route.client_key = Some(other_key)),
            "other.key` is not the key of",
        ),
        (
            Box::new(|route: &mut Route| route.ca = Some("/nowhere/ca.pem".into())),
            "cannot read `/nowhere/ca.pem`",
        ),
        (
            Box::new(|route: &mut Route| route.server_name = Some("a b".to_owned())),
            "`server_name`: `a b` is not the name of a host",
        ),
        (
            Box::new(|route: &mut Route| route.upstream = vec!["http://127.0.0.1:1".to_owned()]),
            "need an `https://` upstream",
        ),
    ] {
        let (_, set) = upstream.identity("gateway", directory.path());
        let mut options = world.options.clone();
        set(&mut options.routes[0]);
        change(&mut options.routes[0]);
        let error = world.try_gateway_with(options, 9).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
