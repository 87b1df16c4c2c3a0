//! One attempt: connect, sign, send, look at the status. It stands on hyper and not on a client
//! like reqwest, so that the address that is judged is the address that is connected to, and no
//! proxy, redirect or pool of connections comes between.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_tls::{add_roots, client_config, public_roots, standard};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    WebhookOptions,
    address::{check_url, is_public},
};
use crate::store::{Claimed, StoreError};

/// How long an attempt may take, from the name to the status.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);

/// Sends deliveries.
pub(super) struct Sender {
    tls: TlsConnector,
    private: bool,
}

/// Why there was no status. Texts without the URL, for the admin and the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the URL is not allowed: {0}")]
    Url(&'static str),
    #[error("the host's name is not found")]
    Name,
    #[error("the host has no public address")]
    Private,
    #[error("cannot connect: {0}")]
    Connect(std::io::ErrorKind),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the connection broke before there was an answer")]
    Http(#[from] hyper::Error),
    #[error("no answer within {} seconds", ATTEMPT.as_secs())]
    Timeout,
}

impl Sender {
    pub(super) fn new(options: &WebhookOptions) -> Result<Self, StoreError> {
        let config = client_config(standard(), roots(options)?, None)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            private: options.private_addresses,
        })
    }

    /// Tries a delivery once, at this moment (Unix seconds). The status is the receiver's answer;
    /// the rest of it stays unread.
    pub(super) async fn send(&self, delivery: &Claimed, at: u64) -> Result<StatusCode, Failure> {
        let attempt = self.attempt(delivery, at);
        timeout(ATTEMPT, attempt)
            .await
            .map_err(|_| Failure::Timeout)?
    }

    async fn attempt(&self, delivery: &Claimed, at: u64) -> Result<StatusCode, Failure> {
        // Looked at again: the operator may have changed what is allowed.
        let url = check_url(delivery.url.reveal(), self.private).map_err(Failure::Url)?;
        let request = request(&url, delivery, at)?;
        let stream = self.connect(&url).await?;
        if url.scheme() != "https" {
            return exchange(stream, request).await;
        }
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Failure::Name)?;
        let stream = self.tls.connect(name, stream).await;
        exchange(
            stream.map_err(|error| Failure::Tls(error.to_string()))?,
            request,
        )
        .await
    }

    /// Connects to the first address of the host that may be connected to and can be.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Failure> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(url::Host::Ipv4(ip)) => vec![(ip, port).into()],
            Some(url::Host::Ipv6(ip)) => vec![(ip, port).into()],
            Some(url::Host::Domain(name)) => {
                let found = lookup_host((name, port)).await;
                found.map_err(|_| Failure::Name)?.collect()
            }
            None => return Err(Failure::Name),
        };
        let mut failure = Failure::Private;
        let allowed = |address: &&SocketAddr| self.private || is_public(address.ip());
        for address in addresses.iter().filter(allowed) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Failure::Connect(error.kind()),
            }
        }
        Err(failure)
    }
}

fn roots(options: &WebhookOptions) -> Result<RootCertStore, StoreError> {
    let mut roots = public_roots();
    if let Some(file) = &options.ca_file {
        add_roots(&mut roots, file).map_err(|error| {
            StoreError::Configuration(format!("the roots for webhooks cannot be used: {error}"))
        })?;
    }
    Ok(roots)
}

/// Standard Webhooks, "Webhook headers".
fn request(url: &Url, delivery: &Claimed, at: u64) -> Result<Request<Full<Bytes>>, Failure> {
    let query = url.query().map(|query| format!("?{query}"));
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let id = delivery.id.as_str();
    Request::post(format!("{}{}", url.path(), query.unwrap_or_default()))
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "countersign")
        .header(header::CONNECTION, "close")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header(
            "webhook-signature",
            delivery.key.sign(id, at, &delivery.payload),
        )
        .body(Full::new(Bytes::from(delivery.payload.clone())))
        .map_err(|_| Failure::Url("It cannot be sent."))
}

/// The connection ends with the answer's head: its body is nothing to us, however long.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // The end of the connection may bring the answer with it.
        _ = connection => answer.await,
    };
    Ok(answer?.status())
}
