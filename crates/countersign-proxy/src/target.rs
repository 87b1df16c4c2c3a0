//! Where an upstream is, and how it is spoken to.

use std::{net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    uri::{Authority, Scheme},
};
use metrics::Counter;
use rustls::{ClientConfig, pki_types::ServerName};
use url::Url;

use crate::{error::TargetError, http_tunnel::HttpTunnel};

/// How an upstream is described.
#[derive(Debug, Clone)]
pub struct TargetOptions {
    /// Speak HTTP/2 to it.
    pub http2: bool,
    /// Send the client's `Host`, not the upstream's own.
    pub preserve_host: bool,
    /// What it may take.
    pub limits: Limits,
    /// What is counted.
    pub counters: UpstreamCounters,
}

/// What is counted of an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamCounters {
    /// Connections that were opened.
    pub connections: Counter,
    /// Attempts to open one that failed.
    pub failures: Counter,
    /// Addresses that were left out for a while.
    pub ejections: Counter,
    /// Requests that were sent once more.
    pub repeats: Counter,
}

impl UpstreamCounters {
    /// Counts nothing.
    #[must_use]
    pub fn noop() -> Self {
        Self {
            connections: Counter::noop(),
            failures: Counter::noop(),
            ejections: Counter::noop(),
            repeats: Counter::noop(),
        }
    }
}

/// How long a connection idles where neither a setting nor the upstream says: uvicorn,
/// Node.js and Apache close theirs after 5 seconds.
const IDLE: Duration = Duration::from_secs(4);

/// How much earlier than the upstream an idle connection is given up, at most: a request that is
/// under way when the upstream closes would be lost.
const IDLE_MARGIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How long an upstream may take, and what is kept for it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection, TLS included.
    pub connect_timeout: Duration,
    /// Until the response begins, from when the request has been sent.
    pub response_timeout: Duration,
    /// How long the client may send nothing of a body that it began.
    pub body_timeout: Duration,
    /// How long nothing may move in either direction once the response has begun; none for ever.
    pub stream_idle_timeout: Option<Duration>,
    /// Idle connections that each [`Forwarder`](crate::Forwarder) keeps to an address.
    pub max_idle_connections: usize,
    /// The longest that a connection idles; absent, what the upstream says, else 4 seconds.
    pub idle_timeout: Option<Duration>,
}

impl Limits {
    /// How long a shared HTTP/2 connection may idle, of which no answer tells.
    pub(crate) fn shared_idle_for(&self) -> Duration {
        self.idle_timeout.unwrap_or(IDLE)
    }

    /// How long an HTTP/1.1 connection may idle after an answer with these headers: a second less than its
    /// `Keep-Alive: timeout` says, or half of it, if there is one.
    pub(crate) fn idle_for(&self, answer: &HeaderMap) -> Duration {
        let announced = answer.get(KEEP_ALIVE).and_then(keep_alive_timeout);
        let announced = announced.map(|timeout| timeout - IDLE_MARGIN.min(timeout / 2));
        match (self.idle_timeout, announced) {
            (Some(limit), Some(announced)) => limit.min(announced),
            (limit, announced) => limit.or(announced).unwrap_or(IDLE),
        }
    }
}

/// The `timeout` parameter of a `Keep-Alive` header (RFC 2068 section 19.7.1.1).
fn keep_alive_timeout(value: &HeaderValue) -> Option<Duration> {
    let parameters = value.to_str().ok()?.split(',');
    let seconds = parameters
        .filter_map(|each| each.split_once('='))
        .find_map(|(name, value)| -> Option<u32> {
            let named = name.trim().eq_ignore_ascii_case("timeout");
            named.then(|| value.trim().trim_matches('"').parse().ok())?
        })?;
    Some(Duration::from_secs(seconds.into()))
}

/// TLS to an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// The configuration for the next connection. When it is replaced, connections that were opened
    /// with the one before serve no further request.
    pub config: Arc<ArcSwap<ClientConfig>>,
    /// The name that the upstream's certificate must carry, unless it is the host's.
    pub server_name: Option<ServerName<'static>>,
}

/// TLS, and the name that the certificate must carry.
#[derive(Debug, Clone)]
pub(crate) struct NamedTls {
    config: Arc<ArcSwap<ClientConfig>>,
    pub(crate) name: ServerName<'static>,
}

/// The host of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// To be resolved.
    Name(String),
}

impl Host {
    /// Reads a host without brackets.
    fn read(bare: &str) -> Self {
        match bare.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(bare.to_owned()),
        }
    }
}

/// Where an upstream is, checked.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) tls: Option<NamedTls>,
    pub(crate) authority: Authority,
    /// The authority as the `Host` header of HTTP/1.1.
    pub(crate) host_header: HeaderValue,
    pub(crate) scheme: Scheme,
    /// What leads there from the proxy that is connected to.
    pub(crate) tunnel: Option<Arc<HttpTunnel>>,
    pub(crate) options: Arc<TargetOptions>,
}

impl Target {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`; for the latter, `tls` is asked how.
    ///
    /// # Errors
    /// When the URL is not such a one, or `tls` fails.
    pub fn new<E: From<TargetError>>(
        upstream: &str,
        tls: impl FnOnce() -> Result<UpstreamTls, E>,
        options: Arc<TargetOptions>,
    ) -> Result<Self, E> {
        let url = Url::parse(upstream).map_err(|source| TargetError::NotAUrl {
            upstream: upstream.to_owned(),
            source,
        })?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(TargetError::HasPath(url).into());
        }
        let (scheme, default_port) = match url.scheme() {
            "http" => (Scheme::HTTP, 80),
            "https" => (Scheme::HTTPS, 443),
            _ => return Err(TargetError::Scheme(url).into()),
        };
        let not_a_host = || TargetError::Host(url.clone());
        let host = url.host_str().ok_or_else(not_a_host)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let bare = bare_host(host);
        let tls = if scheme == Scheme::HTTPS {
            let UpstreamTls {
                config,
                server_name,
            } = tls()?;
            let of_host = || ServerName::try_from(bare.to_owned()).ok();
            let name = server_name.or_else(of_host).ok_or_else(not_a_host)?;
            Some(NamedTls { config, name })
        } else {
            None
        };
        Ok(Self {
            host: Host::read(bare),
            port: url.port().unwrap_or(default_port),
            tls,
            host_header: HeaderValue::from_str(&authority).map_err(|_| not_a_host())?,
            authority: authority.parse().map_err(|_| not_a_host())?,
            scheme,
            tunnel: None,
            options,
        })
    }

    /// The same server at another address: its name, in TLS and in requests, stays as it is.
    #[must_use]
    pub fn at(mut self, host: &str, port: u16) -> Self {
        self.host = Host::read(bare_host(host));
        self.port = port;
        self
    }

    /// The same server, reached through an HTTP proxy at this address, which is asked for a tunnel.
    #[must_use]
    pub fn through(self, proxy_host: &str, proxy_port: u16, tunnel: HttpTunnel) -> Self {
        let mut target = self.at(proxy_host, proxy_port);
        target.tunnel = Some(Arc::new(tunnel));
        target
    }

    /// The TLS configuration for the next connection.
    pub(crate) fn tls_now(&self) -> Option<Arc<ClientConfig>> {
        self.tls.as_ref().map(|tls| tls.config.load_full())
    }

    /// Whether a connection that was opened with a configuration may serve further requests.
    pub(crate) fn is_current(&self, used: Option<&Arc<ClientConfig>>) -> bool {
        match (&self.tls, used) {
            (Some(tls), Some(used)) => Arc::ptr_eq(&tls.config.load(), used),
            _ => true,
        }
    }
}

/// A host as a certificate and a resolver name it: an IPv6 address without its brackets.
fn bare_host(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connect_timeout: Duration::ZERO,
        response_timeout: Duration::ZERO,
        body_timeout: Duration::ZERO,
        stream_idle_timeout: None,
        max_idle_connections: 0,
        idle_timeout: None,
    };

    fn read(upstream: &str) -> Result<Target, TargetError> {
        let options = TargetOptions {
            http2: false,
            preserve_host: false,
            limits: LIMITS,
            counters: UpstreamCounters::noop(),
        };
        let tls = || unreachable!("no case here has TLS");
        Target::new(upstream, tls, Arc::new(options))
    }

    #[test]
    fn an_upstream_is_a_scheme_a_host_and_a_port() {
        let name = |name: &str| Host::Name(name.to_owned());
        let address = |address: &str| Host::Address(address.parse().unwrap());
        for (upstream, host, port, authority) in [
            ("http://a.example", name("a.example"), 80, "a.example"),
            (
                "http://a.example:8080/",
                name("a.example"),
                8080,
                "a.example:8080",
            ),
            ("http://[::1]:8080", address("::1"), 8080, "[::1]:8080"),
            ("http://127.0.0.1", address("127.0.0.1"), 80, "127.0.0.1"),
        ] {
            let target = read(upstream).unwrap();
            assert_eq!(
                (&target.host, target.port, target.authority.as_str()),
                (&host, port, authority)
            );
            assert_eq!(target.host_header, authority);
        }
        for (upstream, says) in [
            (
                "a.example",
                "upstream `a.example`: relative URL without a base",
            ),
            ("http://a.example/v1", "give scheme, host and port only"),
            ("http://a.example?x=1", "give scheme, host and port only"),
            ("ftp://a.example", "must start with `http://` or `https://`"),
        ] {
            let error = read(upstream).unwrap_err().to_string();
            assert!(error.contains(says), "{upstream}: {error}");
        }
    }

    #[test]
    fn another_address_is_connected_to_under_the_same_name() {
        let target = read("http://a.example:8080").unwrap().at("[::1]", 1);
        let elsewhere = Host::Address("::1".parse().unwrap());
        assert_eq!((&target.host, target.port), (&elsewhere, 1));
        assert_eq!(target.host_header, "a.example:8080");
        assert_eq!(target.authority, "a.example:8080");
    }

    #[test]
    fn a_connection_idles_less_than_its_upstream_allows() {
        let idle_for = |limit: Option<u64>, header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(KEEP_ALIVE, header.parse().unwrap());
            }
            let limits = Limits {
                idle_timeout: limit.map(Duration::from_secs),
                ..LIMITS
            };
            limits.idle_for(&headers).as_millis()
        };
        for (limit, header, milliseconds) in [
            (None, None, 4_000),
            (Some(50), None, 50_000),
            (None, Some("timeout=75"), 74_000),
            (None, Some("max=100, Timeout=5"), 4_000),
            (None, Some("timeout=\"2\""), 1_000),
            (Some(1), Some("timeout=5"), 1_000),
            (Some(50), Some("timeout=5"), 4_000),
            (None, Some("timeout=1"), 500),
            (None, Some("timeout=0"), 0),
            (None, Some("max=100"), 4_000),
            (None, Some("timeout=soon"), 4_000),
        ] {
            let found = idle_for(limit, header);
            assert_eq!(found, milliseconds, "{limit:?} {header:?}");
        }
    }
}
