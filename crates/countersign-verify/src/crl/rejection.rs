//! Why a revocation list is refused, and what to do about it.

/// Why a revocation list is refused: what is wrong and what to do, in full sentences. It quotes nothing of
/// the list but names, numbers and times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CrlRejection {
    /// What is wrong and what to do.
    pub message: String,
}

impl CrlRejection {
    /// What is wrong, and the remedy.
    pub(super) fn new(wrong: impl AsRef<str>, remedy: &str) -> Self {
        Self {
            message: format!("{} {remedy}", wrong.as_ref()),
        }
    }

    /// A list whose form is not that of RFC 5280 section 5.1.
    pub(super) fn malformed(what: &str) -> Self {
        Self::new(
            format!("The revocation list cannot be read: {what}."),
            "Send it as the CA wrote it, in PEM or DER.",
        )
    }

    /// A list of a kind that is not supported.
    pub(super) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(
            format!("The revocation list {what}."),
            "Have the CA issue a complete list of all its certificates and reasons.",
        )
    }
}
