//! From the configured routes to what each thread forwards with.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use countersign_proxy::{Limits, Target, TargetOptions, UpstreamCounters};
use countersign_tls::ReloadingClientConfig;
use http::{HeaderName, HeaderValue};
use metrics::counter;

use super::{
    forward::{AuthorizationHeader, Forwarder},
    route_error::RouteError,
    upstream_tls::RouteTls,
    xfcc::Xfcc,
};
use crate::{
    operating::upstreams::Upstreams,
    options::{ForwardedHeaders, GatewayOptions, Route},
};

/// A route, checked. Each thread makes its own forwarder of it, with connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRoute {
    /// What its metrics are labelled with.
    name: String,
    /// As it was configured.
    route: Route,
    host: Option<String>,
    path: String,
    /// The servers of its upstream: the first, and the others.
    servers: (Target, Vec<Target>),
    /// The TLS to its upstream, which follows its files.
    tls: Option<Arc<ReloadingClientConfig>>,
    /// Whose turn is first on the next thread, so that not all threads begin with the same server.
    turns: Arc<AtomicUsize>,
    authorization: AuthorizationHeader,
    extra: Vec<(HeaderName, HeaderValue)>,
    forwarded: ForwardedHeaders,
    client_cert_header: bool,
    xfcc: Option<Arc<Xfcc>>,
}

impl CheckedRoute {
    /// Checks a route.
    pub(crate) fn new(
        name: String,
        route: &Route,
        options: &GatewayOptions,
    ) -> Result<Self, RouteError> {
        let limits = &options.limits;
        let target = TargetOptions {
            http2: route.http2,
            preserve_host: route.preserve_host,
            limits: Limits {
                connect_timeout: limits.connect_timeout,
                response_timeout: limits.response_timeout,
                body_timeout: limits.body_timeout(),
                stream_idle_timeout: route
                    .stream_idle_timeout
                    .or(limits.stream_idle_timeout)
                    .filter(|limit| !limit.is_zero()),
                max_idle_connections: limits.idle_upstream_connections,
                idle_timeout: route.idle_timeout,
            },
            counters: counters(name.clone()),
        };
        let mut tls = RouteTls::new(route)?;
        Ok(Self {
            name,
            route: route.clone(),
            host: route.host.clone(),
            path: route.path.clone(),
            servers: servers(route, &mut tls, Arc::new(target))?,
            tls: tls.finish()?,
            turns: Arc::default(),
            authorization: AuthorizationHeader::read(&route.authorization)
                .map_err(RouteError::Setting)?,
            extra: extra_headers(route).map_err(RouteError::Setting)?,
            forwarded: options.forwarded_headers,
            client_cert_header: options.client_cert_header,
            xfcc: Xfcc::new(options).map(Arc::new),
        })
    }

    /// Whether it does as another does. The files for TLS are followed in any case.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.route == other.route && self.authorization == other.authorization
    }

    /// The TLS to its upstream, which follows its files.
    pub(crate) fn tls(&self) -> Option<Arc<ReloadingClientConfig>> {
        self.tls.clone()
    }

    /// The route as one thread uses it.
    pub(crate) fn forwarder(&self, upstreams: &Upstreams) -> Forwarder {
        let (first, others) = &self.servers;
        Forwarder {
            host: self.host.clone(),
            path: self.path.clone(),
            upstream: countersign_proxy::Forwarder::new(
                first.clone(),
                others.clone(),
                self.turns.fetch_add(1, Ordering::Relaxed),
            ),
            meters: upstreams.meters(&self.name),
            authorization: self.authorization.clone(),
            extra: self.extra.clone(),
            forwarded: self.forwarded,
            client_cert_header: self.client_cert_header,
            xfcc: self.xfcc.clone(),
            receipt: self.route.receipt.clone(),
        }
    }
}

fn servers(
    route: &Route,
    tls: &mut RouteTls<'_>,
    options: Arc<TargetOptions>,
) -> Result<(Target, Vec<Target>), RouteError> {
    let targets = route.upstream.iter();
    let targets = targets.map(|url| Target::new(url, || tls.load(), Arc::clone(&options)));
    let mut targets = targets.collect::<Result<Vec<_>, _>>()?.into_iter();
    let first = targets.next();
    let first = first.ok_or_else(|| RouteError::Setting("`upstream` is empty".to_owned()))?;
    Ok((first, targets.collect()))
}

fn counters(route: String) -> UpstreamCounters {
    let labels = [("route", route)];
    UpstreamCounters {
        connections: counter!("countersign_gateway_upstream_connections_total", &labels),
        failures: counter!(
            "countersign_gateway_upstream_connect_failures_total",
            &labels
        ),
        ejections: counter!("countersign_gateway_upstream_ejections_total", &labels),
        repeats: counter!("countersign_gateway_upstream_repeats_total", &labels),
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
