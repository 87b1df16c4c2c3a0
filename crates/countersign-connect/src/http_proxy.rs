//! The forwarder as an HTTP proxy: `CONNECT` to a host that it adds a certificate for ends TLS here, to any
//! other it is a tunnel that is not looked into.

use std::{io, sync::Arc, time::Duration};

use countersign_proxy::Tunnelled;
use countersign_tls::{aes128_first, server_config_choosing};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    connect_request::ConnectRequest,
    connection::{Connection, Way},
    local_ca::{Clock, HostCertificate, LocalCa, LocalCaError},
    server::split_port,
    serving,
    token::Token,
    via::Via,
};

/// How long a tool may take for its request, and for its handshake.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection to another host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A host that TLS is ended for.
#[derive(Debug)]
pub(crate) struct Intercepted {
    way: Arc<Way>,
    tls: Arc<ServerConfig>,
}

impl Intercepted {
    pub(crate) fn new(
        way: Arc<Way>,
        ca: &Arc<LocalCa>,
        clock: Clock,
    ) -> Result<Self, LocalCaError> {
        let certificate = HostCertificate::new(Arc::clone(ca), way.server.host(), clock)?;
        let mut tls = server_config_choosing(aes128_first(), Arc::new(certificate))?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            way,
            tls: Arc::new(tls),
        })
    }
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct HttpProxy {
    pub(crate) hosts: Vec<Intercepted>,
    /// Whether tunnels lead to other hosts, too.
    pub(crate) others: bool,
    pub(crate) token: Option<Token>,
    pub(crate) via: Arc<Via>,
}

/// Why a tool gets no tunnel.
struct Refused {
    status: &'static str,
    headers: &'static str,
    message: String,
}

impl Refused {
    fn new(status: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            headers: "",
            message: message.into(),
        }
    }
}

impl HttpProxy {
    /// Serves a connection until it ends.
    pub(crate) async fn serve(&self, mut stream: TcpStream, stop: CancellationToken) {
        let read = timeout(BEGIN_TIMEOUT, ConnectRequest::read(&mut stream)).await;
        let request = match read {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                let refused = Refused::new("400 Bad Request", error.to_string());
                return refuse(stream, "-", refused).await;
            }
        };
        let target = request.target.clone();
        if let Err(refused) = self.check(&request) {
            return refuse(stream, &target, refused).await;
        }
        let known = self.hosts.iter();
        let mut known = known.filter(|host| host.way.server.is_called(&target));
        match known.next() {
            Some(host) => intercept(host, stream, stop).await,
            None => self.pass(stream, &target).await,
        }
    }

    fn check(&self, request: &ConnectRequest) -> Result<(), Refused> {
        if let Some(token) = &self.token
            && !request.knows(token)
        {
            return Err(Refused {
                status: "407 Proxy Authentication Required",
                headers: "proxy-authenticate: Basic realm=\"countersign connect\"\r\n",
                message: "the token is missing or wrong: use the whole `HTTPS_PROXY` that the forwarder printed when it started".to_owned(),
            });
        }
        if request.method != "CONNECT" {
            let message =
                "this proxy is for `https://` alone: set `HTTPS_PROXY`, and not `HTTP_PROXY`";
            return Err(Refused::new("405 Method Not Allowed", message));
        }
        if split_port(&request.target).1.is_none() {
            let message = "`CONNECT` needs a host and a port";
            return Err(Refused::new("400 Bad Request", message));
        }
        Ok(())
    }

    /// A tunnel that is not looked into.
    async fn pass(&self, mut stream: TcpStream, target: &str) {
        if !self.others {
            let message =
                "no certificate is added for this host, and `--only-hosts` refuses others";
            let refused = Refused::new("403 Forbidden", message);
            return refuse(stream, target, refused).await;
        }
        let mut server = match timeout(CONNECT_TIMEOUT, self.reach(target)).await {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => {
                let message = format!("cannot reach it: {error}");
                return refuse(stream, target, Refused::new("502 Bad Gateway", message)).await;
            }
            Err(_) => {
                let message = format!("cannot reach it within {CONNECT_TIMEOUT:?}");
                let refused = Refused::new("504 Gateway Timeout", message);
                return refuse(stream, target, refused).await;
            }
        };
        tracing::info!(target: "countersign::access", method = "CONNECT", route = target, status = 200, "tunnel");
        if stream.write_all(ESTABLISHED).await.is_ok() {
            // Whichever side breaks off, the other learns of it.
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    }

    async fn reach(&self, target: &str) -> io::Result<Box<dyn Tunnel>> {
        let hop = self.via.to(target).map_err(io::Error::other)?;
        let connect = async |host: &str, port| {
            let stream = TcpStream::connect((bare(host), port)).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let Some(hop) = hop else {
            let (host, port) = split_port(target);
            return Ok(Box::new(connect(host, port.unwrap_or_default()).await?));
        };
        let stream = connect(&hop.host, hop.port).await?;
        Ok(match hop.tunnel(target).through(stream).await? {
            Tunnelled::Plain(stream) => Box::new(stream),
            Tunnelled::Tls(stream) => stream,
        })
    }
}

/// What leads to a host.
trait Tunnel: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Tunnel for T {}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Ends TLS, and carries the requests.
async fn intercept(host: &Intercepted, mut stream: TcpStream, stop: CancellationToken) {
    if stream.write_all(ESTABLISHED).await.is_err() {
        return;
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&host.tls));
    let stream = match timeout(BEGIN_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return untrusted(host, &error),
        Err(_) => return,
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let connection = Connection::new(&host.way);
    if is_http2 {
        serving::http2(stream, connection, stop).await;
    } else {
        serving::http1(stream, connection, stop).await;
    }
}

/// Says why a handshake failed: most likely, the tool does not know the local CA.
fn untrusted(host: &Intercepted, error: &io::Error) {
    let server = host.way.server.authority();
    let refused = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::AlertReceived(_)));
    let meaning = if refused {
        "the tool does not trust the local CA: give it the CA's file"
    } else {
        "the tool's TLS handshake failed"
    };
    tracing::warn!(target: "countersign::access", method = "CONNECT", route = server, status = 0, meaning, %error, "handshake");
}

async fn refuse(mut stream: TcpStream, target: &str, refused: Refused) {
    let Refused {
        status,
        headers,
        message,
    } = refused;
    let code: u64 = status
        .get(..3)
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    tracing::warn!(target: "countersign::access", method = "CONNECT", route = target, status = code, meaning = message, "refused");
    let body = format!("countersign connect: {message}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The tool may be gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
