//! How a request says who is calling.

use countersign_types::{bearer::bearer_key, digest::KeyDigest, id::ProjectId};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

/// What a request's identity is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The SHA-256 of the bearer key.
    KeyDigest(KeyDigest),
    /// The one project that every request here belongs to.
    FixedProject(ProjectId),
}

impl Credential {
    /// Reads `Authorization: Bearer KEY`. Known and unknown keys cost the same: one digest, and one
    /// look into a map. More than one such header, or another scheme, counts as none.
    pub(crate) fn from_bearer(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(AUTHORIZATION).iter();
        let key = bearer_key(values.map(HeaderValue::as_bytes)).ok()?;
        Some(Self::KeyDigest(KeyDigest::of(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn one_bearer_header_is_read_and_nothing_else() {
        assert!(Credential::from_bearer(&headers(&["Bearer sk-a"])).is_some());
        assert_eq!(
            Credential::from_bearer(&headers(&["bearer  sk-a"])),
            Credential::from_bearer(&headers(&["Bearer sk-a"]))
        );
        for wrong in [
            &[][..],
            &["Basic sk-a"],
            &["Bearer "],
            &["Bearer"],
            &["sk-a"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(Credential::from_bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }
}
