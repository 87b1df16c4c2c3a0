//! The clock and the randomness of the store, which tests replace.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand;
use countersign_types::UnixSeconds;

use super::StoreError;

/// A clock, in Unix seconds.
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;
/// Fills a buffer with unpredictable bytes, or fails.
pub type Random = Arc<dyn Fn(&mut [u8]) -> Result<(), StoreError> + Send + Sync>;

/// The clock and the randomness of a store.
#[derive(Clone)]
pub struct Sources {
    /// The time now.
    pub clock: Clock,
    /// Randomness for ids and keys.
    pub random: Random,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    /// The machine's clock and its cryptographic randomness.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(system_time),
            random: Arc::new(|buffer| {
                rand::fill(buffer)
                    .map_err(|_| StoreError::Internal("the system has no randomness".to_owned()))
            }),
        }
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// 128 random bits, for an id.
    pub(crate) fn id(&self) -> Result<u128, StoreError> {
        self.bytes().map(u128::from_be_bytes)
    }

    pub(super) fn bytes<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes)?;
        Ok(bytes)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; everything else is handed it"
)]
fn system_time() -> UnixSeconds {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
