//! A minted certificate and its key.

use crate::{der, key::Key, name::Name};

/// Who signs.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    pub(crate) name: Name,
    pub(crate) key: Key,
    pub(crate) key_identifier: Option<Vec<u8>>,
    pub(crate) serial: Vec<u8>,
}

/// A certificate with its private key. It can issue others, even if it is not a CA.
#[derive(Debug, Clone)]
pub struct Minted {
    der: Vec<u8>,
    pub(crate) this: Issuer,
}

impl Minted {
    pub(crate) fn new(der: Vec<u8>, this: Issuer) -> Self {
        Self { der, this }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        der::pem("CERTIFICATE", &self.der)
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.this.key
    }

    /// Its private key, PKCS#8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.this.key.pem()
    }
}
