//! Why a match is refused.

/// A match that can match no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidMatch {
    /// The property at fault, below `match`.
    pub property: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}
