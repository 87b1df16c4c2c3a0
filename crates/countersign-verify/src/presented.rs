//! What a client presented: untrusted until judged.

use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

use crate::path::Leaf;

/// A client's certificates, leaf first, as the handshake gave them. Nothing about them is known
/// but that the client holds the leaf's key, if the leaf [`can_be_verified`].
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

/// Whether a leaf is one that [`crate::judge::judge`] could ever let through. One that cannot be
/// read, or that has an unknown critical extension, never is: so whoever checks in a handshake that
/// the client holds its key may let such a leaf pass unchecked, and have it refused by name later.
#[must_use]
pub fn can_be_verified(leaf: &CertificateDer<'_>) -> bool {
    Leaf::read(leaf).is_ok_and(|leaf| leaf.is_understood())
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({} certificates)", self.chain.len())
    }
}
