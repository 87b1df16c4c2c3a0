//! Where an upstream is, and how it is spoken to.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderValue,
    uri::{Authority, Scheme},
};
use metrics::Counter;
use rustls::{ClientConfig, pki_types::ServerName};
use url::Url;

use crate::error::TargetError;

/// How an upstream is described.
#[derive(Debug, Clone)]
pub struct TargetOptions {
    /// Speak HTTP/2 to it.
    pub http2: bool,
    /// Send the client's `Host`, not the upstream's own.
    pub preserve_host: bool,
    /// What it may take.
    pub limits: Limits,
    /// Counts the connections that are opened to it.
    pub connections: Counter,
}

/// How long an upstream may take, and what is kept for it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection, TLS included.
    pub connect_timeout: Duration,
    /// Until the response begins.
    pub response_timeout: Duration,
    /// Idle connections that each [`Forwarder`](crate::Forwarder) keeps.
    pub max_idle_connections: usize,
}

/// Where an upstream is, checked.
#[derive(Debug, Clone)]
pub struct Target {
    /// `HOST:PORT`, as it is connected to.
    pub(crate) address: String,
    /// TLS to it, and the name that its certificate must carry.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(crate) authority: Authority,
    /// The authority as the `Host` header of HTTP/1.1.
    pub(crate) host_header: HeaderValue,
    pub(crate) scheme: Scheme,
    pub(crate) http2: bool,
    pub(crate) preserve_host: bool,
    pub(crate) limits: Limits,
    pub(crate) connections: Counter,
}

impl Target {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`; for the latter, `tls` is asked for the
    /// configuration.
    ///
    /// # Errors
    /// When the URL is not such a one, or `tls` fails.
    pub fn new<E: From<TargetError>>(
        upstream: &str,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
        options: TargetOptions,
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
        let port = url.port().unwrap_or(default_port);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let tls = if scheme == Scheme::HTTPS {
            Some((tls()?, server_name(host).ok_or_else(not_a_host)?))
        } else {
            None
        };
        let TargetOptions {
            http2,
            preserve_host,
            limits,
            connections,
        } = options;
        Ok(Self {
            address: format!("{host}:{port}"),
            tls,
            host_header: HeaderValue::from_str(&authority).map_err(|_| not_a_host())?,
            authority: authority.parse().map_err(|_| not_a_host())?,
            scheme,
            http2,
            preserve_host,
            limits,
            connections,
        })
    }
}

/// A host as a certificate names it: an IPv6 address without its brackets.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(upstream: &str) -> Result<Target, TargetError> {
        let options = TargetOptions {
            http2: false,
            preserve_host: false,
            limits: Limits {
                connect_timeout: Duration::ZERO,
                response_timeout: Duration::ZERO,
                max_idle_connections: 0,
            },
            connections: Counter::noop(),
        };
        let tls = || unreachable!("no case here has TLS");
        Target::new(upstream, tls, options)
    }

    #[test]
    fn an_upstream_is_a_scheme_a_host_and_a_port() {
        for (upstream, address, authority) in [
            ("http://a.example", "a.example:80", "a.example"),
            ("http://a.example:8080/", "a.example:8080", "a.example:8080"),
            ("http://[::1]:8080", "[::1]:8080", "[::1]:8080"),
        ] {
            let target = read(upstream).unwrap();
            assert_eq!(
                (&*target.address, target.authority.as_str()),
                (address, authority)
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
}
