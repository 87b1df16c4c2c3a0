//! One attempt: connect, sign, send, read the status. It uses hyper and not a client like reqwest,
//! so that the address that was checked is the address that is connected to, without a proxy, a
//! redirect or a connection pool in between.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_tls::{add_roots, client_config, public_roots, standard};
use http::{HeaderValue, Request, StatusCode, header};
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
    address::{check_url, is_public},
    options::WebhookOptions,
};
use crate::store::{Claimed, StoreError};

/// How long an attempt may take, from resolving the name to reading the status.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Sends deliveries, and fetches what stands at a URL.
pub(crate) struct Sender {
    tls: TlsConnector,
    private: bool,
}

/// Why there was no status. The texts are for the admin and the log, and never hold the URL, which
/// may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the URL is not allowed: {0}")]
    Url(&'static str),
    /// One answer, whether there is no such name or it leads inside: an admin must not learn which
    /// names exist in the network of the control plane.
    #[error("the host has no address that this server may connect to")]
    Address,
    #[error("cannot connect: {0}")]
    Connect(std::io::ErrorKind),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the connection broke before there was a response")]
    Http(#[from] hyper::Error),
    #[error("no response within {} seconds", SEND_TIMEOUT.as_secs())]
    Timeout,
}

impl Sender {
    pub(crate) fn new(options: &WebhookOptions) -> Result<Self, StoreError> {
        let config = client_config(standard(), roots(options)?, None)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            private: options.private_addresses,
        })
    }

    /// Tries a delivery once, at a time in Unix seconds. Only the status of the response is read.
    pub(super) async fn send(
        &self,
        delivery: &Claimed,
        at: u64,
        traceparent: Option<HeaderValue>,
    ) -> Result<StatusCode, Failure> {
        let attempt = self.attempt(delivery, at, traceparent);
        timeout(SEND_TIMEOUT, attempt)
            .await
            .map_err(|_| Failure::Timeout)?
    }

    async fn attempt(
        &self,
        delivery: &Claimed,
        at: u64,
        traceparent: Option<HeaderValue>,
    ) -> Result<StatusCode, Failure> {
        // Checked again: the operator may have changed what is allowed.
        let url = check_url(delivery.url.reveal(), self.private).map_err(Failure::Url)?;
        let mut request = request(&url, delivery, at)?;
        if let Some(traceparent) = traceparent {
            request.headers_mut().insert("traceparent", traceparent);
        }
        exchange(self.open(&url).await?, request).await
    }

    /// Whether addresses that are not public are allowed.
    pub(crate) const fn private(&self) -> bool {
        self.private
    }

    /// A connection to the URL's host, if this server may connect to it, with TLS where the URL says so.
    pub(super) async fn open(&self, url: &Url) -> Result<Box<dyn Stream>, Failure> {
        let stream = self.connect(url).await?;
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Failure::Address)?;
        let stream = self.tls.connect(name, stream).await;
        let stream = stream.map_err(|error| Failure::Tls(error.to_string()))?;
        Ok(Box::new(stream))
    }

    /// Connects to the host's first address that is allowed and reachable.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Failure> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(url::Host::Ipv4(ip)) => vec![(ip, port).into()],
            Some(url::Host::Ipv6(ip)) => vec![(ip, port).into()],
            Some(url::Host::Domain(name)) => {
                let found = lookup_host((name, port)).await;
                found.map_err(|_| Failure::Address)?.collect()
            }
            None => return Err(Failure::Address),
        };
        let mut failure = Failure::Address;
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

/// The URL's host, with its port if it is not the usual one.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Standard Webhooks, "Webhook headers".
fn request(url: &Url, delivery: &Claimed, at: u64) -> Result<Request<Full<Bytes>>, Failure> {
    let query = url.query().map(|query| format!("?{query}"));
    let id = delivery.due.id.as_str();
    Request::post(format!("{}{}", url.path(), query.unwrap_or_default()))
        .header(header::HOST, authority(url))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "countersign")
        .header(header::CONNECTION, "close")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header(
            "webhook-signature",
            delivery.key.sign(id, at, &delivery.due.payload),
        )
        .body(Full::new(Bytes::from(delivery.due.payload.clone())))
        .map_err(|_| Failure::Url("It cannot be sent."))
}

/// Sends a request and reads the response's head. Its body stays unread, however long it is.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut response = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        // The connection may end just after the response arrived.
        _ = connection => response.await,
    };
    Ok(response?.status())
}
