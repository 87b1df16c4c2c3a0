//! A gateway: its process, its link, its disk and its clock.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_gateway::{
    DrivenGateway, DrivenStream,
    sync::{disk::Job, messages::Input},
};
use countersign_types::{
    history::HistoryPoint,
    id::{GatewayId, OrganizationId},
};

use crate::{
    agenda::Ask,
    clients::Caller,
    shares::{Client, Taken},
};

/// How long trust may be in force after it was changed while the link works.
pub(crate) const BOUND: Duration = Duration::from_secs(10);
/// The same where nothing at all went wrong for a while.
pub(crate) const CALM_BOUND: Duration = Duration::from_secs(3);

/// The state of the network between a gateway and the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Up,
    /// Connections are refused and broken.
    Refusing,
    /// Nothing arrives, and nobody is told.
    Dropping,
}

/// The network between a gateway and the control plane.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    /// Counts its changes.
    pub(crate) epoch: u64,
    /// Connections up to this one are silent for good.
    pub(crate) silent_through: Option<u64>,
    /// Whether connections are pinged.
    pub(crate) pings: bool,
    /// How many of the next requests, or their answers, are lost.
    pub(crate) losing: u32,
    /// Whether the next request arrives twice, the second time late.
    pub(crate) repeating: bool,
    pub(crate) slow: bool,
    /// What answers to pulls take that bring something.
    pub(crate) large: Option<Large>,
    pub(crate) last_silence: Option<Duration>,
}

/// What a large answer takes to begin, and from then to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Large {
    pub(crate) begins: Duration,
    pub(crate) arrives: Duration,
}

/// The state of a gateway's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskState {
    Fine,
    Full,
    /// Its directory is not there.
    Detached,
    Slow,
}

/// A request of a gateway under way.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) number: u64,
    pub(crate) connection: u64,
    pub(crate) ask: Ask,
    pub(crate) at: Duration,
}

impl Outstanding {
    /// The same input, of the pull that this one is by now.
    pub(crate) fn names(&self, input: Input) -> Input {
        let Ask::Pull(pull) = &self.ask else {
            return input;
        };
        match input {
            Input::Pulled(_, bundle) => Input::Pulled(pull.number, bundle),
            Input::Arriving(_) => Input::Arriving(pull.number),
            Input::PullFailed(_, failure) => Input::PullFailed(pull.number, failure),
            other => other,
        }
    }

    /// By how much an answer that arrives now is older than it may be held.
    pub(crate) fn late(&self, now: Duration) -> u64 {
        let held = match &self.ask {
            Ask::Pull(pull) => pull.wait,
            _ => Duration::ZERO,
        };
        now.saturating_sub(self.at + held).as_secs()
    }
}

/// A client's request under way at a gateway.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) caller: Caller,
    /// The number of its connection.
    pub(crate) connection: u64,
    pub(crate) thread: usize,
    /// What the gateway's clock said when it began.
    pub(crate) begun: u64,
    /// None for one that was not registered.
    pub(crate) stream: Option<DrivenStream>,
}

impl Traffic {
    pub(crate) fn passes(&self) -> bool {
        self.stream.as_ref().is_none_or(DrivenStream::passes)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.stream.as_ref().is_some_and(DrivenStream::is_cut)
    }
}

/// A gateway's process.
pub(crate) struct Process {
    pub(crate) driven: DrivenGateway,
    pub(crate) begun: Duration,
    pub(crate) connection: u64,
    /// The latest pull, after one that it is sent beside.
    pub(crate) pulls: Vec<Outstanding>,
    pub(crate) patience: Patience,
    pub(crate) comparison: Option<Outstanding>,
    /// The write under way, and those after it.
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) timer: Option<Duration>,
    pub(crate) stuck: Vec<bool>,
    /// What the gateway's clock said when each thread last judged its requests again.
    pub(crate) judged: Vec<u64>,
    pub(crate) traffic: Vec<Traffic>,
    /// Connections that clients keep open: one of each authority, and one without a certificate.
    pub(crate) clients: Vec<Client>,
    /// How many connections clients made.
    pub(crate) connections: u64,
    pub(crate) taken: Taken,
    /// Whether a pull was answered.
    pub(crate) answered: bool,
}

/// For the fault: how long a silent pull is waited for, and until when the latest is.
pub(crate) struct Patience {
    pub(crate) time: Duration,
    pub(crate) until: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3),
            until: Duration::ZERO,
        }
    }
}

impl Process {
    /// The requests under way.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = &Outstanding> {
        self.pulls.iter().chain(&self.comparison)
    }

    /// A request comes to its end.
    pub(crate) fn ended(&mut self, number: u64) {
        self.pulls.retain(|each| each.number != number);
        self.comparison.take_if(|each| each.number == number);
    }
}

/// A gateway.
pub(crate) struct Edge {
    pub(crate) number: usize,
    pub(crate) threads: usize,
    pub(crate) directory: PathBuf,
    /// Its id, once it has one.
    pub(crate) id: Option<GatewayId>,
    pub(crate) life: u64,
    pub(crate) tickets: u64,
    pub(crate) process: Option<Process>,
    pub(crate) link: Link,
    pub(crate) disk: DiskState,
    pub(crate) clock: Arc<AtomicU64>,
    /// Seconds that its clock is ahead.
    pub(crate) ahead: i64,
    pub(crate) clock_jumped: bool,
    /// What it said would survive a restart, and whether it began a write since.
    pub(crate) durable: Option<HistoryPoint>,
    pub(crate) wrote_since: bool,
    pub(crate) damaged: bool,
    /// Its own clock at each answer.
    pub(crate) contacts: Vec<u64>,
    /// The same for each point that was answered.
    pub(crate) vouched: HashMap<HistoryPoint, Vec<u64>>,
    /// Whether the next answer with a change leaves an organization out; which one was, until every
    /// thread enforces what the comparison found; and whether that was found.
    pub(crate) loses: bool,
    pub(crate) lost: Option<OrganizationId>,
    pub(crate) mended: bool,
    /// The point of the latest answer that was sent to it.
    pub(crate) last_sent: Option<HistoryPoint>,
    /// Trust that was superseded before this may not be in force.
    pub(crate) floor: Duration,
    /// Since when new connections work and the process does; and since when nothing went wrong.
    pub(crate) good_since: Option<Duration>,
    pub(crate) calm_since: Duration,
    pub(crate) troubled_until: Duration,
}

impl Edge {
    pub(crate) fn new(number: usize, threads: usize, directory: PathBuf, pings: bool) -> Self {
        Self {
            number,
            threads,
            directory,
            id: None,
            life: 0,
            tickets: 0,
            process: None,
            link: Link {
                state: LinkState::Up,
                epoch: 0,
                silent_through: None,
                pings,
                losing: 0,
                repeating: false,
                slow: false,
                large: None,
                last_silence: None,
            },
            disk: DiskState::Fine,
            clock: Arc::new(AtomicU64::new(0)),
            ahead: 0,
            clock_jumped: false,
            durable: None,
            wrote_since: false,
            damaged: false,
            contacts: Vec::new(),
            vouched: HashMap::new(),
            loses: false,
            lost: None,
            mended: false,
            last_sent: None,
            floor: Duration::ZERO,
            good_since: None,
            calm_since: Duration::ZERO,
            troubled_until: Duration::ZERO,
        }
    }

    /// Sets its clock by the true time.
    pub(crate) fn set_clock(&self, now: u64) -> u64 {
        let now = now.saturating_add_signed(self.ahead);
        self.clock.store(now, Ordering::Relaxed);
        now
    }

    /// Something is wrong at least until then.
    pub(crate) fn disturb(&mut self, until: Duration) {
        self.troubled_until = self.troubled_until.max(until);
        self.good_since = self.good_since.map(|since| since.max(until));
        self.calm_since = self.calm_since.max(until);
    }

    /// Whether it runs and has nothing in force yet.
    pub(crate) fn has_nothing(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.driven.digests().is_empty())
    }

    /// Notes an answer, by the gateway's own clock.
    pub(crate) fn answered(&mut self, clock: u64, point: HistoryPoint) {
        self.contacts.push(clock);
        self.vouched.entry(point).or_default().push(clock);
    }

    /// Notes a silence, and returns whether another was shortly before: two in a row are more than the
    /// bound is stated for.
    pub(crate) fn falls_silent(&mut self, now: Duration) -> bool {
        let before = self.link.last_silence.replace(now);
        before.is_some_and(|before| now < before + 2 * BOUND)
    }

    /// Raises the floor to what holds by now.
    pub(crate) fn raise_floor(&mut self, now: Duration) {
        let Some(good) = self.good_since else {
            return;
        };
        let lasts = |since: Duration| now >= since + BOUND;
        if lasts(good) {
            let calm = lasts(good.max(self.calm_since));
            let bound = if calm { CALM_BOUND } else { BOUND };
            self.floor = self.floor.max(now - bound);
        }
    }

    pub(crate) fn is_silent(&self, connection: u64) -> bool {
        self.link
            .silent_through
            .is_some_and(|last| connection <= last)
    }
}
