//! The one place where this binary reads the clock; everything else takes the time as an argument.

use time::OffsetDateTime;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the time that others are given comes from"
)]
pub(crate) fn now() -> OffsetDateTime {
    std::time::SystemTime::now().into()
}

/// Now, in Unix seconds.
pub(crate) fn unix_seconds() -> countersign_types::UnixSeconds {
    u64::try_from(now().unix_timestamp()).unwrap_or(0)
}
