//! From the configured routes to what each thread forwards with.

use std::sync::Arc;

use countersign_tls::{aes128_first, public_roots, roots_from_file};
use http::{
    HeaderName, HeaderValue,
    uri::{Authority, Scheme},
};
use rustls::{ClientConfig, pki_types::ServerName};
use url::Url;

use crate::{
    forward::{AuthorizationHeader, Forwarder},
    options::{GatewayOptions, Route},
    upstream::{Target, Upstream},
};

/// A route, checked: each thread makes its own forwarder of it, with connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    host: Option<String>,
    path: String,
    target: Target,
    authority: Authority,
    host_header: HeaderValue,
    scheme: Scheme,
    preserve_host: bool,
    authorization: AuthorizationHeader,
    extra: Vec<(HeaderName, HeaderValue)>,
    client_cert_header: bool,
    xfcc_header: bool,
}

impl Plan {
    /// Checks a route.
    pub(crate) fn new(route: &Route, options: &GatewayOptions) -> Result<Self, String> {
        let url = Url::parse(&route.upstream)
            .map_err(|error| format!("upstream `{}`: {error}", route.upstream))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(format!("upstream `{url}`: give scheme, host and port only"));
        }
        let (scheme, default_port) = match url.scheme() {
            "http" => (Scheme::HTTP, 80),
            "https" => (Scheme::HTTPS, 443),
            _ => {
                return Err(format!(
                    "upstream `{url}`: must start with `http://` or `https://`"
                ));
            }
        };
        let host = url
            .host_str()
            .ok_or_else(|| format!("upstream `{url}`: names no host"))?;
        let port = url.port().unwrap_or(default_port);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let tls = match url.scheme() {
            "https" => {
                let config = client_config(route).map_err(|error| error.to_string())?;
                Some((config, server_name(host)?))
            }
            _ => None,
        };
        Ok(Self {
            host: route.host.clone(),
            path: route.path.clone(),
            target: Target {
                address: format!("{host}:{port}"),
                tls,
                http2: route.http2,
                connect_timeout: options.limits.connect_timeout,
                response_timeout: options.limits.response_timeout,
                max_idle_connections: options.limits.idle_upstream_connections,
            },
            host_header: HeaderValue::from_str(&authority)
                .map_err(|_| format!("upstream `{url}`: not a host"))?,
            authority: authority
                .parse()
                .map_err(|_| format!("upstream `{url}`: not a host"))?,
            scheme,
            preserve_host: route.preserve_host,
            authorization: AuthorizationHeader::read(&route.authorization)?,
            extra: extra_headers(route)?,
            client_cert_header: options.client_cert_header,
            xfcc_header: options.xfcc_header,
        })
    }

    /// The route as one thread uses it.
    pub(crate) fn forwarder(&self) -> Forwarder {
        Forwarder {
            host: self.host.clone(),
            path: self.path.clone(),
            upstream: Upstream::new(self.target.clone()),
            authority: self.authority.clone(),
            host_header: self.host_header.clone(),
            scheme: self.scheme.clone(),
            http2: self.target.http2,
            preserve_host: self.preserve_host,
            authorization: self.authorization.clone(),
            extra: self.extra.clone(),
            client_cert_header: self.client_cert_header,
            xfcc_header: self.xfcc_header,
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| format!("`{host}` is not a host name"))
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
                .map_err(|_| format!("the value of header `{name}` is not one"))?;
            Ok((name, value))
        })
        .collect()
}

fn client_config(route: &Route) -> Result<Arc<ClientConfig>, countersign_tls::Error> {
    let roots = match &route.ca {
        None => public_roots(),
        Some(file) => roots_from_file(file)?,
    };
    let mut config = countersign_tls::client_config(aes128_first(), roots, None)?;
    let protocol: &[u8] = if route.http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
