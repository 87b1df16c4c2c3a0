//! How a request says who is calling.

use std::sync::Arc;

use countersign_types::{
    bearer::bearer_key, compact_jws::looks_like_one, digest::KeyDigest, id::ProjectId,
};

use super::token::Token;

/// What a request's identity is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The SHA-256 of the bearer key.
    KeyDigest(KeyDigest),
    /// The one project that every request here belongs to.
    FixedProject(ProjectId),
    /// A token of a workload, whose signature was verified.
    Token(Arc<Token>),
}

impl Credential {
    /// Reads `Authorization: Bearer KEY`, from the values of all such headers. Known and unknown keys cost the
    /// same: one digest, and one look into a map. More than one such header, or another scheme, counts as none.
    /// Only what looks like a token is looked for among tokens.
    pub(crate) fn from_bearer<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        token: impl FnOnce(&[u8]) -> Option<Arc<Token>>,
    ) -> Option<Self> {
        let key = bearer_key(values).ok()?;
        if looks_like_one(key)
            && let Some(token) = token(key)
        {
            return Some(Self::Token(token));
        }
        Some(Self::KeyDigest(KeyDigest::of(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Credential> {
        Credential::from_bearer(values.iter().map(|value| value.as_bytes()), |_| None)
    }

    #[test]
    fn one_bearer_header_is_read_and_nothing_else() {
        assert!(read(&["Bearer sk-a"]).is_some());
        assert_eq!(read(&["bearer  sk-a"]), read(&["Bearer sk-a"]));
        for wrong in [
            &[][..],
            &["Basic sk-a"],
            &["Bearer "],
            &["Bearer"],
            &["sk-a"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
