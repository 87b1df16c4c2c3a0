//! Every choice of a run, drawn from its seed.

use std::{ops::Range, time::Duration};

/// What a run draws its choices from.
#[derive(Debug, Clone)]
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Another one, with choices of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.0.u64(0..times) == 0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(0..end) }
    }

    pub(crate) fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.u64(range)
    }

    pub(crate) fn wide(&mut self) -> u128 {
        self.0.u128(..)
    }

    /// A time of some milliseconds.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.0.u64(range))
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(from.len());
        from.get(place)
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}
