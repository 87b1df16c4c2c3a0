//! When something was last used, told without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// When something was last used.
#[derive(Debug)]
pub(crate) struct LastUse {
    since: Instant,
    /// Nanoseconds from then to the last use.
    used: AtomicU64,
}

impl LastUse {
    /// Of something that is used from now on.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            used: AtomicU64::new(0),
        }
    }

    /// Notes a use, in whatever order they are noted.
    pub(crate) fn note(&self, at: Instant) {
        let used = at.saturating_duration_since(self.since).as_nanos();
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        self.used.fetch_max(used, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Instant {
        self.since + Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_is_the_latest_that_was_noted() {
        let begin = Instant::now();
        let second = |count| begin + Duration::from_secs(count);
        let last_use = LastUse::new(second(1));
        for (noted, last) in [(0, 1), (3, 3), (2, 3), (4, 4)] {
            last_use.note(second(noted));
            assert_eq!(last_use.last(), second(last), "{noted}");
        }
    }
}
