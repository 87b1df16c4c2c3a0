//! How a setting's text becomes a value of its type, and what is said when it does not.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use countersign_types::secret::Secret;
use tracing::level_filters::LevelFilter;

use super::{address::likely_address, schema::SETTINGS, source::Layer};
use crate::{
    failure::{CommandResult, Failure},
    likely::likely,
};

/// A type that a setting has.
pub(super) trait SettingValue: Sized {
    /// What fits, as the end of "it must be".
    fn wanted() -> String;

    /// The value of a text; `None` when it does not fit.
    fn from_text(text: &str) -> Option<Self>;

    /// What was probably meant by a text that does not fit.
    fn likely(_text: &str) -> Option<String> {
        None
    }
}

/// A whole number greater than zero.
pub(super) struct NonZero(pub(super) u32);

/// A setting that has a default.
pub(super) fn read<T: SettingValue>(values: &Layer, key: &'static str) -> CommandResult<T> {
    read_optional(values, key)?.ok_or_else(|| Failure::usage(format_args!("`{key}` is not set")))
}

/// A setting that may be left out.
pub(super) fn read_optional<T: SettingValue>(
    values: &Layer,
    key: &'static str,
) -> CommandResult<Option<T>> {
    let Some(given) = values.get(key) else {
        return Ok(None);
    };
    let value = T::from_text(&given.value).ok_or_else(|| {
        let secret = SETTINGS.iter().any(|each| each.key == key && each.secret);
        let shown = if secret { "..." } else { &given.value };
        let failure = Failure::usage(format_args!(
            "`{key}` is `{shown}` (from {}); it must be {}",
            given.source,
            T::wanted()
        ));
        match T::likely(&given.value) {
            Some(likely) => failure.hint(format!("did you mean `{likely}`?")),
            None => failure,
        }
    })?;
    Ok(Some(value))
}

fn not_empty() -> String {
    "a text that is not empty".to_owned()
}

/// The words of a closed set, with what each stands for.
pub(super) type Words<T> = &'static [(&'static str, T)];

/// What fits a closed set.
pub(super) fn one_of<T>(words: Words<T>) -> String {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    format!("one of `{}`", names.join("`, `"))
}

/// What a word of a closed set stands for.
pub(super) fn meaning<T: Copy>(words: Words<T>, text: &str) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value)
}

const LEVELS: Words<LevelFilter> = &[
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

const TRUTHS: Words<bool> = &[("true", true), ("false", false)];

impl SettingValue for SocketAddr {
    fn wanted() -> String {
        "an IP address and a port, such as `127.0.0.1:8085`".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn likely(text: &str) -> Option<String> {
        likely_address(text).map(|address| address.to_string())
    }
}

impl SettingValue for NonZero {
    fn wanted() -> String {
        "a whole number greater than zero".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let number = text.parse().ok();
        number.filter(|number| *number > 0).map(Self)
    }
}

impl SettingValue for Duration {
    fn wanted() -> String {
        "a duration such as `90s`, `12h` or `30d`".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let read = humantime::parse_duration(text).ok();
        read.filter(|read| read.as_secs() > 0 && read.subsec_nanos() == 0)
    }
}

impl SettingValue for PathBuf {
    fn wanted() -> String {
        "a path".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }
}

impl SettingValue for Secret {
    fn wanted() -> String {
        not_empty()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
}

impl SettingValue for LevelFilter {
    fn wanted() -> String {
        one_of(LEVELS)
    }

    fn from_text(text: &str) -> Option<Self> {
        meaning(LEVELS, text)
    }

    fn likely(text: &str) -> Option<String> {
        likely(
            &text.to_ascii_lowercase(),
            LEVELS.iter().map(|(word, _)| *word),
        )
        .map(str::to_owned)
    }
}

impl SettingValue for bool {
    fn wanted() -> String {
        one_of(TRUTHS)
    }

    fn from_text(text: &str) -> Option<Self> {
        meaning(TRUTHS, text)
    }
}
