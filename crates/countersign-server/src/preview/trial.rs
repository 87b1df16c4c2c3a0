//! A change that is tried and rolled back, and the judgement of what it would have left. So a
//! preview is checked and ordered exactly as the real change is.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, certificate::Scope, id::OrganizationId,
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::comparison::{Comparison, Observed, compare};
use crate::store::{Clock, Store, StoreError};

/// An organization before a change and after it. The transaction that the change was tried in was
/// dropped. The bundles are shared, since a large organization's is megabytes.
pub(crate) struct Trial {
    pub(crate) before: Arc<OrganizationBundle>,
    pub(crate) after: Arc<OrganizationBundle>,
}

impl Trial {
    /// What the change does to the observed callers that it reaches.
    pub(crate) fn compare(
        &self,
        reach: &Scope,
        observed: &Observed,
        now: UnixSeconds,
    ) -> Comparison {
        compare(&self.before, &self.after, reach, observed, now)
    }
}

/// Judges trials by the observed traffic. Clones share their turns.
#[derive(Clone)]
pub(crate) struct TrialJudge {
    store: Store,
    clock: Clock,
    /// One at a time: a judgement may keep a core busy for seconds.
    turns: Arc<Semaphore>,
}

/// Why a trial was not judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// The traffic could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The judgement panicked, or the runtime is shutting down.
    #[error("the judgement of a trial did not complete: {0}")]
    Incomplete(String),
}

impl TrialJudge {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    /// The time that is judged at.
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Reads what was observed of an organization since a time, and hands it with the time now to
    /// a judgement, on a thread where that may take long.
    ///
    /// Hold no write while calling this: it waits for its turn and for the database.
    pub(crate) async fn judge<T: Send + 'static>(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
        judgement: impl FnOnce(Observed, UnixSeconds) -> T + Send + 'static,
    ) -> Result<T, TrialError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|error| TrialError::Incomplete(error.to_string()))?;
        let observed = Observed {
            workloads: self.store.list_workloads(organization, since).await?,
            chains: self.store.observed_chains(organization, since).await?,
        };
        let now = self.now();
        let judged = spawn_blocking(move || {
            // The turn belongs to the work and not to this future: a caller that hangs up does not
            // stop the thread, and the next judgement must wait for it all the same.
            let _turn = turn;
            judgement(observed, now)
        });
        judged
            .await
            .map_err(|error| TrialError::Incomplete(error.to_string()))
    }
}
