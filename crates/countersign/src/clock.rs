//! The one place where this binary reads the clock; everything else takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the time that others are given comes from"
)]
fn system_time() -> SystemTime {
    SystemTime::now()
}

/// Now.
pub(crate) fn now() -> OffsetDateTime {
    system_time().into()
}

/// Now, in nanoseconds since the beginning of 1970.
pub(crate) fn unix_nanoseconds() -> u64 {
    let since = system_time().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Now, in Unix seconds. Each request asks for it.
pub(crate) fn unix_seconds() -> countersign_types::UnixSeconds {
    let since = system_time().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
