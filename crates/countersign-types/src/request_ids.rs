//! Numbering requests.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::RequestId;

/// Gives every request of a process an id. Ids do not repeat within the process and, since the
/// start is random, practically not between processes. An id identifies a request and protects
/// nothing, so ids need not be unpredictable and cost no randomness of their own.
#[derive(Debug)]
pub struct RequestIds {
    start: u128,
    count: AtomicU64,
}

impl RequestIds {
    /// An odd number (the golden ratio's fraction, 128 bits): its multiples visit every number
    /// before one repeats, and neighbours look nothing alike.
    const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

    /// Ids from a start that the caller drew at random.
    #[must_use]
    pub const fn new(start: u128) -> Self {
        Self {
            start,
            count: AtomicU64::new(0),
        }
    }

    /// The id of the next request.
    #[must_use]
    pub fn next(&self) -> RequestId {
        RequestId::from_random(self.next_number())
    }

    /// The number that the id of the next request is made from.
    #[must_use]
    pub fn next_number(&self) -> u128 {
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed));
        self.start.wrapping_add(count.wrapping_mul(Self::STEP))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::RequestIds;

    #[test]
    fn request_ids_do_not_repeat() {
        let ids = RequestIds::new(u128::MAX);
        let drawn: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(drawn.len(), 10_000);
    }
}
