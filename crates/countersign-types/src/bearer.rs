//! Reading `Authorization: Bearer KEY` (RFC 6750 section 2.1).

/// Why no key could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// There is no `Authorization` header.
    #[error("no key was given")]
    Missing,
    /// There are several `Authorization` headers, or the one is not `Bearer` and one key.
    #[error("the `Authorization` header is not one bearer key")]
    Unreadable,
}

/// Reads the key from the values of all `Authorization` headers of a request.
///
/// It is strict, since two readers that understand one header differently could be played off
/// against each other: exactly one header, the scheme in any case, then one key of visible ASCII.
///
/// # Errors
/// When there is no such header, or it is anything else.
pub fn bearer_key<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<&'a [u8], BearerError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Unreadable);
    }
    let (scheme, key) = value.split_at_checked(7).ok_or(BearerError::Unreadable)?;
    let key = key.trim_ascii();
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    if !is_bearer || key.is_empty() || !key.iter().all(u8::is_ascii_graphic) {
        return Err(BearerError::Unreadable);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(values: &[&'a str]) -> Result<&'a [u8], BearerError> {
        bearer_key(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn one_bearer_header_is_read_and_nothing_else() {
        for right in ["Bearer sk-a", "bearer  sk-a", "BEARER sk-a "] {
            assert_eq!(read(&[right]), Ok(&b"sk-a"[..]), "{right}");
        }
        assert_eq!(read(&[]), Err(BearerError::Missing));
        for wrong in [
            &["Basic sk-a"][..],
            &["Bearer "],
            &["Bearer"],
            &["sk-a"],
            &["Bearer a b"],
            &["Bearer a, Bearer b"],
            &["Bearer sk-\u{e9}"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(read(wrong), Err(BearerError::Unreadable), "{wrong:?}");
        }
    }
}
