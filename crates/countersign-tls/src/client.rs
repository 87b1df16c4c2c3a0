//! The TLS configuration of a client.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};

use crate::{error::Error, files::CertificateFiles};

/// A client that trusts these roots, and presents a certificate if there is one. Which protocols
/// it offers (ALPN) is left to the caller.
///
/// # Errors
/// When the certificate and its key cannot be used.
pub fn client_config(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    certificate: Option<&CertificateFiles>,
) -> Result<ClientConfig, Error> {
    let pair = certificate.map(|files| files.load(&provider)).transpose()?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Setup)?
        .with_root_certificates(roots);
    Ok(match pair {
        Some(pair) => builder.with_client_cert_resolver(pair),
        None => builder.with_no_client_auth(),
    })
}
