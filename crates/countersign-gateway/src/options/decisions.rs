//! Where other proxies ask for verdicts.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::receipts::{ReceiptPlace, places};

/// Where another proxy asks for verdicts on its own requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Where it asks: an IP address and port, or `unix:` and the absolute path of a socket, which is made.
    pub listen: DecisionAddress,
    /// How it asks.
    pub protocol: DecisionProtocol,
    /// The form in which it sends the client's certificate. No other is read, and none is guessed.
    pub certificate: CertificateForm,
    /// How it proves that it is the proxy. Required: to be on this machine is no proof.
    #[serde(default)]
    pub asked_by: Option<AskedBy>,
    /// Whether TLS is spoken, with the gateway's own certificate. Always with `client_certificate`.
    #[serde(default)]
    pub tls: bool,
    /// Where a signed receipt of each verdict goes, or a list of places ([receipts.md](receipts.md)); absent,
    /// none is made.
    #[serde(default, deserialize_with = "places")]
    pub receipt: Vec<ReceiptPlace>,
}

/// Where a listener for decisions is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket, by its path.
    Unix(PathBuf),
}

impl fmt::Display for DecisionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for DecisionAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(D::Error::custom(format_args!(
                    "`{text}` is not `unix:` and an absolute path"
                )));
            }
            return Ok(Self::Unix(path.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            D::Error::custom(format_args!(
                "`{text}` is neither an IP address with a port nor `unix:` and the path of a socket"
            ))
        })
    }
}

/// How another proxy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionProtocol {
    /// Envoy's `ext_authz` with `grpc_service`.
    EnvoyGrpc,
    /// Envoy's `ext_authz` with `http_service`.
    EnvoyHttp,
    /// nginx's `auth_request`.
    AuthRequest,
    /// Traefik's ForwardAuth, and Caddy's `forward_auth`.
    ForwardAuth,
}

impl DecisionProtocol {
    /// As it stands in the file, in the access log and in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EnvoyGrpc => "envoy_grpc",
            Self::EnvoyHttp => "envoy_http",
            Self::AuthRequest => "auth_request",
            Self::ForwardAuth => "forward_auth",
        }
    }
}

/// How another proxy sends a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateForm {
    /// Envoy's `source.certificate`, the leaf alone; only with `envoy_grpc`.
    EnvoyAttributes,
    /// `X-Forwarded-Client-Cert` as text, with `Chain` or `Cert`.
    XfccText,
    /// `X-Forwarded-Client-Cert` as JSON, with `Chain` or `Cert`.
    XfccJson,
    /// nginx's `$ssl_client_escaped_cert`, the leaf alone, in `Ssl-Client-Cert`.
    NginxEscapedPem,
    /// Traefik's `X-Forwarded-Tls-Client-Cert`, the whole chain.
    Traefik,
    /// The leaf alone in base 64 of its DER, as Caddy has it, in `X-Client-Cert-Der`.
    CaddyDer,
    /// `Client-Cert` and `Client-Cert-Chain`.
    Rfc9440,
    /// `X-Amzn-Mtls-Clientcert` of an AWS load balancer in passthrough mode, the whole chain.
    Alb,
}

/// How the asking proxy proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// By a client certificate under this CA. `names`, if there are any, are DNS names and URIs, one of
    /// which it must carry.
    ClientCertificate(ProxyCertificate),
    /// By one of the secrets in this file, one in a line, each of at least 32 characters. The header may be
    /// left out: it is `x-countersign-proxy-secret`.
    Secret(ProxySecret),
    /// By the user that it runs as, by its number: only on a Unix socket.
    UnixUsers(Vec<u32>),
}

/// Which client certificates are the proxy's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyCertificate {
    /// A CA file.
    pub ca: PathBuf,
    /// DNS names and URIs, one of which must be among its alternative names.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What only the proxy knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySecret {
    /// A file with a secret in each line, read again when it changes.
    pub file: PathBuf,
    /// The header in which it comes.
    #[serde(default = "secret_header")]
    pub header: String,
}

fn secret_header() -> String {
    "x-countersign-proxy-secret".to_owned()
}
