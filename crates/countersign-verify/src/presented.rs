//! What a client presented: untrusted until judged.

use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

/// A client's certificates, leaf first, as the handshake gave them. Nothing about them is known
/// but that the client holds the leaf's key.
#[derive(Clone, Default)]
pub struct Presented {
    chain: Vec<CertificateDer<'static>>,
}

impl Presented {
    /// What a client presented; empty when it presented nothing.
    #[must_use]
    pub const fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        Self { chain }
    }

    /// A chain from PEM, leaf first.
    ///
    /// # Errors
    /// A block that is not PEM.
    pub fn from_pem(pem: &str) -> Result<Self, pem::Error> {
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?;
        Ok(Self { chain })
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.chain.first()
    }

    /// What came after the leaf, in any order.
    #[must_use]
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        self.chain.get(1..).unwrap_or_default()
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({} certificates)", self.chain.len())
    }
}
