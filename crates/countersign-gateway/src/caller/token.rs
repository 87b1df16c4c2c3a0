//! A token that a workload calls with.

use std::sync::Arc;

use countersign_types::{id::TokenKeyId, token::TokenClaims};

use super::identity::Identity;

/// A token whose signature was verified. Whether it still admits anybody is asked of the organization as it is
/// enforced, for each request.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) claims: TokenClaims,
    /// The key that signed it.
    pub(crate) key: TokenKeyId,
    pub(super) identity: Arc<Identity>,
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.claims == other.claims && self.key == other.key
    }
}

impl Eq for Token {}
