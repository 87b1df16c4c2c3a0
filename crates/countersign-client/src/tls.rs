//! The client's side of TLS: which roots it trusts, and which certificate it presents.

use std::path::PathBuf;

use countersign_tls::{CertificateFiles, add_roots, client_config, public_roots, standard};
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// Which roots the client trusts: the public ones or a bundle instead of them, and those of more
/// files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(crate) replacement: Option<PathBuf>,
    pub(crate) additional: Vec<PathBuf>,
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
    let mut roots = match &trust.replacement {
        Some(bundle) => countersign_tls::roots_from_file(bundle)?,
        None => public_roots(),
    };
    for file in &trust.additional {
        add_roots(&mut roots, file)?;
    }
    let mut config = client_config(standard(), roots, certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A configuration that trusts no root, for a client that speaks plain HTTP: without one, the
/// HTTP library would load the system's roots.
pub(crate) fn unused() -> Result<ClientConfig, Error> {
    Ok(client_config(standard(), RootCertStore::empty(), None)?)
}
