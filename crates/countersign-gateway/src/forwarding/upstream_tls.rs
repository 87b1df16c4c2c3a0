//! TLS to the upstream of a route: the roots that it is verified against, and what it is shown.

use std::sync::Arc;

use countersign_proxy::UpstreamTls;
use countersign_tls::{
    CertificateFiles, ReloadingClientConfig, aes128_first, client_config, public_roots,
    roots_from_file,
};
use rustls::{ClientConfig, pki_types::ServerName};

use super::route_error::RouteError;
use crate::options::Route;

/// The TLS of a route, which is loaded once it is needed.
#[derive(Debug)]
pub(super) struct RouteTls<'a> {
    route: &'a Route,
    certificate: Option<CertificateFiles>,
    server_name: Option<ServerName<'static>>,
    loaded: Option<Arc<ReloadingClientConfig>>,
}

impl<'a> RouteTls<'a> {
    pub(super) fn new(route: &'a Route) -> Result<Self, RouteError> {
        let certificate = match (&route.client_certificate, &route.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(CertificateFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
            _ => {
                let reason = "a route has `client_certificate` and `client_key`, or neither";
                return Err(RouteError::Setting(reason.to_owned()));
            }
        };
        let server_name = route.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| {
                RouteError::Setting(format!("`server_name`: `{name}` is not the name of a host"))
            })
        });
        Ok(Self {
            route,
            certificate,
            server_name: server_name.transpose()?,
            loaded: None,
        })
    }

    /// The TLS for one server of the upstream.
    pub(super) fn load(&mut self) -> Result<UpstreamTls, RouteError> {
        let loaded = match &self.loaded {
            Some(loaded) => loaded,
            None => self
                .loaded
                .insert(Arc::new(reloading(self.route, self.certificate.clone())?)),
        };
        Ok(UpstreamTls {
            config: loaded.shared(),
            server_name: self.server_name.clone(),
        })
    }

    /// What follows the files, if TLS is spoken to any server.
    pub(super) fn finish(self) -> Result<Option<Arc<ReloadingClientConfig>>, RouteError> {
        let needs_tls = self.certificate.is_some() || self.server_name.is_some();
        if needs_tls && self.loaded.is_none() {
            let reason = "`client_certificate` and `server_name` need an `https://` upstream";
            return Err(RouteError::Setting(reason.to_owned()));
        }
        Ok(self.loaded)
    }
}

fn reloading(
    route: &Route,
    certificate: Option<CertificateFiles>,
) -> Result<ReloadingClientConfig, countersign_tls::Error> {
    let (ca, http2) = (route.ca.clone(), route.http2);
    let own = certificate
        .iter()
        .flat_map(|files| [&files.certificate, &files.key]);
    let files = ca.iter().chain(own).cloned().collect();
    ReloadingClientConfig::load(files, move || {
        // A CA file replaces the public roots: an upstream of one's own has no public certificate.
        let roots = match &ca {
            None => public_roots(),
            Some(file) => roots_from_file(file)?,
        };
        let mut config: ClientConfig = client_config(aes128_first(), roots, certificate.as_ref())?;
        let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    })
}
