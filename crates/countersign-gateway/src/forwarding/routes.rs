//! From the configured routes to what each thread forwards with.

use std::sync::Arc;

use countersign_proxy::{Limits, Target, TargetError, TargetOptions};
use countersign_tls::{aes128_first, client_config, public_roots, roots_from_file};
use http::{HeaderName, HeaderValue};
use metrics::Counter;
use rustls::ClientConfig;

use super::forward::{AuthorizationHeader, Forwarder};
use crate::options::{ForwardedHeaders, GatewayOptions, Route};

/// A route, checked. Each thread makes its own forwarder of it, with connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRoute {
    host: Option<String>,
    path: String,
    target: Target,
    authorization: AuthorizationHeader,
    extra: Vec<(HeaderName, HeaderValue)>,
    forwarded: ForwardedHeaders,
    client_cert_header: bool,
    xfcc_header: bool,
}

/// Why a route cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Tls(#[from] countersign_tls::Error),
    #[error("{0}")]
    Header(String),
}

impl CheckedRoute {
    pub(crate) fn new(
        route: &Route,
        options: &GatewayOptions,
        connections: Counter,
    ) -> Result<Self, RouteError> {
        let limits = &options.limits;
        let target = TargetOptions {
            http2: route.http2,
            preserve_host: route.preserve_host,
            limits: Limits {
                connect_timeout: limits.connect_timeout,
                response_timeout: limits.response_timeout,
                max_idle_connections: limits.idle_upstream_connections,
            },
            connections,
        };
        let tls = || upstream_tls(route).map_err(RouteError::from);
        Ok(Self {
            host: route.host.clone(),
            path: route.path.clone(),
            target: Target::new(&route.upstream, tls, target)?,
            authorization: AuthorizationHeader::read(&route.authorization)
                .map_err(RouteError::Header)?,
            extra: extra_headers(route).map_err(RouteError::Header)?,
            forwarded: options.forwarded_headers,
            client_cert_header: options.client_cert_header,
            xfcc_header: options.xfcc_header,
        })
    }

    /// The route as one thread uses it.
    pub(crate) fn forwarder(&self) -> Forwarder {
        Forwarder {
            host: self.host.clone(),
            path: self.path.clone(),
            upstream: countersign_proxy::Forwarder::new(self.target.clone()),
            authorization: self.authorization.clone(),
            extra: self.extra.clone(),
            forwarded: self.forwarded,
            client_cert_header: self.client_cert_header,
            xfcc_header: self.xfcc_header,
        }
    }
}

fn extra_headers(route: &Route) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    route
        .headers
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is not a header name"))?;
            let value = value
                .parse()
                .map_err(|_| format!("the value of header `{name}` is not valid in a header"))?;
            Ok((name, value))
        })
        .collect()
}

/// A CA file replaces the public roots: an upstream of one's own has no public certificate.
fn upstream_tls(route: &Route) -> Result<Arc<ClientConfig>, countersign_tls::Error> {
    let roots = match &route.ca {
        None => public_roots(),
        Some(file) => roots_from_file(file)?,
    };
    let mut config = client_config(aes128_first(), roots, None)?;
    let protocol: &[u8] = if route.http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
