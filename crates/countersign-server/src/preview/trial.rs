//! A change that is tried and rolled back, and the judgement of what it would have left. So a
//! preview is checked and ordered exactly as the real change is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, capability::LackingGateway, certificate::Scope,
    id::OrganizationId,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::{
    comparison::{Comparing, Comparison},
    observed::Observed,
    tokens::TokenSides,
};
use crate::store::{
    Clock, GATEWAY_LIVE_SECONDS, GatewayFilter, LiveStreams, Store, StoreError, needed_by,
};

/// An organization before a change and after it. The transaction that the change was tried in was
/// dropped. The bundles are shared, since a large organization's is megabytes.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) before: Arc<OrganizationBundle>,
    pub(crate) after: Arc<OrganizationBundle>,
    /// What tokens are given by; `None` where only assertions are judged, which are about chains, or where every
    /// project keeps an anchor and the rules stay.
    pub(crate) tokens: Option<TokenSides>,
}

impl Trial {
    /// Begins to compare what the change does to the observed callers that it reaches.
    pub(crate) fn comparing(&self, reach: &Scope, now: UnixSeconds) -> Comparing {
        let comparing = Comparing::new([&self.before, &self.after], reach, now);
        comparing.with_tokens(self.tokens.clone())
    }
}

/// What is judged part by part: each part is a page of workloads with the chains that they present as
/// far as these are kept. The workloads of one chain stand together, over the parts too.
pub(crate) trait Judgement: Send + 'static {
    /// What it comes to.
    type Answer: Send + 'static;

    /// Judges a part.
    fn add(&mut self, part: Observed);

    /// Ends, once all parts were judged.
    fn finish(self) -> Self::Answer;
}

impl Judgement for Comparing {
    type Answer = Comparison;

    fn add(&mut self, part: Observed) {
        Self::add(self, &part);
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

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// The streams of an organization that are under way at live gateways.
    pub(super) async fn live_streams(
        &self,
        organization: &OrganizationId,
    ) -> Result<LiveStreams, TrialError> {
        let live_since = self.now().saturating_sub(GATEWAY_LIVE_SECONDS);
        Ok(self.store.live_streams(organization, live_since).await?)
    }

    /// The live gateways that would not enforce what an organization then has.
    pub(super) async fn lacking(
        &self,
        organization: &OrganizationId,
        then: &OrganizationBundle,
    ) -> Result<Vec<LackingGateway>, TrialError> {
        let needed = needed_by(then);
        if needed.is_empty() {
            return Ok(Vec::new());
        }
        let live_since = self.now().saturating_sub(GATEWAY_LIVE_SECONDS);
        let filter = GatewayFilter {
            kept_since: live_since,
            live_since,
        };
        let lacking = self.store.gateways_lacking(organization, needed, filter);
        Ok(lacking.await?)
    }

    /// The time that is judged at.
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Judges by what was observed of an organization since a time, part by part, on a thread where
    /// that may take long. `begin` gets the time now.
    ///
    /// Whatever the number of workloads, one part of them is in memory at a time: 100 workloads and
    /// their chains, of 64 KiB each at most.
    ///
    /// Hold no write while calling this: it waits for its turn and for the database.
    pub(crate) async fn judge<J: Judgement>(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
        begin: impl FnOnce(UnixSeconds) -> J + Send + 'static,
    ) -> Result<J::Answer, TrialError> {
        let _trial = self.trial(organization).await?;
        let now = self.now();
        let mut judgement = self.take_turn(move || begin(now)).await?;
        let mut workloads = self.store.workloads(organization, since);
        while let Some(page) = workloads.next().await? {
            let part = Observed {
                chains: self.store.chains_of(organization, &page).await?,
                workloads: page.workloads,
            };
            let judged = self.take_turn(move || {
                judgement.add(part);
                judgement
            });
            judgement = judged.await?;
        }
        self.take_turn(move || judgement.finish()).await
    }

    /// Waits until no other trial of the organization is under way.
    pub(super) async fn trial(
        &self,
        organization: &OrganizationId,
    ) -> Result<OwnedSemaphorePermit, TrialError> {
        let trial = self.trial_of(organization);
        trial.acquire_owned().await.map_err(incomplete)
    }

    /// Does some work when its turn comes.
    pub(super) async fn take_turn<T: Send + 'static>(
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

#[cfg(test)]
mod tests {
    use countersign_types::{
        digest::ChainDigest,
        error::ErrorCode,
        id::GatewayId,
        observation::{Der, Observation, ObservationBatch, ObservedChain},
        workload::ObservedWorkload,
    };
    use countersign_verify::presented::Presented;

    use super::*;
    use crate::store::{Location, ReceivedChain, Sources, WORKLOADS_OF_A_PAGE};

    /// What it was given, by its size.
    #[derive(Default)]
    struct Counting {
        parts: Vec<usize>,
        /// The chains in the order in which they came, of neighbours one.
        chains: Vec<Option<ChainDigest>>,
        requests: u64,
    }

    impl Judgement for Counting {
        type Answer = Self;

        fn add(&mut self, part: Observed) {
            assert!(part.chains.len() <= WORKLOADS_OF_A_PAGE);
            self.parts.push(part.workloads.len());
            for workload in &part.workloads {
                let chain = workload.identity.chain;
                assert!(chain.is_none_or(|chain| part.chains.contains_key(&chain)));
                self.requests += workload.requests;
                self.chains.push(chain);
            }
            self.chains.dedup();
        }

        fn finish(self) -> Self {
            self
        }
    }

    const WORKLOADS: usize = 950;
    /// Each is refused in one way and in another, and passes.
    const CODES: [Option<ErrorCode>; 3] = [
        Some(ErrorCode::CertificateVerificationFailed),
        Some(ErrorCode::AuthenticationTemporarilyUnavailable),
        None,
    ];

    #[tokio::test]
    async fn a_page_of_the_workloads_is_in_memory_at_a_time_and_each_comes_once() {
        let sources = Sources::system();
        let now = sources.now();
        let store = Store::open(&Location::Memory, sources.clone());
        let store = store.await.unwrap();
        let made = store.create_organization("Acme").await.unwrap();
        let organization = made.organization.id;
        let seen = |chain, code| Observation {
            organization: organization.clone(),
            identity: ObservedWorkload {
                project: None,
                key: Some(made.key.id.clone()),
                chain,
            },
            code,
            anchor: None,
            anchor_scope: None,
            reported: None,
            requests: 1,
            first_seen: now,
            last_seen: now,
        };
        let der = |number: usize| number.to_be_bytes().to_vec();
        let digest = |number| Presented::new(vec![der(number).into()]).sha256();
        for (number, code) in (1..).zip(CODES) {
            let chains: Vec<_> = (0..WORKLOADS)
                .map(|number| {
                    ReceivedChain::new(&ObservedChain {
                        organization: organization.clone(),
                        certificates: vec![Der(der(number))],
                    })
                })
                .collect();
            let seen_with = (0..WORKLOADS).map(|number| seen(Some(digest(number)), code));
            let batch = ObservationBatch {
                gateway: GatewayId::from_random(1),
                number,
                chains: Vec::new(),
                observations: seen_with.chain([seen(None, code)]).collect(),
                refusals: None,
                refused_by: None,
                live: None,
            };
            store
                .record_observations(&batch, &chains, 90)
                .await
                .unwrap();
        }
        let judge = TrialJudge::new(store, sources.clock);
        let judged = judge.judge(&organization, 0, |_| Counting::default());
        let counted = judged.await.unwrap();
        assert!(
            counted
                .parts
                .iter()
                .all(|part| *part <= WORKLOADS_OF_A_PAGE)
        );
        assert!(counted.parts.len() > 10, "{:?}", counted.parts);
        assert_eq!(counted.parts.iter().sum::<usize>(), WORKLOADS + 1);
        assert_eq!(counted.chains.len(), WORKLOADS + 1);
        assert_eq!(counted.requests, 3 * (WORKLOADS as u64 + 1));
    }
}
