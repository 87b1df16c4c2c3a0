//! A gateway's configuration: plain data.

mod decisions;
mod log;
mod reading;
mod receipts;
mod route;
mod token_exchange;

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use countersign_proxy::{EscapedSlashes, PathRules};
use countersign_types::id::ProjectId;
use ipnet::IpNet;
use serde::Deserialize;

use self::reading::{networks, seconds, some_seconds};
use crate::{observing::new_chains::ReportLimits, shares::ShareLimits};

pub use self::{
    decisions::{
        AskedBy, CertificateForm, DecisionAddress, DecisionProtocol, Decisions, ProxyCertificate,
        ProxySecret,
    },
    log::{Log, LogFormat, LogLevel},
    receipts::ReceiptPlace,
    route::{Authorization, Route},
    token_exchange::TokenExchange,
};

/// A gateway's configuration. Times are in seconds, sizes in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayOptions {
    /// Where clients connect. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The name that this gateway is listed under.
    #[serde(default)]
    pub name: Option<String>,
    /// The server certificate chain, in PEM. Read again when it changes.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub private_key: PathBuf,
    /// The control plane: its base URL, ending in `/v1`.
    pub control_plane: String,
    /// A CA file that the control plane's certificate is verified against, instead of the public ones.
    #[serde(default)]
    pub control_plane_ca: Option<PathBuf>,
    /// Whether the control plane may be an `http://` URL of another machine.
    #[serde(default)]
    pub allow_cleartext: bool,
    /// A file that holds this gateway's key.
    pub key_file: PathBuf,
    /// This gateway's own directory: its id, and the last good bundle.
    pub data_dir: PathBuf,
    /// How a request's project is found.
    #[serde(default)]
    pub identity: IdentitySource,
    /// Where requests go: the first route that matches.
    pub routes: Vec<Route>,
    /// Where other proxies ask for verdicts on their own requests.
    #[serde(default)]
    pub decisions: Vec<Decisions>,
    /// Whether the PROXY protocol, version 2, precedes each connection.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Who may then connect: addresses and networks. Absent, this machine only.
    #[serde(default = "this_machine", deserialize_with = "networks")]
    pub proxy_protocol_senders: Vec<IpNet>,
    /// Whether the verified certificate goes upstream as RFC 9440 `Client-Cert` and
    /// `Client-Cert-Chain`.
    #[serde(default)]
    pub client_cert_header: bool,
    /// Whether the verified certificate goes upstream as `X-Forwarded-Client-Cert`.
    #[serde(default)]
    pub xfcc_header: bool,
    /// Which of Envoy's fields it has.
    #[serde(default = "hash_only")]
    pub xfcc_fields: Vec<XfccField>,
    /// How it is written.
    #[serde(default)]
    pub xfcc_format: XfccFormat,
    /// What upstreams are told of the client's connection.
    #[serde(default)]
    pub forwarded_headers: ForwardedHeaders,
    /// What becomes of `traceparent` (W3C Trace Context).
    #[serde(default)]
    pub traceparent: Traceparent,
    /// Where the access log goes; absent, nowhere.
    #[serde(default)]
    pub access_log: Option<PathBuf>,
    /// Whether the file's group may read it. An existing file keeps its mode.
    #[serde(default)]
    pub access_log_group_readable: bool,
    /// The program's own log, on standard error.
    #[serde(default)]
    pub log: Log,
    /// Where `/healthz`, `/readyz`, `/metrics` and refusals are served; it should be on loopback.
    #[serde(default)]
    pub admin_listen: Option<SocketAddr>,
    /// How many projects have a metric of their requests, those that call first; all others are counted
    /// together, as `other`. 0, none.
    #[serde(default)]
    pub project_metrics: usize,
    /// Whether the control plane is sent who called with which certificates.
    #[serde(default = "on")]
    pub observations: bool,
    /// Seconds between two such reports.
    #[serde(default = "observation_interval", deserialize_with = "seconds")]
    pub observation_interval: Duration,
    /// Exchanging client certificates for tokens.
    #[serde(default)]
    pub token_exchange: TokenExchange,
    /// How many threads serve; absent, one per core.
    #[serde(default)]
    pub threads: Option<usize>,
    /// How paths are read, before anything is matched with them.
    #[serde(default)]
    pub paths: Paths,
    /// Limits on what clients and upstreams may take.
    #[serde(default)]
    pub limits: Limits,
}

/// The fields of `X-Forwarded-Client-Cert`. The names are Envoy's, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XfccField {
    /// The URIs in the gateway's own certificate, as it was at the start.
    By,
    /// The SHA-256 of the leaf.
    Hash,
    /// The leaf.
    Cert,
    /// The leaf, and the intermediates of the path that was verified.
    Chain,
    /// The leaf's subject.
    Subject,
    /// Its URIs.
    Uri,
    /// Its DNS names.
    Dns,
}

/// How `X-Forwarded-Client-Cert` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XfccFormat {
    /// As Envoy does unless told otherwise.
    #[default]
    Text,
    /// As a JSON array of one object with the same keys.
    Json,
}

/// What `X-Forwarded-Client-Cert` has unless told otherwise.
#[must_use]
pub fn hash_only() -> Vec<XfccField> {
    vec![XfccField::Hash]
}

/// What upstreams are told of the client's connection.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardedHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    pub x_forwarded: ForwardedAction,
    /// `Forwarded` (RFC 7239).
    pub forwarded: ForwardedAction,
}

impl Default for ForwardedHeaders {
    fn default() -> Self {
        Self {
            x_forwarded: ForwardedAction::Set,
            forwarded: ForwardedAction::Remove,
        }
    }
}

/// What becomes of headers that tell of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedAction {
    /// They are set; what was sent is removed.
    Set,
    /// What was sent is trusted, and added to: for a gateway behind other proxies only.
    Append,
    /// What was sent is removed.
    Remove,
}

/// What becomes of a request without a well-formed `traceparent`. One that is well-formed passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traceparent {
    /// It gets one, which asks for the trace to be recorded.
    #[default]
    CreateSampled,
    /// It gets one, which does not.
    CreateUnsampled,
    /// It goes on without.
    Pass,
}

/// How paths are read. The names are Envoy's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Whether dot segments are resolved, and not refused.
    pub normalize_path: bool,
    /// Whether `//` becomes `/`, and is not refused.
    pub merge_slashes: bool,
    /// What becomes of `%2f`, `\` and `%5c`.
    pub path_with_escaped_slashes_action: EscapedSlashesAction,
}

/// What becomes of an encoded slash, a backslash and an encoded backslash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscapedSlashesAction {
    /// The request is refused.
    #[default]
    RejectRequest,
    /// It becomes a slash.
    UnescapeAndForward,
    /// It stays as it is, and is no slash for routes.
    KeepUnchanged,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            normalize_path: false,
            merge_slashes: true,
            path_with_escaped_slashes_action: EscapedSlashesAction::default(),
        }
    }
}

impl Paths {
    pub(crate) const fn rules(&self) -> PathRules {
        PathRules {
            normalize_path: self.normalize_path,
            merge_slashes: self.merge_slashes,
            escaped_slashes: match self.path_with_escaped_slashes_action {
                EscapedSlashesAction::RejectRequest => EscapedSlashes::Reject,
                EscapedSlashesAction::UnescapeAndForward => EscapedSlashes::Unescape,
                EscapedSlashesAction::KeepUnchanged => EscapedSlashes::Keep,
            },
        }
    }
}

/// The loopback addresses.
#[must_use]
pub fn this_machine() -> Vec<IpNet> {
    let networks = [
        IpNet::new(Ipv4Addr::LOCALHOST.into(), 8),
        IpNet::new(Ipv6Addr::LOCALHOST.into(), 128),
    ];
    networks.into_iter().flatten().collect()
}

const fn on() -> bool {
    true
}

const fn observation_interval() -> Duration {
    Duration::from_secs(10)
}

/// How a request's project is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentitySource {
    /// By the bearer key.
    #[default]
    Bearer,
    /// It is always this one: for an upstream that checks keys itself.
    FixedProject(ProjectId),
}

/// Limits on what clients and upstreams may take. Every default is safe on an open network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once, over all threads.
    pub connections: usize,
    /// HTTP/2 streams at once on one connection.
    pub concurrent_streams: u32,
    /// Certificates of a client's chain. A longer one ends the handshake.
    pub chain_certificates: usize,
    /// Bytes of all of them together.
    pub chain_bytes: usize,
    /// Connections of one organization at once, over all threads; absent, three quarters of
    /// `connections`.
    pub organization_connections: Option<usize>,
    /// Requests of one organization under way at once, over all threads. Each thread allows its part.
    pub organization_streams: usize,
    /// Seconds of each second of a thread for judging new chains of one organization.
    #[serde(deserialize_with = "seconds")]
    pub organization_verification: Duration,
    /// New chains of one organization that are reported in a minute.
    pub organization_chains: u32,
    /// How many of these may be of refused requests.
    pub organization_refused_chains: u32,
    /// Observations of one organization that wait to be reported.
    pub organization_observations: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Seconds for the TLS handshake.
    #[serde(deserialize_with = "seconds")]
    pub handshake_timeout: Duration,
    /// Seconds to send a request's head; also how long a connection may idle between requests.
    #[serde(deserialize_with = "seconds")]
    pub header_timeout: Duration,
    /// Seconds to reach the upstream.
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// Seconds that a client may send nothing of a body that it began, while the upstream awaits it;
    /// absent, 60, and no more than `response_timeout`.
    #[serde(deserialize_with = "some_seconds")]
    pub body_timeout: Option<Duration>,
    /// Seconds that a client may take nothing of what is sent to it.
    #[serde(deserialize_with = "seconds")]
    pub send_timeout: Duration,
    /// Seconds that nothing may move of a response that has begun, or in a tunnel, in either
    /// direction; 0 for no limit.
    #[serde(deserialize_with = "some_seconds")]
    pub stream_idle_timeout: Option<Duration>,
    /// Seconds until the upstream's response begins, from when the request has been sent.
    #[serde(deserialize_with = "seconds")]
    pub response_timeout: Duration,
    /// Idle connections kept to each upstream, on each thread.
    pub idle_upstream_connections: usize,
    /// Seconds from when `/readyz` says that the gateway stops until it accepts no new connection:
    /// as long as what sends clients here takes to notice.
    #[serde(deserialize_with = "seconds")]
    pub drain_delay: Duration,
    /// Seconds for requests under way to end after that.
    #[serde(deserialize_with = "seconds")]
    pub drain_timeout: Duration,
    /// Seconds without an answer from the control plane after which everything is refused.
    #[serde(deserialize_with = "seconds")]
    pub max_bundle_age: Duration,
}

/// nginx's `client_body_timeout`.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            concurrent_streams: 128,
            chain_certificates: 32,
            chain_bytes: 16 * 1024,
            organization_connections: None,
            organization_streams: 65_536,
            organization_verification: Duration::from_millis(250),
            organization_chains: 6_000,
            organization_refused_chains: 60,
            organization_observations: 16_384,
            header_bytes: 32 * 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            body_timeout: None,
            send_timeout: Duration::from_secs(60),
            stream_idle_timeout: Some(Duration::from_secs(300)),
            response_timeout: Duration::from_secs(300),
            idle_upstream_connections: 64,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            max_bundle_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Limits {
    /// How long a client may send nothing of a body that it began.
    pub(crate) fn body_timeout(&self) -> Duration {
        let default = BODY_TIMEOUT.min(self.response_timeout);
        self.body_timeout.unwrap_or(default)
    }

    /// What one organization may have reported.
    pub(crate) const fn reports(&self) -> ReportLimits {
        ReportLimits {
            chains: self.organization_chains,
            refused_chains: self.organization_refused_chains,
            observations: self.organization_observations,
        }
    }

    /// What one organization may take of a gateway with this many threads.
    pub(crate) fn shares(&self, threads: usize) -> ShareLimits {
        let three_quarters = self.connections - self.connections / 4;
        ShareLimits {
            verification: self.organization_verification,
            streams: self.organization_streams.div_ceil(threads.max(1)),
            connections: self.organization_connections.unwrap_or(three_quarters),
        }
    }
}

#[cfg(test)]
mod page;
