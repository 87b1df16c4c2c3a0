//! A change that is tried and rolled back, and the judgement of what it would have left. So a
//! preview is checked and ordered exactly as the real change is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, certificate::Scope, digest::ChainDigest,
    id::OrganizationId,
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::comparison::{Comparing, Comparison, Observed};
use crate::store::{Clock, Store, StoreError, Workload};

/// An organization before a change and after it. The transaction that the change was tried in was
/// dropped. The bundles are shared, since a large organization's is megabytes.
pub(crate) struct Trial {
    pub(crate) before: Arc<OrganizationBundle>,
    pub(crate) after: Arc<OrganizationBundle>,
}

impl Trial {
    /// Begins to compare what the change does to the observed callers that it reaches.
    pub(crate) fn comparing(
        &self,
        reach: &Scope,
        workloads: &[Workload],
        now: UnixSeconds,
    ) -> Comparing {
        Comparing::new([&self.before, &self.after], reach, workloads, now)
    }
}

/// What is judged part by part: each part has chains and all workloads that present them, and the
/// last one the workloads whose chain is not kept or who present none.
pub(crate) trait Judgement: Send + 'static {
    /// What it comes to.
    type Answer: Send + 'static;

    /// Judges a part.
    fn add(&mut self, part: &Observed);

    /// Ends, once all parts were judged.
    fn finish(self) -> Self::Answer;
}

impl Judgement for Comparing {
    type Answer = Comparison;

    fn add(&mut self, part: &Observed) {
        Self::add(self, part);
    }

    fn finish(self) -> Comparison {
        Self::finish(self)
    }
}

/// Judges trials by the observed traffic. Clones share their turns.
#[derive(Clone)]
pub(crate) struct TrialJudge {
    store: Store,
    clock: Clock,
    /// One part at a time, of whichever trial came first: a part keeps a core busy for some
    /// milliseconds, a whole trial perhaps for seconds.
    parts: Arc<Semaphore>,
    /// One trial of an organization at a time, so that many of one do not hold up another's.
    trials: Arc<Mutex<HashMap<OrganizationId, Arc<Semaphore>>>>,
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
            parts: Arc::new(Semaphore::new(1)),
            trials: Arc::default(),
        }
    }

    /// The time that is judged at.
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Judges by what was observed of an organization since a time, part by part, on a thread where
    /// that may take long. `begin` gets the workloads, of which it may leave some out, and the time
    /// now.
    ///
    /// Hold no write while calling this: it waits for its turn and for the database.
    pub(crate) async fn judge<J: Judgement>(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
        begin: impl FnOnce(&mut Vec<Workload>, UnixSeconds) -> J + Send + 'static,
    ) -> Result<J::Answer, TrialError> {
        let trial = self.trial_of(organization);
        let _trial = trial.acquire().await.map_err(incomplete)?;
        let mut workloads = self.store.list_workloads(organization, since).await?;
        let now = self.now();
        let begun = self.take_turn(move || {
            let judgement = begin(&mut workloads, now);
            (judgement, by_chain(workloads))
        });
        let (mut judgement, mut by_chain) = begun.await?;
        let mut after = Some(0);
        while let Some(place) = after {
            let page = self
                .store
                .observed_chains(organization, since, place)
                .await?;
            after = page.next;
            let presented = page.chains.keys().map(|chain| Some(*chain));
            let workloads = presented
                .filter_map(|chain| by_chain.remove(&chain))
                .flatten();
            let part = Observed {
                workloads: workloads.collect(),
                chains: page.chains,
            };
            let judged = self.take_turn(move || {
                judgement.add(&part);
                judgement
            });
            judgement = judged.await?;
        }
        let rest = Observed {
            workloads: by_chain.into_values().flatten().collect(),
            chains: HashMap::new(),
        };
        self.take_turn(move || {
            judgement.add(&rest);
            judgement.finish()
        })
        .await
    }

    /// Does some work when its turn comes.
    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TrialError> {
        let turn = Arc::clone(&self.parts).acquire_owned().await;
        let turn = turn.map_err(incomplete)?;
        let done = spawn_blocking(move || {
            // The turn belongs to the work and not to this future: a caller that hangs up does not
            // stop the thread, and the next work must wait for it all the same.
            let _turn = turn;
            work()
        });
        done.await.map_err(incomplete)
    }

    /// What a trial of an organization waits for; those that nobody waits for are forgotten.
    fn trial_of(&self, organization: &OrganizationId) -> Arc<Semaphore> {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        trials.retain(|_, trial| Arc::strong_count(trial) > 1);
        let trial = trials.entry(organization.clone());
        Arc::clone(trial.or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

fn incomplete(error: impl std::fmt::Display) -> TrialError {
    TrialError::Incomplete(error.to_string())
}

fn by_chain(workloads: Vec<Workload>) -> HashMap<Option<ChainDigest>, Vec<Workload>> {
    let mut by_chain: HashMap<_, Vec<Workload>> = HashMap::new();
    for workload in workloads {
        by_chain
            .entry(workload.identity.chain)
            .or_default()
            .push(workload);
    }
    by_chain
}
