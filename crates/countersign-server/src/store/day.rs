//! UTC days, by which observations are counted and kept.

use countersign_types::UnixSeconds;

/// Seconds of a day.
pub(super) const DAY: UnixSeconds = 24 * 60 * 60;

/// The first day that is kept, where so many are, today included.
pub(super) fn first_day(now: UnixSeconds, keep_days: u32) -> u64 {
    (now / DAY + 1).saturating_sub(u64::from(keep_days))
}
