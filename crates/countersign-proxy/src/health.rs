//! Whether an address is worth a try, by what became of the last ones.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// How long an address is left out that cannot be used, while there are others; nginx's
/// `fail_timeout`.
const LEFT_OUT: Duration = Duration::from_secs(10);

/// How many connections in a row may end before they answer anything.
const MAX_SILENT: u32 = 5;

/// What became of the last tries of an address. A response of any status is a success: what it
/// means is not for a proxy to say.
#[derive(Debug, Default)]
pub(crate) struct Health {
    silent: AtomicU32,
    left_out_until: Mutex<Option<Instant>>,
}

impl Health {
    /// It answered.
    pub(crate) fn succeed(&self) {
        if self.silent.load(Ordering::Relaxed) != 0 {
            self.silent.store(0, Ordering::Relaxed);
        }
    }

    /// It could not be connected to: it is left out from now on.
    pub(crate) fn fail(&self, now: Instant) {
        self.silent.store(0, Ordering::Relaxed);
        *self.until() = Some(now + LEFT_OUT);
    }

    /// A new connection ended before it answered anything. Whether the address is left out from now
    /// on: a single time may be the request's fault.
    pub(crate) fn end_silently(&self, now: Instant) -> bool {
        let out = self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_SILENT;
        if out {
            self.fail(now);
        }
        out
    }

    pub(crate) fn is_left_out(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.left_out_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_left_out_for_a_while() {
        let (health, now) = (Health::default(), Instant::now());
        assert!(!health.is_left_out(now));
        health.fail(now);
        assert!(health.is_left_out(now + LEFT_OUT - Duration::from_millis(1)));
        assert!(!health.is_left_out(now + LEFT_OUT));
    }

    #[test]
    fn connections_that_end_silently_count_in_a_row() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 1..MAX_SILENT {
            assert!(!health.end_silently(now));
        }
        health.succeed();
        for _ in 1..MAX_SILENT {
            assert!(!health.end_silently(now));
        }
        assert!(!health.is_left_out(now));
        assert!(health.end_silently(now) && health.is_left_out(now));
    }
}
