//! A client of the gateway: TLS with or without a certificate, and HTTP/1.1 byte for byte, or HTTP/2.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use countersign_testca::{Key, Minted};
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A version of TLS.
pub(crate) type Version = &'static SupportedProtocolVersion;

/// A client's TLS, shared by its connections, so that sessions can be resumed.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// A client that trusts `ca` and presents `chain`, leaf first, if there is one.
    pub(crate) fn new(ca: &Minted, chain: &[&Minted]) -> Self {
        Self::of(&[&TLS13, &TLS12], ca, chain)
    }

    pub(crate) fn tls12(ca: &Minted, chain: &[&Minted]) -> Self {
        Self::of(&[&TLS12], ca, chain)
    }

    fn of(versions: &[Version], ca: &Minted, chain: &[&Minted]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match chain.first() {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key().pkcs8().to_vec()).unwrap();
                let chain = chain
                    .iter()
                    .map(|each| CertificateDer::from(each.der().to_vec()));
                builder.with_client_auth_cert(chain.collect(), key).unwrap()
            }
        };
        Self(Arc::new(config))
    }

    /// A client that presents any bytes as its leaf, and signs with this key.
    pub(crate) fn unchecked(version: Version, ca: &Minted, leaf: &[u8], key: &Key) -> Self {
        let Self(config) = Self::of(&[version], ca, &[]);
        let mut config = (*config).clone();
        let key = PrivateKeyDer::try_from(key.pkcs8().to_vec()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let chain = vec![CertificateDer::from(leaf.to_vec())];
        let certified = Arc::new(CertifiedKey::new(chain, key));
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Self(Arc::new(config))
    }

    pub(crate) async fn connect(&self, gateway: SocketAddr) -> Connection {
        Connection(self.stream(gateway, b"http/1.1").await)
    }

    /// A connection of a client that knows HTTP/1.0 only.
    pub(crate) async fn connect_http10(&self, gateway: SocketAddr) -> Connection {
        Connection(self.stream(gateway, b"http/1.0").await)
    }

    /// Whether the handshake succeeds, which a TLS 1.3 client learns only from what follows.
    pub(crate) async fn answers(&self, gateway: SocketAddr, key: &str) -> bool {
        self.try_code(gateway, key).await.is_some()
    }

    /// The code of a request on a new connection, empty if it passes; `None` when there is no response,
    /// whatever the reason.
    pub(crate) async fn try_code(&self, gateway: SocketAddr, key: &str) -> Option<String> {
        let mut stream = self.try_stream(gateway, b"http/1.1").await.ok()?;
        let line = format!("authorization: Bearer {key}");
        let request = format!("GET /v1/echo HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        Some(Connection(stream).answer().await?.code())
    }

    /// A connection on which HTTP/2 was agreed, and nothing was sent yet.
    pub(crate) async fn silent_http2(&self, gateway: SocketAddr) -> Connection {
        Connection(self.stream(gateway, b"h2").await)
    }

    async fn stream(&self, gateway: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        self.try_stream(gateway, protocol).await.unwrap()
    }

    async fn try_stream(
        &self,
        gateway: SocketAddr,
        protocol: &[u8],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = (*self.0).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(gateway).await?;
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// A connection on which these bytes come before TLS, as a load balancer sends them.
    pub(crate) async fn connect_after(
        &self,
        before: &[u8],
        gateway: SocketAddr,
    ) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(before).await?;
        let name = "localhost".try_into().unwrap();
        let tls = TlsConnector::from(Arc::clone(&self.0));
        tls.connect(name, stream).await.map(Connection)
    }

    /// A connection on which HTTP/2 was agreed.
    pub(crate) async fn http2_io(&self, gateway: SocketAddr) -> TlsStream<TcpStream> {
        self.stream(gateway, b"h2").await
    }

    /// A connection whose HTTP/2 streams a test drives itself.
    pub(crate) async fn http2_streams(
        &self,
        gateway: SocketAddr,
        builder: &h2::client::Builder,
    ) -> h2::client::SendRequest<Bytes> {
        let stream = self.stream(gateway, b"h2").await;
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One HTTP/2 request on a connection of its own.
    pub(crate) async fn http2(
        &self,
        gateway: SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        let stream = self.stream(gateway, b"h2").await;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }
}

/// An HTTP/1.1 connection, byte for byte.
pub(crate) struct Connection(TlsStream<TcpStream>);

/// A response: its status, its head as received, and its body.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a refusal; empty when it is none.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    /// Whether the session was resumed.
    pub(crate) fn resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.send(text.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// A `GET` with a bearer key and more header lines.
    pub(crate) async fn get(&mut self, path: &str, key: &str, lines: &str) -> HttpResponse {
        self.try_get(path, key, lines).await.expect("an answer")
    }

    /// The same; `None` when the response is cut.
    pub(crate) async fn try_get(
        &mut self,
        path: &str,
        key: &str,
        lines: &str,
    ) -> Option<HttpResponse> {
        self.write(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n{lines}\r\n"
        ))
        .await;
        self.answer().await
    }

    /// Reads a response to its end; `None` when the connection is closed instead.
    pub(crate) async fn answer(&mut self) -> Option<HttpResponse> {
        let mut answer = self.head().await?;
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                if chunk.is_empty() {
                    self.line().await;
                    return Some(answer);
                }
                answer.body.extend(chunk);
            }
            return None;
        }
        let length = answer
            .header("content-length")
            .map_or(0, |value| value.parse().unwrap());
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).await.ok()?;
        Some(answer)
    }

    /// Reads the head of a response.
    pub(crate) async fn head(&mut self) -> Option<HttpResponse> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(HttpResponse {
            status,
            head,
            body: Vec::new(),
        })
    }

    /// Reads one chunk; `None` when the connection ends within it.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(Vec::new());
        }
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).await.ok()?;
        self.line().await?;
        Some(chunk)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(self.0.read_u8().await.ok()?);
        }
        String::from_utf8(line).ok()
    }

    /// Resets the connection, as a client that crashes does.
    pub(crate) fn reset(self) {
        self.0.get_ref().0.set_zero_linger().unwrap();
    }

    /// Closes this side and goes on reading, with or without a word of TLS before.
    pub(crate) async fn half_close(&mut self, notify: bool) {
        if notify {
            self.0.shutdown().await.unwrap();
        } else {
            self.0.get_mut().0.shutdown().await.unwrap();
        }
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        read_all(&mut self.0).await
    }

    /// Reads exactly so many bytes; `None` when the connection ends before.
    pub(crate) async fn try_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection that is cut ends with an error or without one.
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

/// Everything that a server answers to these bytes, without TLS.
pub(crate) async fn plain(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    String::from_utf8_lossy(&read_all(&mut stream).await).into_owned()
}

/// The body of a `GET` over plain HTTP.
pub(crate) async fn plain_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = String::from_utf8(read_all(&mut stream).await).unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    assert!(
        body.is_some_and(|body| !body.is_empty()),
        "{path}: {answer:?}"
    );
    body.unwrap().to_owned()
}
