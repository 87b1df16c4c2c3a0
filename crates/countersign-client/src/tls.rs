//! The client's side of TLS: whom it trusts, and which certificate it presents.

use std::path::PathBuf;

use countersign_tls::{CertificateFiles, add_roots, client_config, public_roots, standard};
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// Whom the client trusts: the public roots, or a bundle instead of them, and the roots of
/// further files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(crate) instead: Option<PathBuf>,
    pub(crate) besides: Vec<PathBuf>,
}

impl From<countersign_tls::Error> for Error {
    fn from(error: countersign_tls::Error) -> Self {
        Self::Config(error.to_string())
    }
}

/// The TLS configuration of a client that speaks HTTPS.
pub(crate) fn config(
    trust: &Trust,
    certificate: Option<&CertificateFiles>,
) -> Result<ClientConfig, Error> {
    let mut roots = match &trust.instead {
        Some(bundle) => countersign_tls::roots_from_file(bundle)?,
        None => public_roots(),
    };
    for file in &trust.besides {
        add_roots(&mut roots, file)?;
    }
    let mut config = client_config(standard(), roots, certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A configuration that trusts nobody, for a client that speaks plain HTTP: without one, the
/// HTTP library would load the system's roots.
pub(crate) fn unused() -> Result<ClientConfig, Error> {
    Ok(client_config(standard(), RootCertStore::empty(), None)?)
}
