//! Times as people read them.

use std::fmt;

use countersign_types::UnixSeconds;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A time of a certificate beside the time at which it was judged. Shown as
/// `2027-01-15T08:00:20Z, 20 s from now; the clock here says 2027-01-15T08:00:00Z`, so that a clock
/// that is wrong is seen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeAndNow {
    /// The time in the certificate.
    pub at: UnixSeconds,
    /// The time of the judgement.
    pub now: UnixSeconds,
}

impl fmt::Display for TimeAndNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, now } = *self;
        let distance = distance(at.abs_diff(now));
        let when = if at > now { "from now" } else { "ago" };
        write!(
            f,
            "{}, {distance} {when}; the clock here says {}",
            rfc3339(at),
            rfc3339(now)
        )
    }
}

/// Two hours or less to the second or minute, the rest more roughly.
fn distance(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / MINUTE),
        7_200..=172_799 => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// A time in RFC 3339, `2027-01-15T08:00:00Z`; past the year 9999, which it cannot write, in Unix
/// seconds.
pub(crate) fn rfc3339(at: UnixSeconds) -> String {
    let written = i64::try_from(at)
        .ok()
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
        .and_then(|at| at.format(&Rfc3339).ok());
    written.unwrap_or_else(|| format!("{at} s after 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_with_its_distance_and_the_clock() {
        for (at, now, expected) in [
            (
                1_800_000_020,
                1_800_000_000,
                "2027-01-15T08:00:20Z, 20 s from now; the clock here says 2027-01-15T08:00:00Z",
            ),
            (
                1_799_999_400,
                1_800_000_000,
                "2027-01-15T07:50:00Z, 10 min ago; the clock here says 2027-01-15T08:00:00Z",
            ),
            (
                0,
                36_000,
                "1970-01-01T00:00:00Z, 10 h ago; the clock here says 1970-01-01T10:00:00Z",
            ),
            (
                864_000,
                0,
                "1970-01-11T00:00:00Z, 10 days from now; the clock here says 1970-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(TimeAndNow { at, now }.to_string(), expected);
        }
        assert_eq!(rfc3339(u64::MAX), "18446744073709551615 s after 1970");
    }
}
