//! Why serde could not read a value of a request. It never holds a word of the value itself: it
//! may be a secret.

use std::{borrow::Cow, fmt};

use serde::de::{Error, Expected, Unexpected};

use super::error::ApiError;

/// The most alternatives that a reader looks through; of a longer list the nearest are named first.
const MAX_AT_A_GLANCE: usize = 20;
const NEAREST: usize = 3;

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A property is missing from an object.
    Missing(&'static str),
    /// The value is not what it must be, which is in words; and what kind of value it is, where
    /// that helps.
    Not {
        wanted: Cow<'static, str>,
        found: Option<&'static str>,
    },
    /// The value is none of those there are.
    NoneOf(&'static [&'static str]),
    /// The value is none of those there are, which are many: the nearest are named first.
    NoneOfMany {
        nearest: Vec<&'static str>,
        known: &'static [&'static str],
    },
    /// A parameter that takes one value is given more than once.
    Repeated,
    /// A list has more values than may be given.
    TooMany(usize),
    /// Whatever else a type refuses. Its words are dropped: they may repeat the value.
    Other,
}

impl Unreadable {
    /// The refusal of the value at a place, such as `active[0].certificate_id`; an empty place is
    /// the whole body.
    pub(super) fn at(self, place: String) -> ApiError {
        match self {
            Self::Missing(name) if place.is_empty() => ApiError::missing(name),
            Self::Missing(name) => {
                let param = format!("{place}.{name}");
                let message = format!("`{param}` is missing. Send it.");
                ApiError::value(param, message)
            }
            Self::Not {
                wanted,
                found: None,
            } => match noun(&wanted) {
                Some(noun) => ApiError::no_such(noun).at(place),
                None => {
                    let message = format!("`{place}` must be {wanted}.");
                    ApiError::value(place, message)
                }
            },
            Self::Not {
                wanted,
                found: Some(found),
            } => {
                let message = format!("`{place}` must be {wanted}, but it is {found}.");
                ApiError::value(place, message)
            }
            Self::NoneOf(known) => {
                let message = format!("`{place}` must be {}.", alternatives(known));
                ApiError::value(place, message)
            }
            Self::NoneOfMany { nearest, known } => {
                let (nearest, known) = (alternatives(&nearest), known.join("`, `"));
                let message =
                    format!("`{place}` must be {nearest}, or another of these: `{known}`.");
                ApiError::value(place, message)
            }
            Self::Repeated => {
                let message = format!("`{place}` is given more than once. Give it once.");
                ApiError::value(place, message)
            }
            Self::TooMany(most) => {
                let message = format!("`{place}` lists more than {most} values. List fewer.");
                ApiError::value(place, message)
            }
            Self::Other => {
                let message = format!(
                    "`{place}` cannot be read. `GET /openapi.json` describes what it must be."
                );
                ApiError::value(place, message)
            }
        }
    }
}

/// The resource that a text is no id of. A malformed id is answered as an unknown one: callers
/// need not tell them apart, and nobody learns what ids look like.
fn noun(wanted: &str) -> Option<&'static str> {
    match wanted {
        "a valid certificate id" => Some("certificate"),
        "a valid project id" => Some("project"),
        "a valid service account id" => Some("service account"),
        _ => None,
    }
}

/// `a`, `b` or `c`.
fn alternatives(known: &[&str]) -> String {
    let (last, rest) = match known {
        [] => return String::from("absent"),
        [only] => return format!("`{only}`"),
        [rest @ .., last] => (last, rest),
    };
    format!("`{}` or `{last}`", rest.join("`, `"))
}

/// The values that a text was most likely meant to be.
fn nearest(found: &str, known: &[&'static str]) -> Vec<&'static str> {
    // What is longer than any of them is no misspelling, and would only cost time.
    let longest = known
        .iter()
        .map(|each| each.len())
        .max()
        .unwrap_or_default();
    let found: String = found.chars().take(longest).collect();
    let mut by_distance = known.to_vec();
    by_distance.sort_by_cached_key(|each| strsim::osa_distance(each, &found));
    by_distance.truncate(NEAREST);
    by_distance
}

/// What serde's types expect, in the words of the API.
fn in_words(expected: &dyn Expected) -> Cow<'static, str> {
    let expected = expected.to_string();
    Cow::Borrowed(match expected.as_str() {
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number",
        "a map" => "an object",
        name if name.starts_with("struct ") => "an object",
        _ => return Cow::Owned(expected),
    })
}

fn kind(found: Unexpected<'_>) -> Option<&'static str> {
    Some(match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a fractional number",
        Unexpected::Str(_) => "a string",
        Unexpected::Unit => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => return None,
    })
}

impl Error for Unreadable {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Not {
            wanted: in_words(expected),
            found: kind(found),
        }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Not {
            wanted: in_words(expected),
            found: None,
        }
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        if known.len() <= MAX_AT_A_GLANCE {
            return Self::NoneOf(known);
        }
        Self::NoneOfMany {
            nearest: nearest(found, known),
            known,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value cannot be read")
    }
}
