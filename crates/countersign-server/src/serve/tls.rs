//! TLS of the listener, from two PEM files.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// Why the TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not the PEM that it should be.
    #[error("cannot read `{}`: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Certificate and key do not make a server: they do not belong together, say.
    #[error("the certificate and key for TLS cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsFiles {
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let (chain, key) = (self.chain()?, self.private_key()?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let failed = |source| TlsError::File {
            file: self.certificate.clone(),
            source,
        };
        let pem = std::fs::read(&self.certificate).map_err(failed)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| failed(io::Error::other(error)))?;
        if chain.is_empty() {
            return Err(failed(io::Error::other("there is no certificate in it")));
        }
        Ok(chain)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let failed = |source| TlsError::File {
            file: self.key.clone(),
            source,
        };
        let pem = std::fs::read(&self.key).map_err(failed)?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(io::Error::other(error)))
    }
}
