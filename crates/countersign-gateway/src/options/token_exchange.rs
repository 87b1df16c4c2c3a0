//! Exchanging client certificates for tokens.

use serde::Deserialize;

/// Host names, without ports.
type HostNames = Vec<String>;

/// Exchanging client certificates for tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    /// The host names under which `POST /oauth/token` is served, and nothing else; with any,
    /// `/.well-known/jwks.json` is served under all others.
    #[serde(default)]
    pub hosts: HostNames,
}

impl TokenExchange {
    /// Whether a host, with or without a port, is one of them.
    pub(crate) fn serves(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let mut hosts = self.hosts.iter();
        hosts.any(|own| own.eq_ignore_ascii_case(name))
    }
}
