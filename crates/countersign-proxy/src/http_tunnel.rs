//! A tunnel through an HTTP proxy: `CONNECT` (RFC 9110 section 9.3.6), in TLS where the proxy is spoken to so.

use std::{io, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The longest head of a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;

/// The most header lines of it.
const MAX_HEADERS: usize = 64;

/// What a proxy is asked for, and with which credentials.
pub struct HttpTunnel {
    head: Vec<u8>,
    tls: Option<(Arc<ArcSwap<ClientConfig>>, ServerName<'static>)>,
}

/// What leads through a tunnel.
#[derive(Debug)]
pub enum Tunnelled {
    /// The proxy is spoken to without TLS.
    Plain(TcpStream),
    /// It is spoken to in TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl std::fmt::Debug for HttpTunnel {
    /// Nothing of the head, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTunnel").finish_non_exhaustive()
    }
}

impl HttpTunnel {
    /// A tunnel to a host and port, with the value of `Proxy-Authorization` if the proxy wants one.
    #[must_use]
    pub fn new(authority: &str, credentials: Option<&HeaderValue>) -> Self {
        let mut head =
            format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
        if let Some(credentials) = credentials {
            head.extend_from_slice(b"proxy-authorization: ");
            head.extend_from_slice(credentials.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Self { head, tls: None }
    }

    /// The same in TLS to the proxy, with the configuration as it is then, and the name that the proxy's
    /// certificate must carry.
    #[must_use]
    pub fn in_tls(self, config: Arc<ArcSwap<ClientConfig>>, name: ServerName<'static>) -> Self {
        Self {
            tls: Some((config, name)),
            ..self
        }
    }

    /// Opens the tunnel over a connection to the proxy.
    ///
    /// # Errors
    /// When the proxy's certificate is not good, it refuses, or what answers is no proxy.
    pub async fn through(&self, mut stream: TcpStream) -> io::Result<Tunnelled> {
        let Some((config, name)) = &self.tls else {
            self.open(&mut stream).await?;
            return Ok(Tunnelled::Plain(stream));
        };
        let connector = TlsConnector::from(config.load_full());
        let connected = connector.connect(name.clone(), stream).await;
        // In words: nobody is to take it for trouble with the server behind.
        let trouble = |error: io::Error| {
            let said = format!("TLS to the proxy: {error}");
            io::Error::new(error.kind(), said)
        };
        let mut stream = Box::new(connected.map_err(trouble)?);
        self.open(&mut stream).await?;
        Ok(Tunnelled::Tls(stream))
    }

    /// Asks the proxy at the other end for the tunnel. What is written from then on goes through it.
    async fn open(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(&self.head).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::Error::other("the proxy closed the connection"));
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&answer);
            let parsed = parsed.map_err(|_| io::Error::other("the proxy does not speak HTTP"))?;
            match (parsed, response.code) {
                (httparse::Status::Complete(length), Some(200..300)) if length == answer.len() => {
                    return Ok(());
                }
                // The server speaks only once it was spoken to.
                (httparse::Status::Complete(_), Some(200..300)) => {
                    return Err(io::Error::other("the proxy sent more than its answer"));
                }
                (httparse::Status::Complete(_), Some(407)) => {
                    return Err(io::Error::other("the proxy wants other credentials (407)"));
                }
                (httparse::Status::Complete(_), code) => {
                    let code = code.unwrap_or_default();
                    let refused = format!("the proxy refused the tunnel with status {code}");
                    return Err(io::Error::other(refused));
                }
                (httparse::Status::Partial, _) if answer.len() > MAX_HEAD => {
                    return Err(io::Error::other(
                        "the head of the proxy's answer is too long",
                    ));
                }
                (httparse::Status::Partial, _) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel_and_what_it_refuses_is_said() {
        for (answer, says) in [
            (
                "HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n",
                None,
            ),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", Some("with status 403")),
            ("HTTP/1.1 407 Who?\r\n\r\n", Some("other credentials")),
            ("SSH-2.0-OpenSSH\r\n", Some("does not speak HTTP")),
            ("HTTP/1.1 200 OK\r\n\r\nmore", Some("more than its answer")),
            ("", Some("closed the connection")),
        ] {
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            let credentials = HeaderValue::from_static("Basic YTpi");
            let tunnel = HttpTunnel::new("a.example:443", Some(&credentials));
            let proxy = async move {
                let mut asked = vec![0; 1024];
                let count = theirs.read(&mut asked).await.unwrap();
                asked.truncate(count);
                theirs.write_all(answer.as_bytes()).await.unwrap();
                drop(theirs);
                String::from_utf8(asked).unwrap()
            };
            let (opened, asked) = tokio::join!(tunnel.open(&mut ours), proxy);
            assert!(
                asked.starts_with("CONNECT a.example:443 HTTP/1.1\r\n"),
                "{asked}"
            );
            assert!(
                asked.contains("proxy-authorization: Basic YTpi\r\n"),
                "{asked}"
            );
            assert!(!format!("{tunnel:?}").contains("YTpi"));
            match says {
                None => opened.unwrap(),
                Some(says) => {
                    let error = opened.unwrap_err().to_string();
                    assert!(error.contains(says), "{answer}: {error}");
                }
            }
        }
    }
}
