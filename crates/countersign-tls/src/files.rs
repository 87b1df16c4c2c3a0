//! Reading certificates and private keys from PEM files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    InconsistentKeys,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};

use crate::error::Error;

/// The files of a certificate chain, its owner's certificate first, and of the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate chain in PEM.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Checks that both files can be read and belong together.
    ///
    /// # Errors
    /// When they cannot be used for TLS.
    pub fn check(&self) -> Result<(), Error> {
        self.load(&crate::provider::standard()).map(|_| ())
    }

    /// Reads both files, and checks that the key is the certificate's.
    pub(crate) fn load(&self, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>, Error> {
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        CertifiedKey::from_der(chain, key, provider)
            .map(|pair| Arc::new(SingleCertAndKey::from(pair)))
            .map_err(|error| self.unusable(error))
    }

    fn unusable(&self, error: rustls::Error) -> Error {
        let certificate = self.certificate.clone();
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Error::KeyMismatch {
                certificate,
                key: self.key.clone(),
            },
            source => Error::Unusable {
                certificate,
                source,
            },
        }
    }
}

/// Every certificate in a PEM file, and at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|_| Error::BrokenPem { file: file.into() })?;
    if found.is_empty() {
        return Err(Error::NoCertificate { file: file.into() });
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = read(file)?;
    // Said apart from "no private key": PEM readers skip encrypted blocks without a word.
    if pem.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(Error::EncryptedKey { file: file.into() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| Error::NoPrivateKey { file: file.into() })
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|source| Error::Read {
        file: file.into(),
        source,
    })
}
