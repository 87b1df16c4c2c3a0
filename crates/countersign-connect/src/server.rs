//! A server that requests are carried to, and the certificate that it is shown.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_proxy::{
    Forwarder, Limits, Target, TargetError, TargetOptions, UpstreamCounters, UpstreamTls,
};
use countersign_tls::{
    CertificateFiles, Error, ReloadingClientConfig, add_roots, client_config, public_roots,
    roots_from_file, standard,
};
use metrics::counter;
use rustls::{ClientConfig, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};

use crate::{
    carried::Carried,
    via::{Via, ViaError},
};

/// The port of `https`.
const DEFAULT_PORT: u16 = 443;

/// The tools have time limits of their own, and answers of models take long: these only end what is stuck.
const LIMITS: Limits = Limits {
    connect_timeout: Duration::from_secs(15),
    response_timeout: Duration::from_secs(60 * 60),
    body_timeout: Duration::from_secs(60 * 60),
    stream_idle_timeout: None,
    max_idle_connections: 32,
    idle_timeout: None,
};

/// Which roots the server's certificate is verified against: the public ones or a bundle instead of
/// them, and those of more files.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// A PEM file instead of the public roots.
    pub replacement: Option<PathBuf>,
    /// PEM files besides.
    pub additional: Vec<PathBuf>,
}

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Its name or address: what its certificate is for, and what requests name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Another address to connect to, if its name does not lead there.
    pub at: Option<(String, u16)>,
    /// What it is shown.
    pub certificate: CertificateFiles,
    /// Whom to trust that it is the right one.
    pub trust: Trust,
    /// Speak HTTP/2 to it, except for upgrades.
    pub http2: bool,
}

impl ServerOptions {
    /// What is connected to.
    fn host_and_port(&self) -> (&str, u16) {
        match &self.at {
            Some((host, port)) => (host, *port),
            None => (&self.host, self.port),
        }
    }

    fn address(&self) -> String {
        let (host, port) = self.host_and_port();
        format!("{host}:{port}")
    }
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its host is none.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its certificate, its key or its roots.
    #[error(transparent)]
    Tls(#[from] Error),
    /// The proxy on the way to it.
    #[error(transparent)]
    Via(#[from] ViaError),
}

/// A server that requests are carried to.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    http1: Forwarder<Carried>,
    http2: Option<Forwarder<Carried>>,
    followed: Vec<Arc<ReloadingClientConfig>>,
    asked: Arc<AtomicBool>,
    /// The proxy on the way, if there is one.
    through: Option<String>,
}

impl Server {
    /// Reads its files, and connects to nothing yet.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(options: &ServerOptions, via: &Via) -> Result<Self, ServerError> {
        let asked = Arc::<AtomicBool>::default();
        let hop = via.to(&options.address())?;
        let through = hop.map(|hop| hop.described());
        let mut followed: Vec<_> = via.followed().cloned().into_iter().collect();
        let mut open = |http2: bool| {
            let tls = Arc::new(tls(options, http2, &asked)?);
            followed.push(Arc::clone(&tls));
            let target = target(options, http2, &tls, via)?;
            Ok::<_, ServerError>(Forwarder::new(target, Vec::new(), 0))
        };
        let http1 = open(false)?;
        let http2 = options.http2.then(|| open(true)).transpose()?;
        Ok(Self {
            host: options.host.to_ascii_lowercase(),
            port: options.port,
            http1,
            http2,
            followed,
            asked,
            through,
        })
    }

    /// Its host and port, without the port that `https` has anyway.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            DEFAULT_PORT => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// The same, and the proxy that leads there.
    pub(crate) fn described(&self) -> String {
        match &self.through {
            Some(proxy) => format!("{} through the proxy {proxy}", self.authority()),
            None => self.authority(),
        }
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it asked for a client certificate in any handshake so far.
    #[must_use]
    pub fn asked_for_certificate(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Reads certificate, key and roots again if they have changed; `true` if they are used now.
    ///
    /// # Errors
    /// When they cannot be used. The old ones stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let mut changed = false;
        for each in &self.followed {
            changed |= each.reload_if_changed()?;
        }
        Ok(changed)
    }

    /// Whether a host, with or without a port, is this one.
    pub(crate) fn is_called(&self, authority: &str) -> bool {
        let (host, port) = split_port(authority);
        host.trim_end_matches('.').eq_ignore_ascii_case(&self.host)
            && port.unwrap_or(DEFAULT_PORT) == self.port
    }

    /// What carries a request: one that may become another protocol needs HTTP/1.1.
    pub(crate) fn forwarder(&self, upgrades: bool) -> &Forwarder<Carried> {
        match &self.http2 {
            Some(http2) if !upgrades => http2,
            _ => &self.http1,
        }
    }
}

/// A host, and its port if there is one.
pub(crate) fn split_port(authority: &str) -> (&str, Option<u16>) {
    // Not within the brackets of an IPv6 address.
    let split = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'));
    match split {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    }
}

fn target(
    options: &ServerOptions,
    http2: bool,
    tls: &ReloadingClientConfig,
    via: &Via,
) -> Result<Target, ServerError> {
    let labels = [("host", options.host.clone())];
    let described = TargetOptions {
        http2,
        preserve_host: false,
        limits: LIMITS,
        counters: UpstreamCounters {
            connections: counter!("countersign_connect_connections_total", &labels),
            failures: counter!("countersign_connect_connect_failures_total", &labels),
            ..UpstreamCounters::noop()
        },
    };
    let url = format!("https://{}:{}", options.host, options.port);
    let upstream = || {
        Ok::<_, ServerError>(UpstreamTls {
            config: tls.shared(),
            server_name: None,
        })
    };
    let target = Target::new(&url, upstream, Arc::new(described))?;
    let (host, port) = options.host_and_port();
    let address = options.address();
    Ok(match via.to(&address)? {
        Some(hop) => target.through(&hop.host, hop.port, hop.tunnel(&address)),
        None => target.at(host, port),
    })
}

fn tls(
    options: &ServerOptions,
    http2: bool,
    asked: &Arc<AtomicBool>,
) -> Result<ReloadingClientConfig, Error> {
    let ServerOptions {
        certificate, trust, ..
    } = options.clone();
    let roots = trust.replacement.iter().chain(&trust.additional);
    let own = [&certificate.certificate, &certificate.key];
    let files = roots.chain(own).cloned().collect();
    let asked = Arc::clone(asked);
    ReloadingClientConfig::load(files, move || {
        let mut roots = match &trust.replacement {
            Some(file) => roots_from_file(file)?,
            None => public_roots(),
        };
        for file in &trust.additional {
            add_roots(&mut roots, file)?;
        }
        let mut config: ClientConfig = client_config(standard(), roots, Some(&certificate))?;
        let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        config.client_auth_cert_resolver = Arc::new(Noting {
            inner: Arc::clone(&config.client_auth_cert_resolver),
            asked: Arc::clone(&asked),
        });
        Ok(config)
    })
}

/// Shows the certificate, and notes that it was asked for.
#[derive(Debug)]
struct Noting {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Noting {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(root_hint_subjects, schemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_from_any_host() {
        for (authority, host, port) in [
            ("a.example:8443", "a.example", Some(8443)),
            ("a.example", "a.example", None),
            ("[::1]:8443", "[::1]", Some(8443)),
            ("[::1]", "[::1]", None),
            ("a.example:x", "a.example", None),
        ] {
            assert_eq!(split_port(authority), (host, port), "{authority}");
        }
    }
}
