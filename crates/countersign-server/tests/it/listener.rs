//! The listener: TLS, an orderly end, and clients that take their time.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use countersign_server::{
    App, Limits, listener_tls, router, serve,
    store::{Location, Sources, Store},
};
use countersign_testca::{General, Minted, root};
use countersign_tls::CertificateFiles;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const SOON: Duration = Duration::from_secs(20);

async fn app() -> App {
    let sources = Sources::system();
    let store = Store::open(&Location::Memory, sources.clone())
        .await
        .unwrap();
    App::new(store, &sources).unwrap()
}

/// Serves until the sender is dropped; gives the address.
async fn start(
    limits: Limits,
    tls: Option<CertificateFiles>,
) -> (
    std::net::SocketAddr,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let router = router(app().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let tls = tls.map(|files| listener_tls(files).unwrap());
    let running = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        serve(listener, router, tls, limits, shutdown).await;
    });
    (address, stop, running)
}

/// A server's certificate for `localhost` and the CA that issued it.
fn server_files(directory: &Path) -> (Minted, CertificateFiles) {
    let ca = root("Server CA").mint();
    let leaf = ca
        .leaf("localhost")
        .no_eku()
        .san(General::dns("localhost"))
        .mint();
    let files = CertificateFiles {
        certificate: directory.join("chain.pem"),
        key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, leaf.pem()).unwrap();
    std::fs::write(&files.key, leaf.key_pem()).unwrap();
    (ca, files)
}

#[tokio::test]
async fn tls_speaks_both_versions_of_http() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, files) = server_files(directory.path());
    let (address, stop, running) = start(Limits::default(), Some(files)).await;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(ca.pem().as_bytes()).unwrap();
    for version in [reqwest::Version::HTTP_11, reqwest::Version::HTTP_2] {
        let mut builder = reqwest::Client::builder().tls_certs_only([trusted.clone()]);
        builder = builder.resolve("localhost", address);
        if version == reqwest::Version::HTTP_11 {
            builder = builder.http1_only();
        }
        let url = format!("https://localhost:{}/healthz", address.port());
        let answer = builder.build().unwrap().get(url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    drop(stop);
    timeout(SOON, running).await.unwrap().unwrap();
}

/// A client that sends the frames of HTTP/2 itself.
struct Http2(TlsStream<TcpStream>);

impl Http2 {
    async fn connect(address: SocketAddr, ca: &Minted) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der().to_vec().into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap();
        let mut client = Self(stream);
        client
            .0
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        client.frame(4, 0, 0, &[]).await;
        client
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.0.write_all(&bytes).await.unwrap();
    }

    /// The payload of the next frame of this kind.
    async fn next(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                return payload;
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_request_over_http2_leaves_the_others_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, files) = server_files(directory.path());
    let (address, stop, running) = start(Limits::default(), Some(files)).await;
    let mut client = Http2::connect(address, &ca).await;
    let asked = async {
        // GET, https, `/`, and the authority `a`; and a name in upper case.
        let good = [0x82, 0x87, 0x84, 0x01, 1, b'a'];
        let upper = [&good[..], b"\x00\x01X\x01a"].concat();
        client.frame(1, 5, 1, &upper).await;
        assert_eq!(client.next(3).await, 1_u32.to_be_bytes(), "PROTOCOL_ERROR");
        // A path with a space.
        let spaced = b"\x82\x87\x04\x02 a\x01\x01a";
        client.frame(1, 5, 3, spaced).await;
        let answer: serde_json::Value = serde_json::from_slice(&client.next(0).await).unwrap();
        assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
        client.frame(1, 5, 5, &good).await;
        let answer: serde_json::Value = serde_json::from_slice(&client.next(0).await).unwrap();
        assert_ne!(answer["error"]["code"], "bad_request", "{answer}");
    };
    timeout(SOON, asked).await.unwrap();
    drop((stop, client));
    timeout(SOON, running).await.unwrap().unwrap();
}

#[test]
fn tls_files_that_cannot_be_used_say_which() {
    let files = CertificateFiles {
        certificate: "nowhere.pem".into(),
        key: "nowhere.key".into(),
    };
    let error = listener_tls(files).unwrap_err();
    assert!(error.to_string().contains("nowhere.pem"));
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_let_go() {
    let limits = Limits {
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let (address, _stop, _running) = start(limits, None).await;
    for sent in [
        "",
        "GET /healthz HTTP/1.1\r\nhost: a\r\n",
        "P",
        "PRI * HTTP/2.0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{sent:?} keeps its place");
    }
}

#[tokio::test]
async fn a_request_that_is_being_answered_gets_to_finish() {
    let (address, stop, running) = start(Limits::default(), None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    // An answer on a second connection shows that the first was accepted.
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(stop);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    timeout(SOON, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn half_a_head_holds_up_no_end() {
    let limits = Limits {
        grace: Duration::from_secs(600),
        header_timeout: Duration::from_secs(600),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits, None).await;
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /healthz HT").await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    second.read_to_string(&mut String::new()).await.unwrap();
    drop(stop);
    timeout(SOON, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_does_not_finish_is_cut_after_the_grace_period() {
    let limits = Limits {
        grace: Duration::from_millis(100),
        ..Limits::default()
    };
    let (address, stop, running) = start(limits, None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stop);
    timeout(Duration::from_secs(5), running)
        .await
        .expect("it is cut")
        .unwrap();
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let (address, _stop, _running) = start(limits, None).await;
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let early = timeout(
        Duration::from_millis(200),
        second.read_to_string(&mut answer),
    )
    .await;
    assert!(early.is_err(), "{answer}");
    drop(first);
    timeout(SOON, second.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_shown_to_the_next_client() {
    let directory = tempfile::tempdir().unwrap();
    let ca = root("Server CA").mint();
    let files = CertificateFiles {
        certificate: directory.path().join("server.pem"),
        key: directory.path().join("server.key"),
    };
    let write = |name: &str| {
        let leaf = ca.leaf(name).san(General::dns("localhost")).mint();
        std::fs::write(&files.certificate, leaf.pem()).unwrap();
        std::fs::write(&files.key, leaf.key_pem()).unwrap();
        leaf.der().to_vec()
    };
    let first = write("first");
    let tls = listener_tls(files.clone()).unwrap();
    let shown = tls.current();
    let second = write("second");
    assert_ne!(first, second);
    // Two writes may fall into one tick of the file system's clock.
    let later = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(2);
    for file in [&files.certificate, &files.key] {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(later).unwrap();
    }
    assert!(tls.reload_if_changed().unwrap());
    assert!(!std::sync::Arc::ptr_eq(&shown, &tls.current()));
}
