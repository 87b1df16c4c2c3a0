//! A gateway's request for what changed, held open until something did.

use std::sync::Arc;

use countersign_types::history::HistoryPoint;
use tokio::sync::watch;

use super::{BundleAnswer, Reach, Store, StoreError};

/// What a gateway asks for.
#[derive(Debug, Clone)]
pub struct BundleRequest {
    /// What changed after this point.
    pub after: HistoryPoint,
    /// Of these organizations.
    pub reach: Reach,
    /// Whether everything is to come in pages.
    pub paged: bool,
}

/// A request that waits for a change after a point of the history.
pub struct Waiting {
    store: Store,
    request: BundleRequest,
    signal: watch::Receiver<HistoryPoint>,
}

impl Store {
    /// Waits for what comes after a point.
    #[must_use]
    pub fn wait_after(&self, after: HistoryPoint) -> Waiting {
        self.wait_for(BundleRequest {
            after,
            reach: Reach::All,
            paged: false,
        })
    }

    /// Waits for what a gateway asks for.
    #[must_use]
    pub fn wait_for(&self, request: BundleRequest) -> Waiting {
        Waiting {
            // Subscribed before the first look, so that no change falls between the look and the
            // wait.
            signal: self.subscribe(),
            store: self.clone(),
            request,
        }
    }
}

impl Waiting {
    /// What changed; nothing if nothing did, unless this is the last look.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn look(&mut self, last: bool) -> Result<Option<Arc<BundleAnswer>>, StoreError> {
        self.signal.mark_unchanged();
        let answer = self.store.answer(&self.request).await?;
        let same_point = answer.point() == self.request.after;
        // What changed elsewhere is no reason to wake a gateway that it does not concern.
        let elsewhere = self.request.reach != Reach::All && !answer.complete;
        let unchanged = answer.organizations.is_empty() && (same_point || elsewhere);
        Ok((last || !unchanged).then_some(answer))
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
