//! A gateway's request for what changed, held open until something did.

use std::sync::Arc;

use countersign_types::{history::HistoryPoint, id::OrganizationId};
use tokio::sync::watch;

use super::{BundleAnswer, Reach, Store, StoreError, bundle_keys::KeysRead, recent_changes::Seen};

/// What a gateway asks for.
#[derive(Debug, Clone)]
pub struct BundleRequest {
    /// What changed after this point.
    pub after: HistoryPoint,
    /// Of these organizations.
    pub reach: Reach,
    /// Whether everything is to come in pages.
    pub paged: bool,
    /// Whether of keys only what changed may be sent.
    pub key_changes: bool,
}

impl BundleRequest {
    pub(super) const fn keys(&self) -> KeysRead {
        if self.key_changes {
            KeysRead::ChangedAfter(self.after.revision)
        } else {
            KeysRead::All
        }
    }
}

/// A request that waits for a change after a point of the history.
pub struct Waiting {
    store: Store,
    request: BundleRequest,
    signal: watch::Receiver<HistoryPoint>,
    /// Whether this is the first look.
    is_new: bool,
    /// Where only some organizations are asked for, up to where they were looked at.
    seen: Option<Seen>,
}

impl Store {
    /// Waits for what comes after a point.
    #[must_use]
    pub fn wait_after(&self, after: HistoryPoint) -> Waiting {
        self.wait_for(BundleRequest {
            after,
            reach: Reach::All,
            paged: false,
            key_changes: false,
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
            is_new: true,
            seen: None,
        }
    }
}

impl Waiting {
    /// What changed; nothing if nothing did, unless this is the last look. The first and the last are as of
    /// now, others as of when the change was announced that they look for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn look(&mut self, last: bool) -> Result<Option<Arc<BundleAnswer>>, StoreError> {
        let announced = *self.signal.borrow_and_update();
        let announced = Some(announced).filter(|_| !last && !self.is_new);
        self.is_new = false;
        let answer = match self.request.reach.clone() {
            Reach::All => self.store.answer(&self.request, announced).await?,
            Reach::Only(ids) => {
                if !self.may_concern(&ids, announced).await? {
                    return Ok(None);
                }
                let (answer, seen) = self.store.answer_within(&self.request, &ids).await?;
                self.seen = seen;
                answer
            }
        };
        let same_point = answer.point() == self.request.after;
        // What changed elsewhere is no reason to wake a gateway that it does not concern.
        let elsewhere = self.request.reach != Reach::All && !answer.complete;
        let unchanged = answer.organizations.is_empty() && (same_point || elsewhere);
        Ok((last || !unchanged).then_some(answer))
    }

    /// Whether an announced change may be one of these organizations.
    async fn may_concern(
        &mut self,
        ids: &[OrganizationId],
        announced: Option<HistoryPoint>,
    ) -> Result<bool, StoreError> {
        let (Some(announced), Some(seen)) = (announced, &mut self.seen) else {
            return Ok(true);
        };
        let inner = &self.store.inner;
        let recent = &inner.recent_changes;
        recent
            .may_concern(&inner.database, announced, ids, seen)
            .await
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
