//! How the values of flags are read, where more than one command takes such a value.

use std::time::Duration;

use super::reference::is_one_word;
use crate::clock;
use countersign_types::{UnixSeconds, api_key::Permission, certificate::MAX_NAME_CHARACTERS, id};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads a permission of an admin key.
pub(super) fn permission(text: &str) -> Result<Permission, String> {
    Permission::from_name(text).ok_or_else(|| {
        if text.trim().contains(char::is_whitespace) {
            return "separate permissions with commas".to_owned();
        }
        let known: Vec<_> = Permission::ALL.iter().map(|each| each.as_str()).collect();
        format!("a permission is one of {}", known.join(", "))
    })
}

/// Reads a name as the API takes it, but for one that nobody could see. The operator's commands
/// check it here, because the database does not.
pub(super) fn name(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.trim().is_empty() {
        return Err("a name of spaces alone cannot be seen in a list".to_owned());
    }
    // By such a name nothing could be found: wherever a name is taken, so is an id.
    // Names that begin with a word and a hyphen are many, and ids that do are of other servers.
    let prefix = id::prefix_of(text).filter(|prefix| prefix.ends_with('_'));
    if let Some(prefix) = prefix.filter(|_| is_one_word(text)) {
        return Err(format!(
            "a name that begins with `{prefix}` would be taken for an id; choose another"
        ));
    }
    let characters = text.chars().count();
    if (1..=MAX_NAME_CHARACTERS).contains(&characters) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name has 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
    ))
}

/// Reads how many entries to show.
pub(super) fn count(text: &str) -> Result<u32, String> {
    let read = text.parse().ok().filter(|count| *count > 0);
    read.ok_or_else(|| "write a whole number of at least 1".to_owned())
}

/// Reads a duration, such as `90s`, `12h` or `30d`. A plain number is in seconds, which is all that
/// some flags took once.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let read = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    // The API and the timers here count seconds: a fraction would be dropped without a word.
    let read = read.ok_or_else(|| "write a duration such as `90s`, `12h` or `30d`".to_owned())?;
    if read.is_zero() || read.subsec_nanos() != 0 {
        return Err("write whole seconds, at least `1s`".to_owned());
    }
    Ok(read)
}

/// Reads the duration until a key expires, in seconds.
pub(super) fn expires_in(text: &str) -> Result<u32, String> {
    u32::try_from(duration(text)?.as_secs())
        .map_err(|_| format!("a key can expire in {} days at most", u32::MAX / 86_400))
}

/// Reads a time, in RFC 3339 or in Unix seconds.
pub(super) fn time(text: &str) -> Result<UnixSeconds, String> {
    let wanted = || {
        let wanted = "write a time as `2026-01-31T12:00:00Z` or in Unix seconds";
        match likely_time(text) {
            Some(likely) => format!("{wanted}; did you mean `{likely}`?"),
            None => wanted.to_owned(),
        }
    };
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wanted())?;
    u64::try_from(parsed.unix_timestamp()).map_err(|_| wanted())
}

/// A date, or a time without its zone, as RFC 3339 has it.
fn likely_time(text: &str) -> Option<String> {
    let text = text.trim().replace(' ', "T");
    let candidates = [
        format!("{text}T00:00:00Z"),
        format!("{text}Z"),
        format!("{text}:00Z"),
    ];
    let is_time = |text: &String| OffsetDateTime::parse(text, &Rfc3339).is_ok();
    candidates.into_iter().find(is_time)
}

/// Reads a time, also as how long ago it was.
pub(super) fn time_or_ago(text: &str) -> Result<UnixSeconds, String> {
    match (time(text), duration(text)) {
        (Err(_), Ok(ago)) => Ok(clock::unix_seconds().saturating_sub(ago.as_secs())),
        (Err(wrong), Err(_)) => Err(format!("{wrong}; or how long ago it was, such as `1h`")),
        (Ok(time), _) => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_unix_seconds() {
        assert_eq!(time("0"), Ok(0));
        assert_eq!(time("2023-11-14T22:13:20Z"), Ok(1_700_000_000));
        assert_eq!(time("2023-11-14T23:13:20+01:00"), Ok(1_700_000_000));
        assert!(time("yesterday").is_err());
        for (text, likely) in [
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31 12:00:00", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00", "2026-01-31T12:00:00Z"),
        ] {
            let error = time(text).unwrap_err();
            assert!(
                error.ends_with(&format!("did you mean `{likely}`?")),
                "{error}"
            );
        }
        assert!(time("1969-12-31T23:59:59Z").is_err());
    }

    #[test]
    fn a_new_name_does_not_look_like_an_id() {
        for (text, prefix) in [
            ("cert_3hzm", "cert_"),
            ("proj_web", "proj_"),
            ("key_", "key_"),
        ] {
            let error = name(text).unwrap_err();
            assert!(error.contains(&format!("`{prefix}`")), "{error}");
        }
        for text in [
            "cert",
            "certificate_a",
            "web proj_a",
            "proj_a of the web",
            "org-wide",
            "user-service",
        ] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_duration_has_a_unit_or_is_in_seconds() {
        for (text, seconds) in [
            ("90s", 90),
            ("90", 90),
            ("5m", 300),
            ("12h", 43_200),
            ("1h 30m", 5_400),
            ("30d", 2_592_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "500ms",
            "soon",
            "d",
            "-1s",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(expires_in("1d"), Ok(86_400));
        assert!(expires_in("200y").is_err());
    }
}
