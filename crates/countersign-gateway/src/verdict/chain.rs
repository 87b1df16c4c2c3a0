//! The certificate chain that a connection presented.

use countersign_types::digest::ChainDigest;
use countersign_verify::presented::Presented;

/// What a connection presented, and the digest that identifies it.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) presented: Presented,
    pub(crate) digest: ChainDigest,
}

impl Chain {
    pub(crate) fn new(presented: Presented) -> Self {
        Self {
            digest: presented.sha256(),
            presented,
        }
    }

    /// The bytes of what a verdict depends on.
    pub(crate) fn bytes(&self) -> usize {
        self.presented.judged().iter().map(|der| der.len()).sum()
    }
}
