//! Asking as proxies do, byte for byte, and how each form writes a chain.

use std::net::SocketAddr;

use countersign_gateway::options::CertificateForm;
use countersign_testca::Minted;
use data_encoding::BASE64;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, OkHttpResponse,
    attribute_context::{HttpRequest, Peer, Request},
    authorization_client::AuthorizationClient,
    check_response::HttpResponse as Answer,
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;

use super::{SECRET, SECRET_HEADER};
use crate::client::HttpResponse;

/// Headers of a request, as names and values.
pub(super) type Headers = Vec<(String, String)>;

/// PEM with signs escaped, as nginx and Envoy have it.
pub(super) fn escaped(chain: &[&Minted]) -> String {
    let mut text = String::new();
    for byte in chain.iter().flat_map(|each| each.pem().into_bytes()) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => text.push(byte.into()),
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}

/// The headers in which a form carries a chain, or what it can carry of it.
pub(super) fn certificate(form: CertificateForm, chain: &[&Minted]) -> Headers {
    let Some(leaf) = chain.first() else {
        return Vec::new();
    };
    let bare = |each: &&Minted| BASE64.encode(each.der());
    let list = |write: fn(String) -> String, chain: &[&Minted]| {
        let items: Vec<String> = chain.iter().map(|each| write(bare(each))).collect();
        items.join(",")
    };
    let one = |name: &str, value: String| vec![(name.to_owned(), value)];
    match form {
        CertificateForm::EnvoyAttributes => Vec::new(),
        CertificateForm::XfccText => one(
            "x-forwarded-client-cert",
            format!("Chain=\"{}\"", escaped(chain)),
        ),
        CertificateForm::XfccJson => one(
            "x-forwarded-client-cert",
            format!("[{{\"Chain\":\"{}\"}}]", escaped(chain)),
        ),
        CertificateForm::NginxEscapedPem => one("ssl-client-cert", escaped(&[leaf])),
        CertificateForm::Traefik => one("x-forwarded-tls-client-cert", list(|item| item, chain)),
        CertificateForm::CaddyDer => one("x-client-cert-der", bare(leaf)),
        CertificateForm::Rfc9440 => {
            let mut headers = one("client-cert", format!(":{}:", bare(leaf)));
            if chain.len() > 1 {
                let rest = list(|item| format!(":{item}:"), &chain[1..]);
                headers.extend(one("client-cert-chain", rest));
            }
            headers
        }
        CertificateForm::Alb => one("x-amzn-mtls-clientcert", escaped(chain)),
    }
}

/// A connection of a proxy that asks over HTTP/1.1.
pub(super) struct Asking<S>(S);

impl Asking<TcpStream> {
    pub(super) async fn connect(door: SocketAddr) -> Self {
        Self(TcpStream::connect(door).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Asking<S> {
    pub(super) const fn over(stream: S) -> Self {
        Self(stream)
    }

    /// Asks about a request with this key; `None` if the connection is closed.
    pub(super) async fn try_ask(&mut self, headers: &Headers) -> Option<HttpResponse> {
        let mut head = "GET /v1/echo HTTP/1.1\r\nhost: a\r\n".to_owned();
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.0.write_all((head + "\r\n").as_bytes()).await.ok()?;
        self.answer().await
    }

    /// Asks as the proxy does: with its secret.
    pub(super) async fn ask(&mut self, key: &str, headers: Headers) -> HttpResponse {
        self.try_ask(&proven(key, headers))
            .await
            .expect("an answer")
    }

    async fn answer(&mut self) -> Option<HttpResponse> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut answer = HttpResponse {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: Vec::new(),
        };
        let length = answer.header("content-length");
        answer.body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut answer.body).await.ok()?;
        Some(answer)
    }
}

/// These headers with a key, and with the proxy's secret.
pub(super) fn proven(key: &str, headers: Headers) -> Headers {
    let own = [
        (SECRET_HEADER, SECRET.to_owned()),
        ("authorization", format!("Bearer {key}")),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    headers.into_iter().chain(own).collect()
}

/// An Envoy that asks.
pub(super) struct Envoy(AuthorizationClient<Channel>, Option<&'static str>);

impl Envoy {
    pub(super) async fn connect(door: SocketAddr) -> Self {
        let client = AuthorizationClient::connect(format!("http://{door}"));
        Self(client.await.unwrap(), None)
    }

    /// Asks about a request with these headers, and with this certificate as an attribute.
    pub(super) async fn check(
        &mut self,
        headers: Headers,
        certificate: &str,
        secret: &'static str,
    ) -> Result<CheckResponse, tonic::Status> {
        let http = HttpRequest {
            method: "GET".to_owned(),
            path: "/v1/echo?a=b".to_owned(),
            headers: headers.into_iter().collect(),
            ..HttpRequest::default()
        };
        let request = CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    certificate: certificate.to_owned(),
                    ..Peer::default()
                }),
                request: Some(Request {
                    http: Some(http),
                    ..Request::default()
                }),
                ..AttributeContext::default()
            }),
        };
        let mut request = tonic::Request::new(request);
        let secret = secret.parse().unwrap();
        request.metadata_mut().insert(SECRET_HEADER, secret);
        if let Some(traceparent) = self.1 {
            let traceparent = traceparent.parse().unwrap();
            request.metadata_mut().insert("traceparent", traceparent);
        }
        Ok(self.0.check(request).await?.into_inner())
    }

    /// The same, whose calls are within this span.
    pub(super) fn within(self, traceparent: &'static str) -> Self {
        Self(self.0, Some(traceparent))
    }

    /// The code that a request with this key gets; empty if it passes.
    pub(super) async fn code(&mut self, key: &str, headers: Headers, certificate: &str) -> String {
        let headers = proven(key, headers);
        let answer = self.check(headers, certificate, SECRET).await.unwrap();
        match answer.http_response.unwrap() {
            Answer::OkResponse(_) => String::new(),
            Answer::DeniedResponse(denied) | Answer::ErrorResponse(denied) => {
                let body: Value = serde_json::from_str(&denied.body).unwrap();
                body["error"]["code"].as_str().unwrap().to_owned()
            }
        }
    }
}

/// What Envoy is to do with the headers of a request that passes.
pub(super) fn allowed(answer: CheckResponse) -> OkHttpResponse {
    match answer.http_response {
        Some(Answer::OkResponse(allowed)) => allowed,
        other => panic!("{other:?}"),
    }
}
