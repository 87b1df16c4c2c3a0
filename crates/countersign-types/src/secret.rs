//! A value that may be sent but never shown: its `Debug` hides it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A bearer key or another secret. It is serialized in full, and its `Debug` is `Secret(..)`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What lists show of it: everything up to the last dash, and the last four characters.
    #[must_use]
    pub fn redacted(&self) -> String {
        let head = self
            .0
            .rfind('-')
            .map_or("", |at| self.0.get(..=at).unwrap_or(""));
        let tail_at = self.0.len().saturating_sub(4).max(head.len());
        format!("{head}***{}", self.0.get(tail_at..).unwrap_or(""))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new("sk-admin-abcdefgh1234");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.redacted(), "sk-admin-***1234");
        assert_eq!(Secret::new("abc").redacted(), "***abc");
    }
}
