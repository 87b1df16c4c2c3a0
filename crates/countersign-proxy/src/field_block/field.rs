//! What a field of a request must be (RFC 9113 section 8).

use std::fmt;

use http::{
    HeaderMap, HeaderName, Method,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::huffman::Undecodable;

/// The field that says why a request must be refused. Whoever sends it is refused too.
pub(crate) const MALFORMED: HeaderName = HeaderName::from_static("countersign-malformed-request");

/// What a field is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Pseudo(Pseudo),
    /// It belongs to one connection of HTTP/1.1 (section 8.2.2).
    HopByHop,
    /// It has but one value here (section 8.2.2).
    Te,
    Other,
    /// No field of a request has such a name (sections 8.2.1 and 8.3).
    Impossible,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
}

impl Name {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Pseudo(Pseudo::Method),
            b":scheme" => Self::Pseudo(Pseudo::Scheme),
            b":authority" => Self::Pseudo(Pseudo::Authority),
            b":path" => Self::Pseudo(Pseudo::Path),
            b":protocol" => Self::Pseudo(Pseudo::Protocol),
            b"te" => Self::Te,
            b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive"
            | b"proxy-connection" => Self::HopByHop,
            _ if HeaderName::from_lowercase(name).is_ok() => Self::Other,
            _ => Self::Impossible,
        }
    }
}

/// Why what an HTTP/2 client sends is no request (RFC 9113 section 8.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// The name of a field.
    Name,
    /// The value of a field.
    Value,
    /// The value of a field before all others, whose name this is.
    Pseudo(&'static str),
    /// A field that HTTP/2 has not.
    HopByHop,
    /// A pseudo-header where none may be, or twice.
    Order,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str(
                "a field has an impossible name (upper case, empty, a pseudo-header that no request \
                 has, or with characters that no name has)",
            ),
            Self::Value => f.write_str("the value of a field has a control character"),
            Self::Pseudo(name) => write!(f, "the value of `{name}` is impossible"),
            Self::HopByHop => f.write_str(
                "a field is of HTTP/1.1 only (`connection`, `transfer-encoding`, `upgrade`, \
                 `keep-alive`, `proxy-connection`, or a `te` other than `trailers`)",
            ),
            Self::Order => {
                f.write_str("a pseudo-header is there twice, or after the fields that follow them")
            }
        }
    }
}

/// The pseudo-headers whose values may be impossible.
const PSEUDO: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":protocol"];

impl HeadFault {
    /// Whether the request is whole but for a value: it can be answered.
    pub(super) const fn is_of_value(self) -> bool {
        matches!(self, Self::Value | Self::Pseudo(_))
    }

    /// The value of the field that says so.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Pseudo(name) => name,
            _ => "value",
        }
    }

    /// Why a request is none that stands for one that is whole but for a value.
    pub fn take(headers: &mut HeaderMap) -> Option<Self> {
        let mark = headers.remove(MALFORMED)?;
        Some(Self::of_mark(mark.as_bytes()))
    }

    /// What the value of that field says.
    pub(super) fn of_mark(mark: &[u8]) -> Self {
        let pseudo = PSEUDO.into_iter().find(|name| name.as_bytes() == mark);
        pseudo.map_or(Self::Value, Self::Pseudo)
    }
}

/// Why no request has a field of this name and value, by what it is for. Of any other only the octets count.
pub(super) fn fault(name: Name, value: &[u8]) -> Option<HeadFault> {
    match name {
        Name::Impossible => Some(HeadFault::Name),
        Name::HopByHop => Some(HeadFault::HopByHop),
        Name::Te => (value != b"trailers").then_some(HeadFault::HopByHop),
        Name::Other => None,
        Name::Pseudo(pseudo) => pseudo.fault(value),
    }
}

/// Whether a value may have this octet (section 8.2.1).
pub(super) const fn is_visible(octet: u8) -> bool {
    octet >= b' ' && octet != 0x7f || octet == b'\t'
}

impl Pseudo {
    fn fault(self, value: &[u8]) -> Option<HeadFault> {
        let (name, is_possible) = match self {
            Self::Method => (":method", Method::from_bytes(value).is_ok()),
            Self::Scheme => (":scheme", Scheme::try_from(value).is_ok()),
            Self::Authority => (":authority", Authority::try_from(value).is_ok()),
            Self::Path => (":path", PathAndQuery::try_from(value).is_ok()),
            Self::Protocol => (":protocol", std::str::from_utf8(value).is_ok()),
        };
        (!is_possible).then_some(HeadFault::Pseudo(name))
    }

    /// A value that it may have, of this length if that counts.
    pub(super) fn possible(self, length: usize, counts: bool) -> Result<Vec<u8>, Undecodable> {
        if counts && length == 0 && self == Self::Method {
            return Err(Undecodable);
        }
        let mut value = vec![b'x'; length.max(usize::from(!counts))];
        if self == Self::Path
            && let Some(first) = value.first_mut()
        {
            *first = b'/';
        }
        Ok(value)
    }

    /// Its place in a set.
    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}
