//! How long to wait after a failed attempt.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use countersign_types::UnixSeconds;

/// The pause after the first failure, doubled with each failure, and the longest. Up to half of each
/// pause is left out at random, so that deliveries that failed together are not tried again together.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// More doublings than the longest pause needs.
const DOUBLINGS: usize = 16;

/// Seconds to wait after an attempt of this number failed. It is computed from the number, since the
/// next attempt may be another node's, or come after a restart.
pub(super) fn pause(attempt: u64, random: u64) -> UnixSeconds {
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(DOUBLINGS)
        .build();
    let before = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let whole = pauses.nth(before).unwrap_or(LONGEST_PAUSE).as_secs();
    whole - random % (whole / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours_and_are_cut_by_at_most_half() {
        let whole: Vec<_> = [1, 2, 3, 10, 13, 14, 64, u64::MAX]
            .map(|attempt| pause(attempt, 0))
            .to_vec();
        assert_eq!(whole, [5, 10, 20, 2560, 20480, 21600, 21600, 21600]);
        for random in [1, 7, u64::MAX] {
            let cut = pause(4, random);
            assert!((20..=40).contains(&cut), "{cut}");
        }
    }
}
