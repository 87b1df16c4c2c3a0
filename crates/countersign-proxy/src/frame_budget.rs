//! What a client may send on an HTTP/2 connection that is neither a request nor its body. Such
//! frames cost the sender nothing and are answered or taken into account one by one, so that a
//! flood of them would take a whole core before anyone is authenticated. Useful work earns more of
//! them, and so does time: what a client has reason to send never runs out.

use std::time::Instant;

/// What a connection may spend at once when it begins.
const START: u32 = 1_000;

/// The most that it can save up.
const MAX: u32 = 10_000;

/// What each second earns.
const EACH_SECOND: u32 = 20;

/// What a request, and each frame of a body in either direction, earns.
pub(crate) const EACH_USEFUL_FRAME: u32 = 10;

/// Something to spend, which comes back with time.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    max: u32,
    each_second: u32,
    counted: Instant,
}

impl Budget {
    /// So much to begin with, with what it may grow to and what each second earns.
    pub(crate) const fn new(left: u32, max: u32, each_second: u32, now: Instant) -> Self {
        Self {
            left,
            max,
            each_second,
            counted: now,
        }
    }

    pub(crate) const fn of_frames(now: Instant) -> Self {
        Self::new(START, MAX, EACH_SECOND, now)
    }

    pub(crate) fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.max);
    }

    /// Whether so much was left. The clock is read only when it was not.
    pub(crate) fn spend(&mut self, cost: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.left < cost {
            let now = now();
            let seconds = now.saturating_duration_since(self.counted).as_secs();
            if seconds > 0 {
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                self.earn(seconds.saturating_mul(self.each_second));
                self.counted = now;
            }
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_spent_comes_back_with_work_and_with_time() {
        let begin = Instant::now();
        let mut budget = Budget::of_frames(begin);
        let spend =
            |budget: &mut Budget, second| budget.spend(1, || begin + Duration::from_secs(second));
        assert!((0..START).all(|_| spend(&mut budget, 0)));
        assert!(!spend(&mut budget, 0), "a flood");
        budget.earn(EACH_USEFUL_FRAME);
        assert!((0..EACH_USEFUL_FRAME).all(|_| spend(&mut budget, 0)));
        // A ping each second, for hours.
        assert!((1..10_000).all(|second| spend(&mut budget, second)));
        // Two updates of a window for each frame of a large download.
        for _ in 0..100_000 {
            budget.earn(EACH_USEFUL_FRAME);
            assert!(spend(&mut budget, 10_000) && spend(&mut budget, 10_000));
        }
    }
}
