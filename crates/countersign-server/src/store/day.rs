//! UTC days, by which observations are counted and kept.

use countersign_types::UnixSeconds;

/// Seconds of a day.
pub(super) const DAY: UnixSeconds = 24 * 60 * 60;

/// The first days of the windows of 1, 7 and 30 days.
pub(super) fn first_days(today: u64) -> [u64; 3] {
    [1, 7, 30].map(|days| today.saturating_sub(days))
}

/// The first day that is kept, where so many are, today included.
pub(super) fn first_day(now: UnixSeconds, keep_days: u32) -> u64 {
    (now / DAY + 1).saturating_sub(u64::from(keep_days))
}
