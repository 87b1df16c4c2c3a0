//! The query of a request: decoded strictly, then asked for by name. Names that nobody asks for
//! are ignored.

use std::{borrow::Cow, str::FromStr};

use countersign_types::{
    error::ErrorCode,
    page::{DEFAULT_LIMIT, MAX_LIMIT, MIN_LIMIT, Order},
};
use percent_encoding::percent_decode;

use super::error::ApiError;
use crate::store::PageRequest;

/// The most values that one parameter may list.
const MAX_VALUES: usize = 100;

/// What is asked for besides what is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Include {
    pub(super) content: bool,
    pub(super) usage: bool,
}

/// The parameters of a query, in their order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
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

    /// The one value of a parameter. Twice is refused: which one was meant is anyone's guess.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(given, _)| given == name);
        let first = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            let message = format!("`{name}` is given more than once. Give it once.");
            return Err(ApiError::value(name, message));
        }
        Ok(first)
    }

    /// Every value of a list parameter: `name[]=a`, `name=a`, repeated, or in a comma list.
    pub(super) fn list(&self, name: &'static str) -> Result<Vec<&str>, ApiError> {
        let given = self.0.iter().filter(|(given, _)| bare(given) == name);
        let values: Vec<_> = given.flat_map(|(_, value)| value.split(',')).collect();
        if values.len() > MAX_VALUES {
            let message = format!("`{name}` lists more than {MAX_VALUES} values. List fewer.");
            return Err(ApiError::value(name, message));
        }
        Ok(values)
    }

    /// What `include` asks for, besides what is always there.
    pub(super) fn include(&self) -> Result<Include, ApiError> {
        let asked = self.list("include")?;
        if !asked
            .iter()
            .all(|value| ["content", "usage"].contains(value))
        {
            return Err(ApiError::value(
                "include",
                "`include` knows `content` and `usage`. Send `include[]=content`, or leave it out.",
            ));
        }
        Ok(Include {
            content: asked.contains(&"content"),
            usage: asked.contains(&"usage"),
        })
    }

    /// Whether `include` asks for the usage of what is listed; lists know nothing else of it.
    pub(super) fn include_usage(&self) -> Result<bool, ApiError> {
        Ok(self.list("include")?.contains(&"usage"))
    }

    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        self.number("limit", MIN_LIMIT..=MAX_LIMIT)
            .map(|limit| limit.unwrap_or(DEFAULT_LIMIT))
    }

    pub(super) fn order(&self, default: Order) -> Result<Order, ApiError> {
        match self.one("order")? {
            None => Ok(default),
            Some("asc") => Ok(Order::Asc),
            Some("desc") => Ok(Order::Desc),
            Some(_) => Err(ApiError::value("order", "`order` must be `asc` or `desc`.")),
        }
    }

    /// A cursor: the id of an entry of the list that is asked for.
    pub(super) fn cursor<Id: FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<String>, ApiError> {
        let given = self.one(name)?;
        if given.is_some_and(|text| text.parse::<Id>().is_err()) {
            return Err(unknown_cursor(name));
        }
        Ok(given.map(str::to_owned))
    }

    /// Which page of a list of things with such ids is asked for.
    pub(super) fn page<Id: FromStr>(&self, default: Order) -> Result<PageRequest, ApiError> {
        Ok(PageRequest {
            limit: self.limit()?,
            after: self.cursor::<Id>("after")?,
            order: self.order(default)?,
        })
    }

    pub(super) fn boolean(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                let message = format!("`{name}` must be `true` or `false`.");
                Err(ApiError::value(name, message))
            }
        }
    }

    /// A whole number within a range, in plain digits.
    pub(super) fn number<N>(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<N>,
    ) -> Result<Option<N>, ApiError>
    where
        N: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|number| plain && range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let message = format!("`{name}` must be a whole number from {least} to {most}.");
            ApiError::value(name, message)
        })
    }
}

/// What an unknown cursor gets: for a caller, one that is malformed or foreign is no other.
pub(super) fn unknown_cursor(name: &'static str) -> ApiError {
    let message = format!(
        "`{name}` is not the id of an entry of this list. Take it from `first_id` or `last_id` of \
         a page, or leave it out to start at the beginning."
    );
    ApiError::value(name, message)
}

/// The name of a parameter without the brackets of a list.
fn bare(name: &str) -> &str {
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
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Query {
        Query::read(Some(text)).unwrap()
    }

    #[test]
    fn every_spelling_of_include_content_is_understood() {
        for text in [
            "include[]=content",
            "include%5B%5D=content",
            "include=content",
            "include=content,content",
            "include[]=content&include[]=content",
            "include=content&include%5b%5d=content&x=1",
            "include=%63ontent",
        ] {
            assert!(query(text).include().unwrap().content, "{text}");
        }
        for text in ["", "x=1", "Include=content"] {
            assert!(!query(text).include().unwrap().content, "{text}");
        }
        for text in [
            "include",
            "include=",
            "include[]=",
            "include=name",
            "include=content,",
            "include=Content",
        ] {
            let error = query(text).include().unwrap_err();
            assert_eq!(error.param.as_deref(), Some("include"), "{text}");
        }
    }

    #[test]
    fn a_limit_is_1_to_100_in_plain_digits() {
        for (text, limit) in [
            ("", 20),
            ("limit=1", 1),
            ("limit=100", 100),
            ("limit=%32", 2),
        ] {
            assert_eq!(query(text).limit().unwrap(), limit);
        }
        for text in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=%2B1",
            "limit=",
            "limit",
            "limit=1.0",
            "limit=1e1",
            "limit=99999999999999999999",
            "limit=x",
            "limit=%201",
            "limit=1&limit=1",
        ] {
            assert_eq!(
                query(text).limit().unwrap_err().param.as_deref(),
                Some("limit"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_malformed_query_is_refused() {
        for text in [
            "a=%", "a=%1", "a=%zz", "%ff=1", "a=%ff", "a=%C3", "a=%00", "a=%0a", "a=%+1",
        ] {
            assert!(Query::read(Some(text)).is_err(), "{text}");
        }
        assert!(Query::read(Some("&&a&=&a=b=c")).is_ok());
        for (text, param) in [
            ("include[]=%ff", Some("include")),
            ("a=1&limit=%0a", Some("limit")),
            ("%ff=1", None),
        ] {
            let error = Query::read(Some(text)).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(text in "[ -~]{0,40}") {
            if let Ok(query) = Query::read(Some(&text)) {
                let _ = query.limit();
                let _ = query.include();
                let _ = query.order(Order::Desc);
            }
        }
    }
}
