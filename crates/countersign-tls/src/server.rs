//! The TLS configuration of a server.

use std::sync::Arc;

use rustls::{ServerConfig, crypto::CryptoProvider, server::danger::ClientCertVerifier};

use crate::{error::Error, files::CertificateFiles};

/// A server with this certificate. Without a verifier it does not ask for client certificates.
/// Which protocols it agrees to (ALPN) and how it keeps sessions is left to the caller.
///
/// # Errors
/// When the certificate and its key cannot be used.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    certificate: &CertificateFiles,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, Error> {
    let pair = certificate.load(&provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Setup)?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(pair))
}
