//! What each organization may take of a gateway, and what it took, counted in the plainest way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use countersign_gateway::DrivenConnection;
use countersign_types::id::OrganizationId;

/// What judging a chain takes.
pub(crate) const VERDICT: Duration = Duration::from_millis(1);
/// For how many seconds an organization may save up its time for verdicts.
const SAVED: u64 = 2;
/// A gateway reckons in whole nanoseconds, and so may be off by one now and then.
const ROUNDED: i128 = 1_000;
/// How many callers take turns on one connection at the most: a gateway remembers no more.
const CALLERS: usize = 8;

/// What an organization may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareSize {
    /// Of each second of a thread, for verdicts.
    pub(crate) verification: Duration,
    /// Requests under way on one thread.
    pub(crate) streams: usize,
    pub(crate) connections: usize,
}

impl ShareSize {
    /// More than any organization asks for.
    pub(crate) const GENEROUS: Self = Self {
        verification: Duration::from_millis(250),
        streams: 10_000,
        connections: 10_000,
    };
    /// What a burst uses up.
    pub(crate) const SMALL: Self = Self {
        verification: Duration::from_millis(2),
        streams: 2,
        connections: 5,
    };
}

/// A client's connection, which belongs to one thread of a gateway.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) connection: DrivenConnection,
    pub(crate) number: u64,
    pub(crate) thread: usize,
    /// The keys that were used on it.
    keys: BTreeSet<String>,
}

impl Client {
    pub(crate) const fn new(connection: DrivenConnection, number: u64, thread: usize) -> Self {
        Self {
            connection,
            number,
            thread,
            keys: BTreeSet::new(),
        }
    }

    /// Whether one more caller may use it, who does then.
    pub(crate) fn takes(&mut self, key: &str) -> bool {
        let takes = self.keys.len() < CALLERS || self.keys.contains(key);
        if takes {
            self.keys.insert(key.to_owned());
        }
        takes
    }
}

/// Time for verdicts in nanoseconds, which may be owed.
#[derive(Debug)]
struct Time {
    left: i128,
    since: Duration,
}

/// What organizations took of one life of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    time: BTreeMap<(OrganizationId, usize), Time>,
    /// The callers of which requests passed on a connection.
    passed: BTreeMap<u64, BTreeSet<(OrganizationId, String)>>,
}

impl Taken {
    fn time(
        &mut self,
        size: ShareSize,
        whose: (OrganizationId, usize),
        now: Duration,
    ) -> &mut Time {
        let each_second = nanos(size.verification);
        let full = each_second * i128::from(SAVED);
        let time = self.time.entry(whose).or_insert(Time {
            left: full,
            since: now,
        });
        let gained = each_second * nanos(now.saturating_sub(time.since)) / 1_000_000_000;
        time.left = full.min(time.left + gained);
        time.since = now;
        time
    }

    /// Notes a verdict; whether there was time for it.
    pub(crate) fn verdict(
        &mut self,
        size: ShareSize,
        whose: (OrganizationId, usize),
        now: Duration,
    ) -> bool {
        let time = self.time(size, whose, now);
        let had = time.left > -ROUNDED;
        time.left -= nanos(VERDICT);
        had
    }

    /// Whether no time is left for a verdict.
    pub(crate) fn is_used_up(
        &mut self,
        size: ShareSize,
        whose: (OrganizationId, usize),
        now: Duration,
    ) -> bool {
        self.time(size, whose, now).left <= ROUNDED
    }

    /// Keeps only what is of these connections.
    pub(crate) fn keep_only(&mut self, open: &BTreeSet<u64>) {
        self.passed.retain(|number, _| open.contains(number));
    }

    /// How many connections an organization has, counted once for each caller on it.
    pub(crate) fn connections(&self, organization: &OrganizationId) -> usize {
        let callers = self.passed.values().flatten();
        callers.filter(|(of, _)| of == organization).count()
    }

    /// Notes that a caller passed on a connection; whether it did for the first time.
    pub(crate) fn passes(&mut self, connection: u64, caller: (OrganizationId, String)) -> bool {
        self.passed.entry(connection).or_default().insert(caller)
    }

    pub(crate) fn has_passed(&self, connection: u64, caller: &(OrganizationId, String)) -> bool {
        let callers = self.passed.get(&connection);
        callers.is_some_and(|callers| callers.contains(caller))
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}
