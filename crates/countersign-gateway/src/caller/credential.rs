//! How a request says who is calling.

use countersign_types::{bearer::bearer_key, digest::KeyDigest, id::ProjectId};

/// What a request's identity is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The SHA-256 of the bearer key.
    KeyDigest(KeyDigest),
    /// The one project that every request here belongs to.
    FixedProject(ProjectId),
}

impl Credential {
    /// Reads `Authorization: Bearer KEY`, from the values of all such headers. Known and unknown keys cost the same: one digest, and one
    /// look into a map. More than one such header, or another scheme, counts as none.
    pub(crate) fn from_bearer<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let key = bearer_key(values).ok()?;
        Some(Self::KeyDigest(KeyDigest::of(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Credential> {
        Credential::from_bearer(values.iter().map(|value| value.as_bytes()))
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
