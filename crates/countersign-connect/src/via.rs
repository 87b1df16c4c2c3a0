//! The HTTP proxy that servers are reached through, if there is one.

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use countersign_proxy::HttpTunnel;
use countersign_tls::{
    Error, ReloadingClientConfig, add_roots, client_config, public_roots, standard,
};
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::{ClientConfig, pki_types::ServerName};

/// The port of an `http://` proxy whose URL names none.
const DEFAULT_PORT: u16 = 80;
/// The same of an `https://` proxy.
const DEFAULT_TLS_PORT: u16 = 443;

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ViaError {
    /// It is no HTTP proxy.
    #[error("the proxy `{0}` cannot be used: only `http://` and `https://` proxies can")]
    Scheme(String),
    /// It is no URL. What was given may hold a password.
    #[error("the proxy's URL cannot be read: write `http://HOST:PORT` or `https://HOST:PORT`")]
    Url,
    /// Its roots cannot be used.
    #[error(transparent)]
    Tls(#[from] Error),
    /// The name cannot stand in a URL.
    #[error("`{0}` is not a host")]
    Host(String),
}

/// Which proxy leads where.
pub struct Via {
    matcher: Matcher,
    /// For `https://` proxies: whom to trust that it is the right one. Servers have roots of their own: who
    /// vouches for a proxy does not vouch for what is behind it.
    tls: Option<Arc<ReloadingClientConfig>>,
}

impl fmt::Debug for Via {
    /// Nothing of what it holds: a proxy's URL may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Via(..)")
    }
}

/// A proxy on the way to a server.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) host: String,
    pub(crate) port: u16,
    credentials: Option<HeaderValue>,
    tls: Option<(Arc<ArcSwap<ClientConfig>>, ServerName<'static>)>,
}

impl Hop {
    /// What the proxy is asked for, to reach this host and port.
    pub(crate) fn tunnel(&self, authority: &str) -> HttpTunnel {
        let tunnel = HttpTunnel::new(authority, self.credentials.as_ref());
        match &self.tls {
            Some((config, name)) => tunnel.in_tls(Arc::clone(config), name.clone()),
            None => tunnel,
        }
    }

    /// Where it is, in words.
    pub(crate) fn described(&self) -> String {
        let scheme = if self.tls.is_some() { "https://" } else { "" };
        format!("{scheme}{}:{}", self.host, self.port)
    }
}

/// TLS to proxies: the public roots, and those of a PEM file if there is one.
fn tls(ca: Option<PathBuf>) -> Result<Arc<ReloadingClientConfig>, Error> {
    let config = ReloadingClientConfig::load(ca.iter().cloned().collect(), move || {
        let mut roots = public_roots();
        if let Some(file) = &ca {
            add_roots(&mut roots, file)?;
        }
        let mut config = client_config(standard(), roots, None)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    })?;
    Ok(Arc::new(config))
}

impl Via {
    /// No proxy anywhere.
    #[must_use]
    pub fn none() -> Self {
        Self {
            matcher: Matcher::builder().build(),
            tls: None,
        }
    }

    /// What `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this process say. The certificates of proxies are verified
    /// against the public roots and those of this PEM file.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn environment(ca: Option<PathBuf>) -> Result<Self, ViaError> {
        Ok(Self {
            matcher: Matcher::from_env(),
            tls: Some(tls(ca)?),
        })
    }

    /// This proxy for every server; its certificate is verified in the same way.
    ///
    /// # Errors
    /// When it is none that can be used, or the file cannot be.
    pub fn proxy(url: &str, ca: Option<PathBuf>) -> Result<Self, ViaError> {
        let via = Self {
            matcher: Matcher::builder().all(url.to_owned()).build(),
            tls: Some(tls(ca)?),
        };
        // The matcher leaves out what it cannot read, and then there would be no proxy at all.
        match via.to("any.invalid:443")? {
            Some(_) => Ok(via),
            None => Err(ViaError::Url),
        }
    }

    /// The roots that follow their file.
    pub(crate) const fn followed(&self) -> Option<&Arc<ReloadingClientConfig>> {
        self.tls.as_ref()
    }

    /// The proxy for a host and port.
    pub(crate) fn to(&self, authority: &str) -> Result<Option<Hop>, ViaError> {
        let not_a_host = || ViaError::Host(authority.to_owned());
        let uri: Uri = format!("https://{authority}/")
            .parse()
            .map_err(|_| not_a_host())?;
        let Some(found) = self.matcher.intercept(&uri) else {
            return Ok(None);
        };
        let proxy = found.uri();
        let host = proxy.host().unwrap_or_default();
        // Without user name and password, which are kept apart.
        let unusable = || ViaError::Scheme(proxy.to_string());
        let (tls, port) = match (proxy.scheme_str(), &self.tls) {
            (Some("http"), _) => (None, DEFAULT_PORT),
            (Some("https"), Some(tls)) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let name = ServerName::try_from(bare.to_owned()).map_err(|_| unusable())?;
                (Some((tls.shared(), name)), DEFAULT_TLS_PORT)
            }
            _ => return Err(unusable()),
        };
        if host.is_empty() {
            return Err(unusable());
        }
        Ok(Some(Hop {
            host: host.to_owned(),
            port: proxy.port_u16().unwrap_or(port),
            credentials: found.basic_auth().cloned(),
            tls,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_url_of_http_and_its_password_is_never_shown() {
        let to = |url: &str| Via::proxy(url, None)?.to("a.example:443");
        let hop = to("http://user:word@proxy.example:3128").unwrap().unwrap();
        assert_eq!((hop.host.as_str(), hop.port), ("proxy.example", 3128));
        assert_eq!(hop.credentials.as_ref().unwrap(), "Basic dXNlcjp3b3Jk");
        assert!(!format!("{hop:?}").contains("dXNlcjp3b3Jk"));
        assert_eq!(to("proxy.example").unwrap().unwrap().port, 80);
        assert_eq!(hop.described(), "proxy.example:3128");
        let hop = to("https://user:word@proxy.example").unwrap().unwrap();
        assert_eq!(hop.described(), "https://proxy.example:443");
        assert!(hop.tls.is_some() && !format!("{hop:?}").contains("dXNlcjp3b3Jk"));
        let error = to("socks5://user:word@proxy.example")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("only `http://`") && !error.contains("word"),
            "{error}"
        );
        let error = Via::proxy("http://user:word@", None)
            .unwrap_err()
            .to_string();
        assert!(!error.contains("word"), "{error}");
        assert!(Via::none().to("a.example:443").unwrap().is_none());
    }
}
