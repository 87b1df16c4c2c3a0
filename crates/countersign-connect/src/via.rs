//! The HTTP proxy that servers are reached through, if there is one.

use std::fmt;

use countersign_proxy::HttpTunnel;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

/// The port of a proxy whose URL names none.
const DEFAULT_PORT: u16 = 80;

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ViaError {
    /// It is no HTTP proxy that speaks without TLS.
    #[error("the proxy `{0}` cannot be used: only `http://` proxies can")]
    Scheme(String),
    /// It is no URL. What was given may hold a password.
    #[error("the proxy's URL cannot be read: write `http://HOST:PORT`")]
    Url,
    /// The name cannot stand in a URL.
    #[error("`{0}` is not a host")]
    Host(String),
}

/// Which proxy leads where.
pub struct Via(Matcher);

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
}

impl Hop {
    /// What the proxy is asked for, to reach this host and port.
    pub(crate) fn tunnel(&self, authority: &str) -> HttpTunnel {
        HttpTunnel::new(authority, self.credentials.as_ref())
    }
}

impl Via {
    /// No proxy anywhere.
    #[must_use]
    pub fn none() -> Self {
        Self(Matcher::builder().build())
    }

    /// What `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this process say.
    #[must_use]
    pub fn environment() -> Self {
        Self(Matcher::from_env())
    }

    /// This proxy for every server.
    ///
    /// # Errors
    /// When it is none that can be used.
    pub fn proxy(url: &str) -> Result<Self, ViaError> {
        let via = Self(Matcher::builder().all(url.to_owned()).build());
        // The matcher leaves out what it cannot read, and then there would be no proxy at all.
        match via.to("any.invalid:443")? {
            Some(_) => Ok(via),
            None => Err(ViaError::Url),
        }
    }

    /// The proxy for a host and port.
    pub(crate) fn to(&self, authority: &str) -> Result<Option<Hop>, ViaError> {
        let not_a_host = || ViaError::Host(authority.to_owned());
        let uri: Uri = format!("https://{authority}/")
            .parse()
            .map_err(|_| not_a_host())?;
        let Some(found) = self.0.intercept(&uri) else {
            return Ok(None);
        };
        let proxy = found.uri();
        let host = proxy.host().unwrap_or_default();
        if proxy.scheme_str() != Some("http") || host.is_empty() {
            // Without user name and password, which are kept apart.
            return Err(ViaError::Scheme(proxy.to_string()));
        }
        Ok(Some(Hop {
            host: host.to_owned(),
            port: proxy.port_u16().unwrap_or(DEFAULT_PORT),
            credentials: found.basic_auth().cloned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_url_and_its_password_is_never_shown() {
        let to = |url: &str| Via::proxy(url)?.to("a.example:443");
        let hop = to("http://user:word@proxy.example:3128").unwrap().unwrap();
        assert_eq!((hop.host.as_str(), hop.port), ("proxy.example", 3128));
        assert_eq!(hop.credentials.as_ref().unwrap(), "Basic dXNlcjp3b3Jk");
        assert!(!format!("{hop:?}").contains("dXNlcjp3b3Jk"));
        assert_eq!(to("proxy.example").unwrap().unwrap().port, 80);
        for url in ["https://user:word@proxy.example", "socks5://proxy.example"] {
            let error = to(url).unwrap_err().to_string();
            assert!(
                error.contains("only `http://`") && !error.contains("word"),
                "{error}"
            );
        }
        let error = Via::proxy("http://user:word@").unwrap_err().to_string();
        assert!(!error.contains("word"), "{error}");
        assert!(Via::none().to("a.example:443").unwrap().is_none());
    }
}
