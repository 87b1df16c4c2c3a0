//! The state machine against a made-up control plane, network and disk.

mod answers;
mod comparing;
mod driving;
mod following;
mod process;
mod silence;

use std::{collections::BTreeMap, time::Duration};

use countersign_types::{
    bundle::{Bundle, BundleDigests, OrganizationBundle, OrganizationDigest},
    digest::Sha256,
    history::{HistoryPoint, RevisionToken},
    id::OrganizationId,
};

use super::{
    machine::Machine,
    messages::{Event, Failure, Input, Moment, Output, Pull, Report, Rows, Start, Write},
};

const STEP: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
const DIGESTS_IN_PAGE: usize = 50;
/// The clock at the start.
const CLOCK: u64 = 1_000_000;

fn id(name: &str) -> OrganizationId {
    format!("org-{name}").parse().unwrap()
}

/// What organizations are, or should be: by id, their digests.
type State = BTreeMap<OrganizationId, Option<Sha256>>;

/// A control plane whose store can be copied and put back.
#[derive(Clone, Default)]
struct Server {
    history: Vec<HistoryPoint>,
    organizations: BTreeMap<OrganizationId, OrganizationBundle>,
    drawn: u128,
}

impl Server {
    fn point(&self) -> HistoryPoint {
        self.history.last().copied().unwrap_or_default()
    }

    fn commit(&mut self, name: &str) {
        self.drawn += 1;
        let revision = self.point().revision + 1;
        self.history.push(HistoryPoint {
            revision,
            token: RevisionToken::from_random(self.drawn),
        });
        let bundle = OrganizationBundle {
            id: id(name),
            revision,
            digest: Some(Sha256::of(format!("{name} {}", self.drawn))),
            certificates: Vec::new(),
            active: Vec::new(),
            with_reported: Vec::new(),
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        };
        self.organizations.insert(id(name), bundle);
    }

    /// Puts a copy back. What is drawn from now on was never drawn before.
    fn restore(&mut self, copy: &Self) {
        *self = Self {
            drawn: self.drawn,
            ..copy.clone()
        };
    }

    fn answer(&self, after: HistoryPoint) -> Bundle {
        let complete = !self.history.contains(&after);
        let after = if complete { 0 } else { after.revision };
        let changed = self.organizations.values();
        self.bundle(complete, changed.filter(|each| each.revision > after))
    }

    fn bundle<'a>(
        &self,
        complete: bool,
        organizations: impl Iterator<Item = &'a OrganizationBundle>,
    ) -> Bundle {
        let HistoryPoint { revision, token } = self.point();
        Bundle {
            revision,
            token,
            complete,
            organizations: organizations.cloned().collect(),
            next: None,
        }
    }

    fn digests(&self) -> BundleDigests {
        self.digests_after(None, usize::MAX)
    }

    /// A page of the digests.
    fn digests_after(&self, from: Option<&OrganizationId>, most: usize) -> BundleDigests {
        let HistoryPoint { revision, token } = self.point();
        let digest = |each: &OrganizationBundle| OrganizationDigest {
            id: each.id.clone(),
            digest: each.digest.unwrap(),
        };
        let mut rest = self.organizations.values();
        let after = rest.by_ref().filter(|each| from < Some(&each.id));
        let organizations: Vec<_> = after.take(most).map(digest).collect();
        let last = organizations.last().map(|last| last.id.clone());
        BundleDigests {
            revision,
            token,
            next: last.filter(|_| rest.next().is_some()),
            organizations,
        }
    }

    fn state(&self) -> State {
        let organizations = self.organizations.values();
        organizations
            .map(|each| (each.id.clone(), each.digest))
            .collect()
    }
}

/// A request under way: when it was sent, and on which of the connections made so far.
struct Sent<T> {
    at: Duration,
    connection: usize,
    what: T,
    /// What it will be answered with, and since when that is under way.
    answer: Option<(Bundle, Duration)>,
}

enum Comparison {
    Digests(Option<OrganizationId>),
    Fetch(Vec<OrganizationId>),
}

/// A gateway: the machine, and what surrounds it.
struct Gateway {
    machine: Machine,
    now: Duration,
    in_force: State,
    generation: u64,
    disk: Option<(HistoryPoint, State)>,
    writing: Option<Write>,
    /// The pulls under way, and all that were sent.
    asked: Vec<Sent<Pull>>,
    pulls: Vec<Pull>,
    comparison: Option<Sent<Comparison>>,
    /// How many times it asked for digests.
    compared: usize,
    connection: usize,
    events: Vec<Event>,
    contact: u64,
    /// Connections before this one say nothing any more.
    silent_before: usize,
    /// How many of the next answers are lost.
    losing: usize,
    /// How long an answer takes to begin if it brings something, and from then to its end.
    begins_after: Duration,
    arrives_for: Duration,
    refusing: bool,
    threads_stuck: bool,
    disk_full: bool,
    disk_stuck: bool,
}

impl Gateway {
    fn start(disk: Option<(HistoryPoint, State)>) -> Self {
        let found = disk.clone().map(|(point, state)| Start {
            point,
            digests: state.into_iter().collect(),
        });
        let mut gateway = Self {
            machine: Machine::new(found, 7),
            now: Duration::ZERO,
            in_force: disk.clone().map(|(_, state)| state).unwrap_or_default(),
            generation: 0,
            disk,
            writing: None,
            asked: Vec::new(),
            pulls: Vec::new(),
            comparison: None,
            compared: 0,
            connection: 1,
            events: Vec::new(),
            contact: 0,
            silent_before: 0,
            losing: 0,
            begins_after: Duration::ZERO,
            arrives_for: Duration::ZERO,
            refusing: false,
            threads_stuck: false,
            disk_full: false,
            disk_stuck: false,
        };
        gateway.on(Input::Time);
        gateway
    }

    fn on(&mut self, input: Input) {
        let now = Moment {
            elapsed: self.now,
            clock: CLOCK + self.now.as_secs(),
        };
        self.machine.on(now, input);
        while let Some(output) = self.machine.next_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        let (at, connection) = (self.now, self.connection);
        match output {
            Output::Pull(what) => {
                self.pulls.push(what);
                self.asked
                    .retain(|sent| Some(sent.what.number) == what.beside);
                let lost = self.losing > 0;
                self.losing -= usize::from(lost);
                self.asked.push(Sent {
                    at,
                    connection: if lost { 0 } else { connection },
                    what,
                    answer: None,
                });
            }
            Output::AskDigests(from) => {
                self.compared += usize::from(from.is_none());
                let what = Comparison::Digests(from);
                self.comparison = Some(Sent {
                    at,
                    connection,
                    what,
                    answer: None,
                });
            }
            Output::Fetch(ids) => {
                let what = Comparison::Fetch(ids);
                self.comparison = Some(Sent {
                    at,
                    connection,
                    what,
                    answer: None,
                });
            }
            Output::Reconnect => self.connection += 1,
            Output::Enforce(change) => {
                if change.complete {
                    self.in_force.clear();
                }
                let changed = change.changed.into_iter();
                self.in_force
                    .extend(changed.map(|each| (each.id, each.digest)));
                self.in_force.retain(|id, _| !change.removed.contains(id));
                self.generation = change.generation;
            }
            Output::Contact(at) => self.contact = at,
            Output::Store(write) => {
                assert!(self.writing.is_none(), "one write at a time");
                self.writing = Some(write);
            }
            Output::Tell(event) => self.events.push(event),
        }
    }

    /// Everything that happens in a moment.
    fn step(&mut self, server: &Server) {
        self.now += STEP;
        // It is told the time when it wants to be, and then has something to wait for.
        if self.is_due() {
            self.on(Input::Time);
            assert!(!self.is_due(), "it would be asked for ever");
        }
        if !self.threads_stuck
            && let Some(generation) = self.machine.awaited()
        {
            self.on(Input::Enforced(generation));
            assert_eq!(self.machine.awaited(), None);
        }
        if !self.disk_stuck
            && let Some(write) = self.writing.take()
        {
            self.write(write);
        }
        self.step_pull(server);
        self.step_comparison(server);
    }

    fn is_due(&self) -> bool {
        let deadline = self.machine.deadline();
        deadline.is_some_and(|deadline| deadline <= self.now)
    }

    fn write(&mut self, write: Write) {
        if self.disk_full {
            self.disk = None;
            return self.on(Input::Stored(false));
        }
        let (_, mut state) = self.disk.take().unwrap_or_default();
        match write.rows {
            Rows::None => {}
            Rows::All => state = self.in_force.clone(),
            Rows::Some { changed, removed } => {
                state.retain(|id, _| !removed.contains(id));
                for id in changed {
                    if let Some(in_force) = self.in_force.get(&id) {
                        state.insert(id, *in_force);
                    }
                }
            }
        }
        self.disk = Some((write.point, state));
        self.on(Input::Stored(true));
    }

    fn step_pull(&mut self, server: &Server) {
        let numbers: Vec<_> = self.asked.iter().map(|sent| sent.what.number).collect();
        assert!(numbers.len() <= 2, "{numbers:?}");
        for number in numbers {
            self.step_pull_number(server, number);
        }
    }

    /// What becomes of one that is under way, if it still is.
    fn step_pull_number(&mut self, server: &Server, number: u64) {
        let (now, refusing) = (self.now, self.refusing);
        let (begins, arrives) = (self.begins_after, self.arrives_for);
        let lost_before = self.silent_before.max(1);
        let mut asked = self.asked.iter_mut();
        let Some(sent) = asked.find(|sent| sent.what.number == number) else {
            return;
        };
        let Pull {
            after,
            wait,
            patience,
            ..
        } = sent.what;
        let input = if sent.connection < lost_before {
            let over = now >= sent.at + wait + patience;
            over.then_some(Input::PullFailed(number, Failure::Silence))
        } else if refusing {
            Some(Input::PullFailed(number, Failure::Unreachable))
        } else if let Some((bundle, since)) = &sent.answer {
            match now - *since {
                passed if passed >= begins + arrives => Some(Input::Pulled(number, bundle.clone())),
                passed if passed >= begins => return self.on(Input::Arriving(number)),
                _ => None,
            }
        } else if server.point() != after || now >= sent.at + wait {
            let answer = server.answer(after);
            if answer.organizations.is_empty() || (begins + arrives).is_zero() {
                Some(Input::Pulled(number, answer))
            } else {
                sent.answer = Some((answer, now));
                None
            }
        } else {
            None
        };
        if let Some(input) = input {
            self.asked.retain(|sent| sent.what.number != number);
            self.on(input);
        }
    }

    /// The latest pull is answered with this.
    fn answered(&mut self, bundle: Bundle) {
        let latest = self.asked.pop().unwrap();
        self.on(Input::Pulled(latest.what.number, bundle));
    }

    fn step_comparison(&mut self, server: &Server) {
        let Some(sent) = &self.comparison else { return };
        if self.refusing {
            self.comparison = None;
            return self.on(Input::ComparisonFailed(Failure::Unreachable));
        }
        if sent.connection < self.silent_before {
            return;
        }
        let input = match &sent.what {
            Comparison::Digests(from) => {
                Input::Digests(server.digests_after(from.as_ref(), DIGESTS_IN_PAGE))
            }
            Comparison::Fetch(ids) => {
                let found = ids.iter().filter_map(|id| server.organizations.get(id));
                Input::Fetched(server.bundle(false, found))
            }
        };
        self.comparison = None;
        self.on(input);
    }

    fn run(&mut self, server: &Server, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(server);
        }
    }

    /// What the control plane takes this gateway to enforce, and whether durably.
    fn reported(&self) -> Option<(HistoryPoint, Report)> {
        let mut said = self.pulls.iter().rev();
        said.find(|pull| pull.report != Report::Nothing)
            .map(|pull| (pull.after, pull.report))
    }

    #[track_caller]
    fn assert_follows(&self, server: &Server) {
        assert_eq!(self.in_force, server.state());
        assert_eq!(self.disk, Some((server.point(), server.state())));
        assert_eq!(self.reported(), Some((server.point(), Report::Durable)));
    }

    fn reconciled(&self) -> Vec<OrganizationId> {
        let ids = self.events.iter().filter_map(|event| match event {
            Event::Reconciled(ids) => Some(ids.clone()),
            _ => None,
        });
        ids.flatten().collect()
    }
}

fn server(names: &[&str]) -> Server {
    let mut server = Server::default();
    for name in names {
        server.commit(name);
    }
    server
}
