//! The query of a request, decoded strictly: what is malformed is refused, where a lenient decoder
//! would read something that the caller did not send.

use std::{borrow::Cow, collections::BTreeMap};

use countersign_types::error::ErrorCode;
use percent_encoding::percent_decode;

use super::error::ApiError;

/// The parameters of a query, in their order.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Ok(Self::default());
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let value = decode(value).map_err(|error| error.at(bare(&name).to_owned()))?;
            Ok((name, value))
        });
        decoded.collect::<Result<_, _>>().map(Self)
    }

    /// The values of each parameter: under its name those given as `name`, and under `name[]` those
    /// given either way. So a list is understood in both spellings, and a parameter that takes one
    /// value in one.
    pub(super) fn by_name(&self) -> BTreeMap<String, Vec<&str>> {
        let mut by_name: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.0 {
            let list = format!("{}[]", bare(name));
            if *name != list {
                by_name.entry(name.clone()).or_default().push(value);
            }
            by_name.entry(list).or_default().push(value);
        }
        by_name
    }
}

/// The name of a parameter without the brackets of a list.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(hex(rest.next()) && hex(rest.next())) {
            return Err(malformed());
        }
    }
    let spaced = if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    let decoded = decoded.map_err(|_| malformed())?;
    if decoded.chars().any(char::is_control) {
        return Err(malformed());
    }
    Ok(decoded.into_owned())
}

fn malformed() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidValue,
        "The query string is malformed. Percent-encode it as UTF-8 (`%` and two hexadecimal \
         digits for each byte), without control characters.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_query_is_refused() {
        for text in [
            "a=%", "a=%1", "a=%zz", "%ff=1", "a=%ff", "a=%C3", "a=%00", "a=%0a", "a=%+1",
        ] {
            assert!(Pairs::read(Some(text)).is_err(), "{text}");
        }
        assert!(Pairs::read(Some("&&a&=&a=b=c")).is_ok());
        for (text, param) in [
            ("include[]=%ff", Some("include")),
            ("a=1&limit=%0a", Some("limit")),
            ("%ff=1", None),
        ] {
            let error = Pairs::read(Some(text)).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{text}");
        }
    }
}
