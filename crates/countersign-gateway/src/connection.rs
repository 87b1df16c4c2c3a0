//! One TLS connection: the chain that it presented, and what is remembered of its requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, atomic::AtomicU64},
    time::{Duration, Instant},
};

use countersign_proxy::ClientState;
use countersign_types::{UnixSeconds, certificate::Scope, digest::ChainDigest, id::ApiKeyId};
use countersign_verify::presented::Presented;
use http::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    caller::{
        identity::{Caller, Identity},
        last_credential::LastCredential,
    },
    observing::tally::{Observer, Tally},
    shares::{ConnectionPlace, Exceeded, Shares, StreamPlace},
    unauthenticated::UnauthenticatedConnection,
    verdict::{
        authorization::{Authorization, Judged, OrganizationTrust},
        chain::Chain,
        outcome::Outcome,
        refused_chain::RefusedChain,
    },
};

/// The most verdicts that one connection remembers: one for each key that takes turns on it.
const MAX_REMEMBERED: usize = 8;

/// How requests of one caller passed.
#[derive(Debug)]
struct Remembered {
    /// The trust as it was compiled then, and not its revision: after a restored backup another history
    /// may have the same number.
    trust: Weak<OnceLock<OrganizationTrust>>,
    scope: Scope,
    key: Option<ApiKeyId>,
    authorization: Arc<Authorization>,
    /// None until a request is counted.
    tally: Option<Arc<Tally>>,
    /// Its place among the organization's connections; none until a request passes.
    place: Option<ConnectionPlace>,
}

/// A request that just arrived: it is counted, and takes of its organization's share.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// None where nothing is observed.
    pub(crate) observer: Option<&'a Observer>,
    pub(crate) shares: &'a Shares,
    /// The thread that serves it.
    pub(crate) thread: usize,
    /// Whether it takes places of its organization's: its connection's, and one until it ends. Another
    /// proxy has the connection and the request where only the verdict is given here.
    pub(crate) takes_place: bool,
    /// Reads the time by which shares fill up, and by which verdicts are charged.
    pub(crate) clock: &'a dyn Fn() -> Instant,
}

/// What a request passes with.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) authorization: Arc<Authorization>,
    /// None for what takes no place, or is judged again.
    pub(crate) place: Option<StreamPlace>,
}

/// Why a request does not pass.
#[derive(Debug)]
pub(crate) enum NotAuthorized {
    Refused(Arc<RefusedChain>),
    Exceeded(Exceeded),
}

impl From<Arc<RefusedChain>> for NotAuthorized {
    fn from(refused: Arc<RefusedChain>) -> Self {
        Self::Refused(refused)
    }
}

impl From<Exceeded> for NotAuthorized {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl Remembered {
    fn is_of(&self, identity: &Identity) -> bool {
        self.scope == identity.scope && self.key == identity.key
    }

    fn holds(&self, caller: Caller<'_>, now: UnixSeconds) -> bool {
        let trust = caller.organization.compiled();
        // The address cannot be another organization's: the weak pointer keeps it allocated.
        std::ptr::eq(self.trust.as_ptr(), Arc::as_ptr(trust))
            && self.is_of(caller.identity)
            && self.authorization.holds_at(now)
    }

    /// A place for one more request.
    fn stream_place(
        &mut self,
        identity: &Identity,
        arrival: &Arrival<'_>,
    ) -> Result<StreamPlace, Exceeded> {
        let place = match &mut self.place {
            Some(place) => place,
            none => {
                let id = &identity.organization;
                let share = arrival.shares.of(id, (arrival.clock)());
                none.insert(share.connection(arrival.thread)?)
            }
        };
        place.stream()
    }
}

/// What a connection remembers: how its requests passed, and what counts those that did not.
#[derive(Debug, Default)]
struct Memory {
    passed: Vec<Remembered>,
    refused: Vec<Arc<Tally>>,
    /// What it may be ended by as long as no request has passed.
    unauthenticated: Option<UnauthenticatedConnection>,
}

impl Memory {
    /// Remembers how requests of a caller pass, in place of what no longer holds; and at which index.
    fn remember(&mut self, caller: Caller<'_>, authorization: Arc<Authorization>) -> usize {
        let identity = caller.identity;
        let before = self.passed.iter().position(|each| each.is_of(identity));
        let before = before.map(|index| self.passed.remove(index));
        if self.passed.len() >= MAX_REMEMBERED {
            self.passed.remove(0);
        }
        self.passed.push(Remembered {
            trust: Arc::downgrade(caller.organization.compiled()),
            scope: identity.scope.clone(),
            key: identity.key.clone(),
            authorization,
            tally: None,
            // Of the same caller, so of the same organization.
            place: before.and_then(|before| before.place),
        });
        self.passed.len() - 1
    }
}

/// One of the connections that there may be at once, and one that a stop waits for. It is kept
/// until nothing of the connection lives: an upgraded stream outlives HTTP on it.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    _permit: OwnedSemaphorePermit,
    _under_way: TaskTrackerToken,
}

impl ConnectionSlot {
    pub(crate) const fn new(permit: OwnedSemaphorePermit, under_way: TaskTrackerToken) -> Self {
        Self {
            _permit: permit,
            _under_way: under_way,
        }
    }
}

/// One TLS connection.
#[derive(Debug)]
pub(crate) struct Connection {
    chain: Arc<Chain>,
    pub(crate) peer: SocketAddr,
    /// Its address and port as they are logged, once that is needed.
    peer_text: OnceLock<Arc<str>>,
    /// The client's address as upstreams are told it, once it is needed.
    address_header: OnceLock<HeaderValue>,
    memory: Mutex<Memory>,
    /// Who called last on it.
    pub(crate) last_credential: LastCredential,
    _slot: Option<ConnectionSlot>,
    /// How many requests arrived on it.
    pub(crate) requests: AtomicU64,
    /// What its byte stream must know of its requests.
    pub(crate) client: Arc<ClientState>,
}

impl Connection {
    /// A connection that keeps its slot until it is dropped.
    pub(crate) fn new(
        presented: Presented,
        peer: SocketAddr,
        slot: impl Into<Option<ConnectionSlot>>,
    ) -> Self {
        Self {
            chain: Arc::new(Chain::new(presented)),
            peer,
            peer_text: OnceLock::new(),
            address_header: OnceLock::new(),
            memory: Mutex::default(),
            last_credential: LastCredential::default(),
            _slot: slot.into(),
            requests: AtomicU64::new(0),
            client: Arc::default(),
        }
    }

    /// The same connection, which counts as unauthenticated until a request passes on it.
    pub(crate) fn not_authenticated_yet(self, unauthenticated: UnauthenticatedConnection) -> Self {
        self.lock().unauthenticated = Some(unauthenticated);
        self
    }

    /// The client's address and port as text.
    pub(crate) fn peer_text(&self) -> &Arc<str> {
        self.peer_text.get_or_init(|| self.peer.to_string().into())
    }

    /// The client's address, without its port, as a header.
    pub(crate) fn address_header(&self) -> &HeaderValue {
        self.address_header.get_or_init(|| {
            let text = self.peer.ip().to_canonical().to_string();
            // Digits, letters, dots and colons are always valid in a header.
            HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"))
        })
    }

    /// What the client presented. The handshake proved that it holds the leaf's key; nothing else
    /// of it is trusted.
    pub(crate) fn presented(&self) -> &Presented {
        &self.chain.presented
    }

    /// What identifies the chain; none where there is none.
    pub(crate) fn chain_digest(&self) -> Option<ChainDigest> {
        self.chain.presented.leaf().map(|_| self.chain.digest)
    }

    /// Whether a request of this caller passes on this connection now. A permit is remembered for
    /// as long as the very trust that it was made under is enforced, never past its expiry. Without
    /// an arrival nothing is counted or refused for its organization's share.
    pub(crate) fn authorize(
        &self,
        caller: Caller<'_>,
        now: UnixSeconds,
        arrival: Option<&Arrival<'_>>,
    ) -> Result<Passed, NotAuthorized> {
        let mut memory = self.lock();
        let found = memory
            .passed
            .iter()
            .position(|each| each.holds(caller, now));
        let index = match found {
            Some(index) => index,
            None => {
                let authorization = self.find_verdict(caller, now, arrival)??;
                memory.remember(caller, authorization)
            }
        };
        let Some(known) = memory.passed.get_mut(index) else {
            // It was found or put there just now.
            return Err(Exceeded::Connections.into());
        };
        let authorization = Arc::clone(&known.authorization);
        let Some(arrival) = arrival else {
            return Ok(Passed {
                authorization,
                place: None,
            });
        };
        let place = if arrival.takes_place {
            Some(known.stream_place(caller.identity, arrival)?)
        } else {
            None
        };
        self.count_passed(known, caller.identity, now, arrival.observer);
        memory.unauthenticated = None;
        Ok(Passed {
            authorization,
            place,
        })
    }

    /// What was decided about the chain, or is now: that takes of the organization's share. It lets no request
    /// pass, and the connection counts as before.
    pub(crate) fn find_verdict(
        &self,
        caller: Caller<'_>,
        now: UnixSeconds,
        arrival: Option<&Arrival<'_>>,
    ) -> Result<Judged, Exceeded> {
        let (organization, scope) = (caller.organization, &caller.identity.scope);
        let trust = organization.trust();
        if let Some(known) = trust.remembered(scope, &self.chain, now) {
            return Ok(known);
        }
        let Some(arrival) = arrival else {
            return Ok(trust.judge(scope, &self.chain, now));
        };
        let started = (arrival.clock)();
        let share = arrival.shares.of(organization.id(), started);
        let here = share.on(arrival.thread).ok_or(Exceeded::Verification)?;
        here.may_verify(started, worked)?;
        let judged = trust.judge(scope, &self.chain, now);
        here.charge((arrival.clock)().saturating_duration_since(started));
        Ok(judged)
    }

    /// Whether a look into memory decides about a request of this caller.
    pub(crate) fn remembers(&self, caller: Caller<'_>, now: UnixSeconds) -> bool {
        let holds = |each: &Remembered| each.holds(caller, now);
        let scope = &caller.identity.scope;
        let remembered = || {
            let trust = caller.organization.trust();
            trust.remembered(scope, &self.chain, now).is_some()
        };
        self.lock().passed.iter().any(holds) || remembered()
    }

    /// Counts a request that passes.
    fn count_passed(
        &self,
        known: &mut Remembered,
        identity: &Identity,
        now: UnixSeconds,
        observer: Option<&Observer>,
    ) {
        match (&known.tally, observer) {
            (_, None) => {}
            (Some(tally), Some(_)) => tally.count(now),
            (None, Some(observer)) => {
                known.tally = self.start_tally(observer, identity, &known.authorization, now);
            }
        }
    }

    /// Starts to count requests that pass.
    fn start_tally(
        &self,
        observer: &Observer,
        identity: &Identity,
        authorization: &Authorization,
        now: UnixSeconds,
    ) -> Option<Arc<Tally>> {
        observer.start(identity, &self.chain, Outcome::passed(authorization), now)
    }

    /// Counts a request that was refused.
    pub(crate) fn count_refused(
        &self,
        identity: &Identity,
        outcome: Outcome,
        now: UnixSeconds,
        observer: &Observer,
    ) {
        let refused = &mut self.lock().refused;
        let is_it = |tally: &&Arc<Tally>| tally.counts(identity, &outcome);
        if let Some(tally) = refused.iter().find(is_it) {
            tally.count(now);
            return;
        }
        if refused.len() >= MAX_REMEMBERED {
            refused.remove(0);
        }
        refused.extend(observer.start(identity, &self.chain, outcome, now));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long this thread has worked since it began.
fn worked() -> Option<Duration> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    // Each thread has a runtime of its own, with one worker.
    Some(runtime.metrics().worker_total_busy_duration(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{credential::Credential, snapshot::Snapshot};
    use crate::{shares::ShareLimits, unauthenticated::UnauthenticatedConnections};
    use countersign_testca::root;
    use countersign_types::{
        bundle::{BundleCertificate, BundleProject, OrganizationBundle},
        id::{CertificateId, OrganizationId, ProjectId},
    };
    use futures_util::FutureExt as _;

    const ANCHOR: u128 = 1;

    fn project(number: u128, active: Vec<CertificateId>) -> BundleProject {
        BundleProject {
            id: ProjectId::from_random(number),
            archived: false,
            active,
            with_reported: Vec::new(),
        }
    }

    fn organization(
        number: u128,
        certificates: Vec<BundleCertificate>,
        active: Vec<CertificateId>,
        projects: Vec<BundleProject>,
    ) -> OrganizationBundle {
        OrganizationBundle {
            id: OrganizationId::from_random(number),
            revision: 7,
            digest: None,
            certificates,
            active,
            with_reported: Vec::new(),
            projects,
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        }
    }

    fn snapshot_of(active: Vec<CertificateId>, projects: Vec<BundleProject>) -> Snapshot {
        let certificate = BundleCertificate {
            id: CertificateId::from_random(ANCHOR),
            pem: root("Client CA").mint().pem(),
            cel_policy: None,
            reported_policy: None,
            revocation: None,
            floor: None,
            reported_floor: None,
        };
        let bundle = organization(1, vec![certificate], active, projects);
        Snapshot::default().after(7, true, vec![bundle], &[])
    }

    fn snapshot(active: bool) -> Snapshot {
        let anchor = active.then(|| CertificateId::from_random(ANCHOR));
        snapshot_of(anchor.into_iter().collect(), vec![project(1, Vec::new())])
    }

    fn passes(connection: &Connection, snapshot: &Snapshot) -> bool {
        let credential = Credential::FixedProject(ProjectId::from_random(1));
        let caller = snapshot.caller(&credential, 0).unwrap();
        connection.authorize(caller, 0, None).is_ok()
    }

    #[test]
    fn a_verdict_of_another_history_with_the_same_number_is_not_remembered() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(Presented::default(), peer, None);
        let open = snapshot(false);
        assert!(passes(&connection, &open));
        assert!(!passes(&connection, &snapshot(true)));
    }

    #[test]
    fn what_passed_as_one_project_is_not_remembered_for_another() {
        let anchor = CertificateId::from_random(ANCHOR);
        let projects = vec![project(1, Vec::new()), project(2, vec![anchor])];
        let snapshot = snapshot_of(Vec::new(), projects);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(Presented::default(), peer, None);
        assert!(passes(&connection, &snapshot));
        // Neither has a key, so only the scope tells them apart.
        let other = Credential::FixedProject(ProjectId::from_random(2));
        let other = snapshot.caller(&other, 0).unwrap();
        assert!(connection.authorize(other, 0, None).is_err());
    }

    #[test]
    fn a_request_that_passes_takes_its_places_and_one_that_is_refused_leaves_it_unauthenticated() {
        let unauthenticated = Arc::new(UnauthenticatedConnections::default());
        let (one_of_them, ended) = unauthenticated.enter();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection =
            Connection::new(Presented::default(), peer, None).not_authenticated_yet(one_of_them);
        let limits = ShareLimits {
            verification: Duration::from_secs(1),
            streams: 1,
            connections: 1,
        };
        let shares = Shares::new(limits, 1);
        let arrival = Arrival {
            observer: None,
            shares: &shares,
            thread: 0,
            takes_place: true,
            clock: &Instant::now,
        };
        let credential = Credential::FixedProject(ProjectId::from_random(1));
        let arrives = |connection: &Connection, snapshot: &Snapshot| {
            let caller = snapshot.caller(&credential, 0).unwrap();
            connection.authorize(caller, 0, Some(&arrival))
        };
        let (closed, open) = (snapshot(true), snapshot(false));
        assert!(matches!(
            arrives(&connection, &closed),
            Err(NotAuthorized::Refused(_))
        ));
        assert!(connection.lock().unauthenticated.is_some());
        let passed = arrives(&connection, &open).unwrap();
        unauthenticated.end_oldest();
        assert!(
            ended.notified().now_or_never().is_none(),
            "a request passed"
        );
        let exceeded = |refused: Result<Passed, NotAuthorized>| match refused {
            Err(NotAuthorized::Exceeded(exceeded)) => Some(exceeded),
            Err(NotAuthorized::Refused(_)) | Ok(_) => None,
        };
        let second = exceeded(arrives(&connection, &open));
        assert_eq!(second, Some(Exceeded::Streams));
        drop(passed);
        // Judged under other trust, it is the same connection of the same organization.
        assert!(arrives(&connection, &snapshot(false)).is_ok());
        let other = Connection::new(Presented::default(), peer, None);
        assert_eq!(
            exceeded(arrives(&other, &open)),
            Some(Exceeded::Connections)
        );
        drop(connection);
        assert!(arrives(&other, &open).is_ok());
    }

    #[test]
    fn a_request_takes_of_its_own_organization_whoever_else_is_on_the_connection() {
        let both = [1, 2].map(|number| {
            let projects = vec![project(number, Vec::new())];
            organization(number, Vec::new(), Vec::new(), projects)
        });
        let snapshot = Snapshot::default().after(7, true, both.into(), &[]);
        let limits = ShareLimits {
            verification: Duration::from_secs(1),
            streams: 1,
            connections: 1,
        };
        let shares = Shares::new(limits, 1);
        let arrival = Arrival {
            observer: None,
            shares: &shares,
            thread: 0,
            takes_place: true,
            clock: &Instant::now,
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(Presented::default(), peer, None);
        let arrives = |number| {
            let credential = Credential::FixedProject(ProjectId::from_random(number));
            let caller = snapshot.caller(&credential, 0).unwrap();
            connection.authorize(caller, 0, Some(&arrival))
        };
        let under_way = [1, 2].map(|number| arrives(number).unwrap());
        assert!(arrives(1).is_err() && arrives(2).is_err());
        let [first, _second] = under_way;
        drop(first);
        assert!(
            arrives(2).is_err(),
            "the other's request is still under way"
        );
        assert!(arrives(1).is_ok());
    }

    #[tokio::test]
    async fn a_thread_that_works_all_the_time_is_known_to() {
        let before = worked().unwrap();
        let working = tokio::spawn(async {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(300) {
                let turn = Instant::now();
                while turn.elapsed() < Duration::from_micros(500) {}
                tokio::task::yield_now().await;
            }
        });
        working.await.unwrap();
        assert!(worked().unwrap() - before >= Duration::from_millis(150));
    }
}
