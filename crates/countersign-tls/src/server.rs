//! The TLS configuration of a server.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

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

/// A server whose certificate is chosen for each connection, and which asks for no client certificates.
///
/// # Errors
/// When the cryptography supports no protocol version.
pub fn server_config_choosing(
    provider: Arc<CryptoProvider>,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Setup)?;
    Ok(builder
        .with_no_client_auth()
        .with_cert_resolver(certificates))
}

/// A certificate that was issued in this process, and its key as PKCS #8.
///
/// # Errors
/// When the cryptography cannot use the key.
pub fn issued(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
) -> Result<Arc<CertifiedKey>, Error> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let pair = CertifiedKey::from_der(chain, key, provider);
    pair.map(Arc::new).map_err(Error::Setup)
}
