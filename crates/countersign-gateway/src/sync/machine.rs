//! What a gateway does to stay in line with the control plane, as a state machine without I/O: it
//! is told what happened and when, and says what to do. Whoever drives it has the network, the
//! disk, the threads and the clock.
//!
//! Two conversations go on beside each other. The *pull* asks what changed after the point of the
//! history that is in force, and in asking reports that point; `asking` knows which pulls are under way.
//! The *comparison* asks now and then for the digest of every organization, in case something was missed
//! all the same.

use std::{collections::VecDeque, time::Duration};

use countersign_types::{
    UnixSeconds,
    bundle::{Bundle, OrganizationBundle},
    history::HistoryPoint,
    id::OrganizationId,
};

use super::{
    asking::Asking,
    backoff::Backoff,
    comparison::{Comparison, Difference},
    durability::Durability,
    held::Held,
    messages::{Change, Event, Failure, Input, Moment, Output, Report, Rows, Start, Write},
};

/// How long the control plane may hold a pull open. It is also the timer: whatever signal was lost,
/// the bundle is read again after so long.
pub const WAIT: Duration = Duration::from_secs(5);
/// How long threads get before the next pull goes out without them, and the disk for a change: then it
/// reports less. No pull waits for all organizations to be written, which may take many times as long.
const SETTLE: Duration = Duration::from_secs(1);
/// Without an answer for so long, contact is lost.
const CONTACT_LOST: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Threads and disk work on the latest change, until then at the longest.
    Settling(Duration),
    /// A pull is under way.
    Pulling,
    /// After a failure or a silence, until then.
    Pausing(Duration),
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    /// What is in force.
    point: HistoryPoint,
    held: Held,
    generation: u64,
    /// The generation that every thread enforces.
    enforced: u64,
    phase: Phase,
    asking: Asking,
    /// Whether the latest pull failed or was silent, so that the next one must not wait.
    failed: bool,
    backoff: Backoff,
    last_answer: Duration,
    /// What the clock said when the control plane last said what should be in force.
    contact: UnixSeconds,
    answered: bool,
    started: bool,
    lost: bool,
    told_late: bool,
    told_durable: bool,
    durability: Durability,
    comparison: Comparison,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// Begins with what was found on disk, if anything was. The seed makes waits this gateway's own.
    #[must_use]
    pub fn new(found: Option<Start>, seed: u64) -> Self {
        let durability = Durability::new(found.is_some());
        let Start { point, digests } = found.unwrap_or_default();
        Self {
            point,
            held: Held::new(digests),
            generation: 0,
            enforced: 0,
            phase: Phase::Pausing(Duration::ZERO),
            asking: Asking::new(),
            failed: true,
            backoff: Backoff::new(seed),
            last_answer: Duration::ZERO,
            contact: 0,
            answered: false,
            started: false,
            lost: false,
            told_late: false,
            told_durable: true,
            durability,
            comparison: Comparison::new(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened. Then [`Self::next_output`] is to be asked until it has nothing more.
    pub fn on(&mut self, now: Moment, input: Input) {
        match input {
            Input::Pulled(number, bundle) => self.pulled(now, number, bundle),
            Input::PulledInPart(number, organizations) => {
                self.pulled_in_part(now, number, organizations);
            }
            Input::Arriving(number) => self.asking.arriving(now.elapsed, number),
            Input::PullFailed(number, failure) => self.pull_failed(now, number, failure),
            Input::Digests(digests) => {
                let latest = self.asking.count();
                let held = &mut self.held;
                self.comparison.digests(held, digests, latest, now.elapsed);
            }
            Input::Fetched(bundle) => self.fetched(now, bundle),
            Input::ComparisonFailed(failure) => self.comparison_failed(now, failure),
            Input::Enforced(generation) => self.enforced = self.enforced.max(generation),
            Input::Stored(kept) => self.durability.stored(now.elapsed, kept),
            Input::Time => {}
        }
        self.advance(now);
    }

    /// What to do next.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the machine wants [`Input::Time`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Settling(until) => Some(until),
            Phase::Pausing(until) => Some(self.pause_ends(until)),
            Phase::Pulling => self.asking.silent_at(),
        };
        let lost = (!self.lost).then(|| self.last_answer + CONTACT_LOST);
        let retry = self.durability.deadline().filter(|_| self.answered);
        let compare = self.comparison.deadline();
        let late = self.durability.is_late_at(SETTLE);
        let late = late.filter(|_| self.told_durable && !self.is_durable());
        [phase, lost, retry, compare, late]
            .into_iter()
            .flatten()
            .min()
    }

    /// The generation that threads are to enforce, while not all do.
    #[must_use]
    pub fn awaited(&self) -> Option<u64> {
        (self.enforced < self.generation).then_some(self.generation)
    }

    fn pulled(&mut self, now: Moment, number: u64, bundle: Bundle) {
        let Some(asked) = self.asking.answered(number) else {
            return;
        };
        self.note_answer(now);
        if !bundle.complete && bundle.revision < self.point.revision {
            // Only a server without tokens can say so: its store went back. Ask for everything.
            self.point = HistoryPoint::START;
            self.phase = Phase::Settling(now.elapsed);
            return;
        }
        self.answered = true;
        self.contact = asked.answered_as_of(now);
        self.phase = Phase::Settling(now.elapsed + SETTLE);
        let point = bundle.point();
        let nothing_new = point == self.point && bundle.organizations.is_empty();
        if nothing_new && !bundle.complete {
            self.outputs.push_back(Output::Contact(self.contact));
            let contact = self.durability.contact(now.elapsed);
            self.store(contact);
        } else {
            self.point = point;
            let removed = Vec::new();
            self.apply(now, bundle.complete, bundle.organizations, removed);
        }
        if let Some(suspects) = self.comparison.pulled(number, bundle.complete, now.elapsed) {
            self.outputs.push_back(Output::Fetch(suspects));
        }
    }

    /// What can be had is put in force for its organizations. What is reported is still the point before, and
    /// contact is as old as it was: of the others, something older is in force.
    fn pulled_in_part(&mut self, now: Moment, number: u64, mut some: Vec<OrganizationBundle>) {
        if self.asking.answered(number).is_none() {
            return;
        }
        self.heard(now);
        self.pause(now);
        // The same answer comes again, until the rest can be had.
        let held = &self.held;
        some.retain(|each| each.digest.is_none() || !held.is(&each.id, each.digest));
        if self.answered && !some.is_empty() {
            self.apply(now, false, some, Vec::new());
        }
    }

    fn note_answer(&mut self, now: Moment) {
        self.heard(now);
        self.failed = false;
        self.backoff.reset();
    }

    fn heard(&mut self, now: Moment) {
        if std::mem::take(&mut self.lost) {
            let silence = now.elapsed.saturating_sub(self.last_answer);
            self.tell(Event::ContactBack(silence));
        }
        self.last_answer = now.elapsed;
    }

    /// Puts a change in force, and has it written to disk.
    fn apply(
        &mut self,
        now: Moment,
        complete: bool,
        changed: Vec<OrganizationBundle>,
        removed: Vec<OrganizationId>,
    ) {
        if complete {
            self.held.clear();
        }
        for id in &removed {
            self.held.remove(id);
        }
        let ids: Vec<_> = changed.iter().map(|each| each.id.clone()).collect();
        for each in &changed {
            self.held.put(each.id.clone(), each.digest);
        }
        self.comparison.changed(&ids);
        let rows = if complete {
            Rows::All
        } else {
            Rows::Some {
                changed: ids,
                removed: removed.clone(),
            }
        };
        self.generation += 1;
        self.outputs.push_back(Output::Enforce(Change {
            generation: self.generation,
            revision: self.point.revision,
            complete,
            changed,
            removed,
        }));
        self.outputs.push_back(Output::Contact(self.contact));
        let write = self.durability.change(now.elapsed, rows);
        self.store(write);
    }

    /// Has it written, with the time of the last answer: a write that is made later is no answer.
    fn store(&mut self, rows: Option<Rows>) {
        if let Some(rows) = rows {
            self.outputs.push_back(Output::Store(Write {
                point: self.point,
                contact: self.contact,
                rows,
            }));
        }
    }

    fn pull_failed(&mut self, now: Moment, number: u64, failure: Failure) {
        let latest = self.asking.failed(number);
        // One that was silent before is as good as failed already.
        if latest && self.phase == Phase::Pulling {
            self.pause(now);
            self.reconnect(failure);
        }
    }

    /// The latest pull is silent: it is asked again on a new connection, whatever becomes of it.
    fn silent(&mut self, now: Moment) {
        if self.failed {
            self.pause(now);
        } else {
            // The time is spent already.
            self.failed = true;
            self.phase = Phase::Pausing(now.elapsed);
        }
        self.reconnect(Failure::Silence);
    }

    fn pause(&mut self, now: Moment) {
        self.failed = true;
        self.phase = Phase::Pausing(now.elapsed + self.backoff.pause());
    }

    fn pause_ends(&self, until: Duration) -> Duration {
        let arrives = self.asking.arrives_until();
        arrives.map_or(until, |arrives| arrives.max(until))
    }

    fn comparison_failed(&mut self, now: Moment, failure: Failure) {
        self.comparison.failed(now.elapsed);
        self.reconnect(failure);
    }

    fn reconnect(&mut self, failure: Failure) {
        if failure != Failure::Refused {
            self.outputs.push_back(Output::Reconnect);
        }
    }

    /// The organizations that seemed wrong, as they should be.
    fn fetched(&mut self, now: Moment, bundle: Bundle) {
        let Difference { changed, removed } = self.comparison.fetched(&self.held, bundle);
        if !changed.is_empty() || !removed.is_empty() {
            let ids = changed.iter().map(|each| &each.id).chain(&removed);
            let ids = ids.cloned().collect();
            // What was asked before may be answered with what was before.
            self.asking.give_up();
            self.phase = Phase::Settling(now.elapsed + SETTLE);
            self.apply(now, false, changed, removed);
            self.tell(Event::Reconciled(ids));
        }
        if let Some(suspects) = self.comparison.more(now.elapsed) {
            self.outputs.push_back(Output::Fetch(suspects));
        }
    }

    /// What follows from how things are now.
    fn advance(&mut self, now: Moment) {
        if self.answered {
            let retry = self.durability.retry(now.elapsed);
            self.store(retry);
        }
        if !self.lost && now.elapsed >= self.last_answer + CONTACT_LOST {
            self.lost = true;
            self.tell(Event::ContactLost);
        }
        if self.answered && !self.started && self.enforced == self.generation {
            self.started = true;
            self.tell(Event::Started);
        }
        if self.started {
            let due = self.comparison.due(now.elapsed, &mut self.held);
            self.outputs.extend(due);
        }
        let silent_at = self.asking.silent_at();
        if self.phase == Phase::Pulling && silent_at.is_some_and(|at| now.elapsed >= at) {
            self.silent(now);
        }
        self.tell_durable(now);
        let report = self.report();
        match self.phase {
            Phase::Settling(until) if report != self.wanted() && now.elapsed < until => {}
            Phase::Pausing(until) if now.elapsed < self.pause_ends(until) => {}
            Phase::Pulling if self.asking.report() == Some(report) => {}
            _ => self.pull(now, report),
        }
    }

    /// What can be said of the point in force.
    fn report(&self) -> Report {
        if self.enforced < self.generation {
            Report::Nothing
        } else if self.is_durable() {
            Report::Durable
        } else {
            Report::Enforced
        }
    }

    /// What is worth waiting for: a disk that has failed is not.
    fn wanted(&self) -> Report {
        if self.is_durable() || self.durability.is_writing_change() {
            Report::Durable
        } else {
            Report::Enforced
        }
    }

    /// At the start of the history there is nothing to lose.
    fn is_durable(&self) -> bool {
        self.point == HistoryPoint::START || self.durability.is_durable()
    }

    fn pull(&mut self, now: Moment, report: Report) {
        let late = report == Report::Nothing;
        if self.told_late != late {
            self.told_late = late;
            self.tell(Event::ThreadLate(late));
        }
        let wait = if self.failed { Duration::ZERO } else { WAIT };
        let late = self.point != HistoryPoint::START || !self.held.is_empty();
        let ask = self.asking.ask(now.elapsed, self.point, wait, report, late);
        self.phase = Phase::Pulling;
        self.outputs.push_back(Output::Pull(ask));
    }

    /// Says whether what is in force would survive a restart, where a write takes its time or failed.
    fn tell_durable(&mut self, now: Moment) {
        let durable = self.is_durable();
        let late_at = self.durability.is_late_at(SETTLE);
        let is_news = durable || late_at.is_none_or(|at| now.elapsed >= at);
        if self.told_durable != durable && is_news {
            self.told_durable = durable;
            self.tell(Event::Durable(durable));
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Tell(event));
    }
}
