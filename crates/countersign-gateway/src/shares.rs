//! What each organization may take of a gateway, so that none takes what the others need: CPU for
//! judging chains, requests under way, connections. A request whose verdict is remembered looks
//! nothing up here: its connection holds the place that it took.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_types::id::OrganizationId;
use metrics::counter;
use slab::Slab;

/// How much of its share of verification an organization may save up, in seconds of that share.
const SAVED: u32 = 2;

/// How long what a thread had idle is gone by.
const LOOK_BACK: Duration = Duration::from_millis(100);

/// The most that one verdict is charged. It costs less: what is above this is time in which the
/// thread did not run.
const MAX_CHARGE: Duration = Duration::from_millis(2);

/// The most organizations that are known before those without any connection are forgotten.
const MAX_KNOWN: usize = 65_536;

/// Why a request is refused that would otherwise be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("the organization has used its share of this thread's time for judging new chains")]
    Verification,
    #[error("the organization has as many requests under way on this thread as it may")]
    Streams,
    #[error("the organization has as many connections as it may")]
    Connections,
}

impl Exceeded {
    fn count(self) -> Self {
        let limit = match self {
            Self::Verification => "verification",
            Self::Streams => "streams",
            Self::Connections => "connections",
        };
        counter!("countersign_gateway_organization_limited_total", "limit" => limit).increment(1);
        self
    }
}

/// What one organization may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareLimits {
    /// Of each second of a thread, for judging chains.
    pub(crate) verification: Duration,
    /// Requests under way on one thread.
    pub(crate) streams: usize,
    /// Over all threads.
    pub(crate) connections: usize,
}

/// The shares of all organizations.
#[derive(Debug)]
pub(crate) struct Shares {
    limits: ShareLimits,
    /// Of each thread.
    idle: Vec<Arc<Mutex<Idle>>>,
    known: Mutex<HashMap<OrganizationId, Arc<Share>>>,
}

impl Shares {
    pub(crate) fn new(limits: ShareLimits, threads: usize) -> Self {
        Self {
            limits,
            idle: (0..threads).map(|_| Arc::default()).collect(),
            known: Mutex::default(),
        }
    }

    /// An organization's share.
    pub(crate) fn of(&self, organization: &OrganizationId, now: Instant) -> Arc<Share> {
        let mut known = lock(&self.known);
        if let Some(share) = known.get(organization) {
            return Arc::clone(share);
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, share| Arc::strong_count(share) > 1 || share.has_streams());
        }
        let threads = self.idle.iter().map(|idle| {
            Arc::new(ThreadShare {
                idle: Arc::clone(idle),
                most_streams: self.limits.streams,
                streams: AtomicUsize::new(0),
                organization: organization.clone(),
                changes: AtomicU64::new(0),
                under_way: Mutex::default(),
                verification: Mutex::new(Verification::full(self.limits.verification, now)),
            })
        });
        let share = Arc::new(Share {
            most_connections: self.limits.connections,
            connections: AtomicUsize::new(0),
            threads: threads.collect(),
        });
        known.insert(organization.clone(), Arc::clone(&share));
        share
    }
}

impl Shares {
    /// The share of an organization, if it has taken of it.
    pub(crate) fn known(&self, organization: &OrganizationId) -> Option<Arc<Share>> {
        lock(&self.known).get(organization).map(Arc::clone)
    }

    /// All shares that somebody has taken of.
    pub(crate) fn all(&self) -> Vec<Arc<Share>> {
        lock(&self.known).values().map(Arc::clone).collect()
    }
}

/// What one organization takes. It outlives every change of the organization.
#[derive(Debug)]
pub(crate) struct Share {
    most_connections: usize,
    connections: AtomicUsize,
    threads: Vec<Arc<ThreadShare>>,
}

impl Share {
    /// Its part on one thread. None for a thread that there is not.
    pub(crate) fn on(&self, thread: usize) -> Option<&Arc<ThreadShare>> {
        self.threads.get(thread)
    }

    /// Whether a request of its organization is under way.
    fn has_streams(&self) -> bool {
        let mut threads = self.threads.iter();
        threads.any(|here| here.streams.load(Ordering::Relaxed) > 0)
    }

    /// A connection on which its requests pass.
    pub(crate) fn connection(self: Arc<Self>, thread: usize) -> Result<ConnectionPlace, Exceeded> {
        let Some(here) = self.on(thread).map(Arc::clone) else {
            return Err(Exceeded::Connections.count());
        };
        if !take(&self.connections, self.most_connections) {
            return Err(Exceeded::Connections.count());
        }
        Ok(ConnectionPlace { share: self, here })
    }
}

/// What one organization takes of one thread. Only that thread writes to it, so nobody waits for it.
#[derive(Debug)]
pub(crate) struct ThreadShare {
    most_streams: usize,
    streams: AtomicUsize,
    organization: OrganizationId,
    /// How many changes of the organization the thread has noticed.
    changes: AtomicU64,
    /// Its requests under way, by their places among all of the thread.
    under_way: Mutex<Slab<usize>>,
    verification: Mutex<Verification>,
    /// The thread's, which all organizations share.
    idle: Arc<Mutex<Idle>>,
}

impl ThreadShare {
    /// Holds the organization's requests on this thread until they are judged again.
    pub(crate) fn hold(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The places of its requests under way.
    pub(crate) fn under_way(&self) -> Vec<usize> {
        lock(&self.under_way)
            .iter()
            .map(|(_, place)| *place)
            .collect()
    }

    /// Whether it may have another chain judged: of its share, or else of what the thread has idle.
    /// `busy` says how long the thread has worked since it began, where that is known.
    pub(crate) fn may_verify(
        &self,
        now: Instant,
        busy: impl FnOnce() -> Option<Duration>,
    ) -> Result<(), Exceeded> {
        let (saved, has_share) = {
            let mut own = lock(&self.verification);
            (own.refill(now), !own.each_second.is_zero())
        };
        let is_idle = || busy().is_some_and(|busy| lock(&self.idle).refill(now, busy));
        if saved || (has_share && is_idle()) {
            Ok(())
        } else {
            Err(Exceeded::Verification.count())
        }
    }

    /// Charges what judging a chain took to what allowed it. What is not there is owed: else whoever
    /// asks all the time would pay for each verdict with what came together during the one before it.
    pub(crate) fn charge(&self, cost: Duration) {
        let cost = cost.min(MAX_CHARGE);
        let mut own = lock(&self.verification);
        if own.balance.is_empty() {
            lock(&self.idle).balance.charge(cost);
        } else {
            own.balance.charge(cost);
        }
    }
}

/// Time that may be used, or that was used beyond what there was.
#[derive(Debug, Default)]
struct Balance {
    left: Duration,
    owed: Duration,
}

impl Balance {
    const fn is_empty(&self) -> bool {
        self.left.is_zero()
    }

    /// Adds to it; what is left is never more than this.
    fn add(&mut self, gained: Duration, most: Duration) {
        let beyond = gained.saturating_sub(self.owed);
        self.owed = self.owed.saturating_sub(gained);
        self.left = self.left.saturating_add(beyond).min(most);
    }

    fn charge(&mut self, cost: Duration) {
        self.owed = self.owed.saturating_add(cost.saturating_sub(self.left));
        self.left = self.left.saturating_sub(cost);
    }
}

/// Time that a thread had idle. Half of it is for those who have used up their shares: what they take
/// costs nobody else more than a wait of half the time that is gone by.
#[derive(Debug, Default)]
struct Idle {
    /// When that was last looked at, and how long the thread had worked until then.
    looked: Option<(Instant, Duration)>,
    balance: Balance,
}

impl Idle {
    /// Looks at the time since the last look, when that is long enough; whether anything is left.
    fn refill(&mut self, now: Instant, busy: Duration) -> bool {
        let Some((since, busy_before)) = self.looked else {
            self.looked = Some((now, busy));
            return false;
        };
        let passed = now.saturating_duration_since(since);
        if passed >= LOOK_BACK {
            let idle = passed.saturating_sub(busy.saturating_sub(busy_before));
            let half = LOOK_BACK.mul_f64(idle.as_secs_f64() / passed.as_secs_f64() / 2.0);
            // What was not used by now is gone.
            self.balance.left = Duration::ZERO;
            self.balance.add(half, LOOK_BACK);
            self.looked = Some((now, busy));
        }
        !self.balance.is_empty()
    }
}

/// Time for verification that an organization has saved up on a thread.
#[derive(Debug)]
struct Verification {
    /// What it gets for each second.
    each_second: Duration,
    balance: Balance,
    since: Instant,
}

impl Verification {
    const fn full(each_second: Duration, now: Instant) -> Self {
        Self {
            each_second,
            balance: Balance {
                left: each_second.saturating_mul(SAVED),
                owed: Duration::ZERO,
            },
            since: now,
        }
    }

    /// Adds what came together since the last time; whether there is any.
    fn refill(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        self.since = now;
        let gained = self.each_second.as_secs_f64() * passed.as_secs_f64();
        // What is too large for a duration fills it anyway.
        let gained = Duration::try_from_secs_f64(gained).unwrap_or(Duration::MAX);
        let full = self.each_second.saturating_mul(SAVED);
        self.balance.add(gained, full);
        !self.balance.is_empty()
    }
}

/// A connection's place among those of an organization.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    share: Arc<Share>,
    here: Arc<ThreadShare>,
}

impl ConnectionPlace {
    /// A place for one more request on it.
    pub(crate) fn stream(&self) -> Result<StreamPlace, Exceeded> {
        if !take(&self.here.streams, self.here.most_streams) {
            return Err(Exceeded::Streams.count());
        }
        Ok(StreamPlace {
            here: Arc::clone(&self.here),
            entry: None,
        })
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.share.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's place among those of its organization that are under way.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    here: Arc<ThreadShare>,
    /// Where it stands in the list of them.
    entry: Option<usize>,
}

impl StreamPlace {
    /// Lets it be found among its organization's, by its place among all of the thread.
    pub(crate) fn register(&mut self, place: usize) {
        let entry = lock(&self.here.under_way).insert(place);
        self.entry = Some(entry);
    }

    /// How many changes of its organization the thread has noticed.
    pub(crate) fn changes(&self) -> u64 {
        self.here.changes.load(Ordering::Acquire)
    }

    pub(crate) fn is_of(&self, organization: &OrganizationId) -> bool {
        self.here.organization == *organization
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            lock(&self.here.under_way).try_remove(entry);
        }
        self.here.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn take(taken: &AtomicUsize, most: usize) -> bool {
    let before = taken.fetch_add(1, Ordering::Relaxed);
    if before >= most {
        taken.fetch_sub(1, Ordering::Relaxed);
    }
    before < most
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::Recorded;

    fn shares(verification: u64, streams: usize, connections: usize) -> Shares {
        let limits = ShareLimits {
            verification: Duration::from_millis(verification),
            streams,
            connections,
        };
        Shares::new(limits, 2)
    }

    #[test]
    fn one_organization_uses_up_its_verification_and_not_anothers() {
        let now = Instant::now();
        let shares = shares(10, 1, 1);
        let [hostile, other] =
            [1, 2].map(|number| shares.of(&OrganizationId::from_random(number), now));
        let (here, there) = (hostile.on(0).unwrap(), hostile.on(1).unwrap());
        let mut verdicts = 0;
        while here.may_verify(now, || None).is_ok() {
            here.charge(Duration::from_millis(1));
            verdicts += 1;
        }
        assert_eq!(verdicts, 20, "two seconds' worth");
        assert_eq!(here.may_verify(now, || None), Err(Exceeded::Verification));
        assert_eq!(there.may_verify(now, || None), Ok(()));
        assert_eq!(other.on(0).unwrap().may_verify(now, || None), Ok(()));
        // It is the same share whoever asks, and it fills again.
        let again = shares.of(&OrganizationId::from_random(1), now);
        let again = again.on(0).unwrap();
        assert_eq!(again.may_verify(now, || None), Err(Exceeded::Verification));
        let later = now + Duration::from_millis(200);
        assert_eq!(again.may_verify(later, || None), Ok(()));
        again.charge(Duration::from_secs(60));
        assert_eq!(
            again.may_verify(later, || None),
            Err(Exceeded::Verification),
            "2 ms"
        );
        // More was time in which the thread did not run: nobody pays for that.
        let later = later + Duration::from_millis(100);
        assert_eq!(again.may_verify(later, || None), Ok(()));
    }

    #[test]
    fn who_asks_all_the_time_gets_its_share_and_half_of_what_is_idle() {
        const SECONDS: u32 = 20;
        // Of each 100 ms, the thread works so many whatever this organization asks of it.
        for (others, expected) in [(100, 5_500), (60, 6_500), (0, 10_500)] {
            let begun = Instant::now();
            let shares = shares(250, 1, 1);
            let share = shares.of(&OrganizationId::from_random(1), begun);
            let here = share.on(0).unwrap();
            let (mut verdicts, mut own) = (0, Duration::ZERO);
            let end = Duration::from_secs(SECONDS.into());
            let mut passed = Duration::ZERO;
            while passed < end {
                let busy = (passed * others / 100 + own).min(passed);
                if here.may_verify(begun + passed, || Some(busy)).is_ok() {
                    here.charge(Duration::from_millis(1));
                    (verdicts, own) = (verdicts + 1, own + Duration::from_millis(1));
                }
                passed += Duration::from_millis(1);
            }
            // Two seconds' worth was saved up.
            assert!(
                (expected - 300..=expected + 300).contains(&verdicts),
                "{verdicts} where others take {others} %"
            );
        }
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let now = Instant::now();
        let shares = shares(1, 2, 1);
        let share = || shares.of(&OrganizationId::from_random(1), now);
        let connection = share().connection(0).unwrap();
        assert_eq!(share().connection(1).unwrap_err(), Exceeded::Connections);
        let streams = [connection.stream().unwrap(), connection.stream().unwrap()];
        assert_eq!(connection.stream().unwrap_err(), Exceeded::Streams);
        drop(streams);
        assert!(connection.stream().is_ok());
        drop(connection);
        assert!(share().connection(1).is_ok());
        let other = shares.of(&OrganizationId::from_random(2), now);
        assert!(other.connection(0).is_ok());
    }

    #[test]
    fn what_an_organization_took_is_known_until_too_many_are_and_then_while_it_is_connected() {
        let now = Instant::now();
        let shares = shares(1, 1, 1);
        let of = |number| shares.of(&OrganizationId::from_random(number), now);
        let used_up = |number| of(number).on(0).unwrap().may_verify(now, || None).is_err();
        let connected = of(1).connection(0).unwrap();
        for number in [1, 2] {
            of(number).on(0).unwrap().charge(Duration::from_secs(1));
        }
        let most = u128::try_from(MAX_KNOWN).unwrap();
        for number in 3..=most {
            drop(of(number));
        }
        assert_eq!(lock(&shares.known).len(), MAX_KNOWN);
        assert!(used_up(1) && used_up(2), "whoever comes besides");
        drop(of(most + 1));
        assert_eq!(
            lock(&shares.known).len(),
            2,
            "the one that is connected, and the last"
        );
        assert!(used_up(1) && !used_up(2));
        assert_eq!(of(1).connection(0).unwrap_err(), Exceeded::Connections);
        drop(connected);
    }

    /// How many chains of a millisecond each may be judged now.
    fn judged(share: &ThreadShare, now: Instant, busy: Duration) -> u32 {
        let mut verdicts = 0;
        while share.may_verify(now, || Some(busy)).is_ok() {
            share.charge(Duration::from_millis(1));
            verdicts += 1;
        }
        verdicts
    }

    #[test]
    fn beyond_its_share_an_organization_has_half_of_what_the_thread_had_idle() {
        let begun = Instant::now();
        let shares = shares(10, 1, 1);
        let at = |millis| begun + Duration::from_millis(millis);
        let [one, other] =
            [1, 2].map(|number| shares.of(&OrganizationId::from_random(number), begun));
        let (one, other) = (one.on(0).unwrap(), other.on(0).unwrap());
        let busy = Duration::from_millis;
        // Until there was a time to look at, nothing is known to be idle.
        assert_eq!(judged(one, begun, busy(0)), 20);
        assert_eq!(judged(one, at(50), busy(50)), 1);
        // Of 100 ms it worked 60: of the 40, half. What came together of its own share it owed.
        assert_eq!(judged(one, at(100), busy(60)), 20);
        assert_eq!(
            judged(one, at(110), busy(60)),
            1,
            "gone until the next look"
        );
        // What is idle is there once for all; another's own share is untouched by it.
        assert_eq!(judged(one, at(200), busy(160)), 0, "busy all the time");
        assert_eq!(judged(other, at(200), busy(160)), 20);
        assert_eq!(judged(one, at(300), busy(160)), 51);
        // However long it was idle, it is no more than half of the time that is looked at.
        assert_eq!(judged(other, at(5_000), busy(160)), 70);
        // Where there is no share at all, nothing is idle either.
        let none = super::Shares::new(
            ShareLimits {
                verification: Duration::ZERO,
                ..shares.limits
            },
            1,
        );
        let none = none.of(&OrganizationId::from_random(1), begun);
        let none = none.on(0).unwrap();
        assert_eq!(judged(none, begun, busy(0)), 0);
        assert_eq!(judged(none, at(1_000), busy(0)), 0);
    }

    #[test]
    fn idle_time_that_nobody_used_is_gone() {
        let begun = Instant::now();
        let shares = shares(1, 1, 1);
        let share = shares.of(&OrganizationId::from_random(1), begun);
        let here = share.on(0).unwrap();
        let at = |millis| begun + Duration::from_millis(millis);
        let judged = |now| {
            let mut verdicts = 0;
            while here.may_verify(now, || Some(Duration::ZERO)).is_ok() {
                here.charge(Duration::from_millis(1));
                verdicts += 1;
            }
            verdicts
        };
        assert_eq!(judged(begun), 2, "its own");
        // One look finds half of 100 ms, of which it takes some; so does the next, and no more.
        for _ in 0..10 {
            assert!(here.may_verify(at(100), || Some(Duration::ZERO)).is_ok());
            here.charge(Duration::from_millis(1));
        }
        let own = 1;
        assert!((50..=50 + own).contains(&judged(at(200))));
    }

    #[test]
    fn whoever_is_limited_is_counted_by_the_limit() {
        let (now, recorded) = (Instant::now(), Recorded::default());
        let shares = shares(0, 0, 1);
        let share = shares.of(&OrganizationId::from_random(1), now);
        recorded.of(|| {
            let connection = Arc::clone(&share).connection(0).unwrap();
            for _ in 0..2 {
                assert!(connection.stream().is_err());
            }
            assert!(Arc::clone(&share).connection(0).is_err());
            assert!(Arc::clone(&share).connection(7).is_err(), "no such thread");
            assert!(share.on(0).unwrap().may_verify(now, || None).is_err());
        });
        let limited = |limit: &str| {
            let name = "countersign_gateway_organization_limited_total";
            recorded.count(&format!("{name} {limit}"))
        };
        let limits = ["verification", "streams", "connections"].map(limited);
        assert_eq!(limits, [1, 2, 2]);
    }
}
