//! TLS of the listener.

use std::sync::Arc;

use countersign_tls::{CertificateFiles, Error, server_config, standard};
use tokio_rustls::TlsAcceptor;

/// Takes TLS connections with this certificate.
pub(super) fn acceptor(files: &CertificateFiles) -> Result<TlsAcceptor, Error> {
    let mut config = server_config(standard(), files, None)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
