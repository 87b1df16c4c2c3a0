//! What was minted: the certificate, its key, and what it can issue.

use crate::{
    der,
    key::Key,
    template::{Issuer, Template},
};

/// A certificate with its private key. It issues others whatever it says about itself.
#[derive(Debug, Clone)]
pub struct Minted {
    der: Vec<u8>,
    this: Issuer,
}

impl Minted {
    pub(crate) fn new(der: Vec<u8>, this: Issuer) -> Self {
        Self { der, this }
    }

    /// A CA below this one.
    pub fn intermediate(&self, name: &str) -> Template {
        Template::intermediate(name, self.this.clone())
    }

    /// A client certificate below this one.
    pub fn leaf(&self, name: &str) -> Template {
        Template::leaf(name, self.this.clone())
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
