//! What a client presented: untrusted until judged.

use aws_lc_rs::digest::{Context, SHA256};
use countersign_types::digest::{ChainDigest, Sha256};
use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

use crate::{
    budget::{MAX_INTERMEDIATE_BYTES, MAX_INTERMEDIATES},
    path::Leaf,
    x509::Certificate,
};

/// The most certificates of a chain that a verdict depends on: the leaf, the intermediates that it
/// may have, and one more, which shows that it has too many.
pub const MAX_CERTIFICATES: usize = MAX_INTERMEDIATES + 2;
/// The most bytes that a chain may have: what rustls takes as a handshake's certificates.
pub const MAX_BYTES: usize = MAX_INTERMEDIATE_BYTES;

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

    /// The certificates that a verdict depends on, leaf first. Of a chain that is too long, as
    /// many as show that it is.
    #[must_use]
    pub fn judged(&self) -> &[CertificateDer<'static>] {
        let end = self.chain.len().min(MAX_CERTIFICATES);
        self.chain.get(..end).unwrap_or_default()
    }

    /// Tells this chain from every other that may be judged otherwise. Each certificate's length
    /// goes before it, so that no two chains run together alike.
    #[must_use]
    pub fn sha256(&self) -> ChainDigest {
        let mut context = Context::new(&SHA256);
        for der in self.judged() {
            let length = u64::try_from(der.len()).unwrap_or(u64::MAX);
            context.update(&length.to_le_bytes());
            context.update(der);
        }
        // SHA-256 always has 32 bytes, so the other case cannot happen.
        let sha256 = Sha256::try_from(context.finish().as_ref());
        ChainDigest::new(sha256.unwrap_or(Sha256::ZERO))
    }
}

/// Whether a leaf is one that [`crate::judge::judge`] could ever let through. One that cannot be
/// read, that has an unknown critical extension, or whose key is of a kind or size that is not
/// supported, never is. So whoever checks in a handshake that the client holds its key may let
/// such a leaf pass unchecked, which for most of those keys it could not check anyway, and have
/// the judge refuse it by name later instead of ending the handshake in an alert.
#[must_use]
pub fn can_be_verified(leaf: &CertificateDer<'_>) -> bool {
    let fields = Certificate::read(leaf);
    fields.is_ok_and(|fields| fields.public_key().is_supported())
        && Leaf::read(leaf).is_ok_and(|leaf| leaf.is_understood())
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({} certificates)", self.chain.len())
    }
}
