//! A value of a closed set, as an answer has it. A newer server, or another one, has values that are
//! not known here; one of them must not make the rest of an answer unreadable.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, IntoDeserializer, value},
};

/// A value that is known here, or another one as it came.
///
/// ```
/// use countersign_types::{or_unknown::OrUnknown, project::ServiceAccountRole};
///
/// let known: OrUnknown<ServiceAccountRole> = serde_json::from_str("\"member\"")?;
/// assert_eq!(known, ServiceAccountRole::Member);
///
/// let new: OrUnknown<ServiceAccountRole> = serde_json::from_str("\"auditor\"")?;
/// assert_eq!(new.known(), None);
/// assert_eq!(new.to_string(), "auditor");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrUnknown<T> {
    /// A value that is known here.
    Known(T),
    /// The text of one that is not.
    Unknown(String),
}

impl<T: Copy> OrUnknown<T> {
    /// The value, if it is known here.
    #[must_use]
    pub const fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }

    /// What to call it: a known value by the name that `name` gives it, another as it came.
    pub fn called(&self, name: impl FnOnce(T) -> &'static str) -> Cow<'_, str> {
        match self {
            Self::Known(value) => Cow::Borrowed(name(*value)),
            Self::Unknown(text) => Cow::Borrowed(text),
        }
    }
}

impl<T> From<T> for OrUnknown<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: Default> Default for OrUnknown<T> {
    fn default() -> Self {
        Self::Known(T::default())
    }
}

impl<T: PartialEq> PartialEq<T> for OrUnknown<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(value) if value == other)
    }
}

impl<T: Serialize> fmt::Display for OrUnknown<T> {
    /// As it is in the answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.serialize(f),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl<T: Serialize> Serialize for OrUnknown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Unknown(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OrUnknown<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known: value::StrDeserializer<'_, value::Error> = text.as_str().into_deserializer();
        let known = T::deserialize(known);
        Ok(known.map_or_else(|_| Self::Unknown(text), Self::Known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{certificate::Enforcement, error::ErrorCode};

    #[test]
    fn a_value_of_a_closed_set_comes_back_as_it_came() {
        for (text, known) in [("report", true), ("shadow", false), ("", false)] {
            let json = serde_json::to_string(text).unwrap();
            let read: OrUnknown<Enforcement> = serde_json::from_str(&json).unwrap();
            assert_eq!(read.known().is_some(), known, "{text}");
            assert_eq!(read.to_string(), text);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        let code: OrUnknown<ErrorCode> = serde_json::from_str("\"not_found\"").unwrap();
        assert_eq!(code, ErrorCode::NotFound);
        assert_eq!(code.called(ErrorCode::as_str), "not_found");
        assert!(serde_json::from_str::<OrUnknown<Enforcement>>("7").is_err());
    }
}
