//! Points of the deployment's history. A revision alone does not identify one: after a failover or
//! a restored backup the same numbers are used again for other changes (docs/specification.md,
//! section 4).

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A commit of the deployment: its revision, and the token that was drawn for it at random.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// The deployment's revision.
    pub revision: u64,
    /// Its token.
    #[serde(default)]
    pub token: RevisionToken,
}

impl HistoryPoint {
    /// Before the first commit: everything changed after it.
    pub const START: Self = Self {
        revision: 0,
        token: RevisionToken::NONE,
    };
}

/// A random token that every commit gets with its revision: 128 random bits, 32 lower-case
/// hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[0-9a-f]{32}$"))]
pub struct RevisionToken(u128);

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision's token has 32 lower-case hexadecimal digits")]
pub struct InvalidToken;

impl RevisionToken {
    /// All zeros: the token of a server that does not keep tokens.
    pub const NONE: Self = Self(0);

    /// A token from 128 random bits.
    #[must_use]
    pub const fn from_random(random: u128) -> Self {
        Self(random)
    }

    /// The token mixed with something else; mixed with it again, it is what it was.
    #[must_use]
    pub const fn masked(self, mask: u128) -> Self {
        Self(self.0 ^ mask)
    }

    /// Whether it stands for no token.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl FromStr for RevisionToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| InvalidToken)?;
        let bytes = bytes.try_into().map_err(|_| InvalidToken)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for RevisionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RevisionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RevisionToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RevisionToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_is_one() {
        let token = RevisionToken::from_random(0xab);
        assert_eq!(token.to_string(), format!("{}ab", "0".repeat(30)));
        assert_eq!(token.to_string().parse(), Ok(token));
        for wrong in [
            "",
            "ab",
            &"AB".repeat(16),
            &"0g".repeat(16),
            &"ab".repeat(17),
        ] {
            assert_eq!(wrong.parse::<RevisionToken>(), Err(InvalidToken), "{wrong}");
        }
    }

    #[test]
    fn a_point_without_a_token_is_read_as_one_of_a_server_that_keeps_none() {
        let point: HistoryPoint = serde_json::from_str("{\"revision\":7}").unwrap();
        assert!(point.token.is_none());
        assert_eq!(HistoryPoint::default(), HistoryPoint::START);
    }
}
