//! What a configuration comes to: TLS, routes, and the client of the control plane.

use countersign_client::Client;
use countersign_tls::{CertificateFiles, ReloadingServerConfig};
use countersign_types::secret::Secret;

use super::start_error::StartError;
use crate::{
    accepting::tls,
    forwarding::routes::CheckedRoute,
    options::{Authorization, GatewayOptions, Route},
    receipts::giving::{self, Receipts},
    shared::Shared,
    sync::pull::{PING, UNACKNOWLEDGED},
};

pub(super) fn server_tls(
    options: &GatewayOptions,
) -> Result<ReloadingServerConfig, countersign_tls::Error> {
    let files = CertificateFiles {
        certificate: options.certificate.clone(),
        key: options.private_key.clone(),
    };
    let chains = tls::ChainLimits::new(&options.limits);
    let both = vec![files.certificate.clone(), files.key.clone()];
    ReloadingServerConfig::load(both, move || tls::server_config(&files, chains))
}

/// What gives receipts, where a configuration is the first that asks for any. The key is read for it, or made.
pub(super) fn first_receipts(
    shared: &Shared,
    options: &GatewayOptions,
) -> Result<Option<Receipts>, StartError> {
    if !giving::are_wanted(options) || shared.receipts.initialized() {
        return Ok(None);
    }
    let directory = &options.data_dir;
    let opened = Receipts::open(directory, shared.id.clone());
    opened
        .map(Some)
        .map_err(|error| StartError::file(directory, error))
}

/// The configured routes, then the control plane's own.
pub(super) fn routes(options: &GatewayOptions) -> Result<Vec<CheckedRoute>, StartError> {
    if giving::lack_a_log(options) {
        let why = "`receipt` names the log, and there is no `access_log`; set one, or `receipt = \"header\"`";
        return Err(StartError::Options(why.to_owned()));
    }
    let url = url::Url::parse(&options.control_plane)
        .map_err(|error| StartError::Options(format!("`{}`: {error}", options.control_plane)))?;
    let control_plane = Route {
        host: None,
        path: "/".to_owned(),
        upstream: vec![url.origin().ascii_serialization()],
        http2: false,
        idle_timeout: None,
        client_certificate: None,
        client_key: None,
        server_name: None,
        ca: options.control_plane_ca.clone(),
        authorization: Authorization::Pass,
        preserve_host: false,
        stream_idle_timeout: None,
        receipt: Vec::new(),
        headers: std::collections::BTreeMap::new(),
    };
    let name = |route: &Route| format!("{}{}", route.host.as_deref().unwrap_or("*"), route.path);
    let routes = options.routes.iter().map(|route| (name(route), route));
    routes
        .chain(std::iter::once((
            "control plane".to_owned(),
            &control_plane,
        )))
        .map(|(name, route)| {
            CheckedRoute::new(name, route, options)
                .map_err(|error| StartError::Options(error.to_string()))
        })
        .collect()
}

/// Refuses to send the gateway's key and the bundles over a network in the clear, unless that is
/// wanted.
fn check_cleartext(control_plane: &str, allowed: bool) -> Result<(), StartError> {
    // What is no URL is refused where it is used.
    let Ok(url) = url::Url::parse(control_plane) else {
        return Ok(());
    };
    let here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    };
    if url.scheme() != "http" || here || allowed {
        return Ok(());
    }
    Err(StartError::Options(format!(
        "`control_plane` is `{control_plane}`: the gateway's key and the bundles would cross the network in the \
         clear; use `https://`, or set `allow_cleartext = true` where something else encrypts"
    )))
}

pub(super) fn client(options: &GatewayOptions) -> Result<Client, StartError> {
    check_cleartext(&options.control_plane, options.allow_cleartext)?;
    let key = std::fs::read_to_string(&options.key_file).map_err(|error| {
        StartError::Options(format!(
            "cannot read `{}`: {error}",
            options.key_file.display()
        ))
    })?;
    let mut builder = Client::builder()
        .base_url(&options.control_plane)
        .key(Secret::new(key.trim()))
        .max_retries(0)
        .notice_silence(PING, UNACKNOWLEDGED);
    if let Some(file) = &options.control_plane_ca {
        builder = builder.ca_bundle(file);
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use super::check_cleartext;

    #[test]
    fn a_control_plane_over_http_is_on_this_machine_or_wanted() {
        for (url, unasked) in [
            ("https://plane.example:8085/v1", true),
            ("http://127.0.0.1:8085/v1", true),
            ("http://[::1]:8085/v1", true),
            ("http://localhost:8085/v1", true),
            ("http://plane.example:8085/v1", false),
            ("http://10.0.0.5:8085/v1", false),
            ("http://localhost.example/v1", false),
            ("http://0.0.0.0:8085/v1", false),
        ] {
            assert_eq!(check_cleartext(url, false).is_ok(), unasked, "{url}");
            assert!(check_cleartext(url, true).is_ok(), "{url}");
        }
    }
}
