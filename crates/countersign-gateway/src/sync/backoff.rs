//! How long to wait between failed attempts.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// From this, doubling, to that; and up to twice as long, at random, so that gateways do not all
/// retry at the same time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The waits between failed attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    seed: u64,
    pauses: ExponentialBackoff,
}

impl Backoff {
    /// The seed makes them this gateway's own.
    pub(super) fn new(seed: u64) -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(seed)
            .build();
        Self { seed, pauses }
    }

    /// The next wait.
    pub(super) fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(LONGEST_PAUSE)
    }

    /// After success, the next wait is a first one.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.seed);
    }
}
