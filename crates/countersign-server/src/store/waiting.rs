//! A gateway's request for what changed, held open until something did.

use countersign_types::{bundle::Bundle, history::HistoryPoint};
use tokio::sync::watch;

use super::{Store, StoreError};

/// A request that waits for a change after a point of the history.
pub struct Waiting {
    store: Store,
    after: HistoryPoint,
    signal: watch::Receiver<HistoryPoint>,
}

impl Store {
    /// Waits for what comes after a point.
    #[must_use]
    pub fn wait_after(&self, after: HistoryPoint) -> Waiting {
        Waiting {
            // Subscribed before the first look, so that no change falls between the look and the
            // wait.
            signal: self.subscribe(),
            store: self.clone(),
            after,
        }
    }
}

impl Waiting {
    /// What changed; nothing if nothing did, unless this is the last look.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn look(&mut self, last: bool) -> Result<Option<Bundle>, StoreError> {
        self.signal.mark_unchanged();
        let bundle = self.store.bundle(self.after).await?;
        let unchanged = bundle.point() == self.after && bundle.organizations.is_empty();
        Ok((last || !unchanged).then_some(bundle))
    }

    /// Returns when another look is worth it.
    pub async fn signal(&mut self) {
        // A closed channel means that the store has closed: the next look returns its error.
        let _ = self.signal.changed().await;
    }

    /// Whether [`Self::signal`] would return at once.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        self.signal.has_changed().unwrap_or(true)
    }
}
