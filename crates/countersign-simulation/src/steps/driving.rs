//! Driving a gateway: what it is told, and what it asks to be done.

use std::time::Duration;

use countersign_gateway::sync::{
    follower::Task,
    messages::{Input, Moment, Pull, Report},
};

use crate::{
    agenda::{Ask, Event, Ticket},
    edge::{DiskState, Edge, Patience, Process},
    fault::Fault,
    world::World,
};

/// For the fault: how long a silent pull is waited for at the longest.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// A request comes to an end, if it is one that the gateway still waits for.
    pub(crate) fn deliver(&mut self, ticket: Ticket, input: Input) {
        let too_late = self.has(Fault::LateAnswer) && matches!(input, Input::Pulled(..));
        let (at, clock) = (self.now, self.clock());
        let Some(edge) = self.edge_mut(ticket.gateway) else {
            return;
        };
        let now = edge.set_clock(clock);
        let Some(process) = edge.process.as_mut().filter(|_| edge.life == ticket.life) else {
            return;
        };
        let asked = process
            .under_way()
            .find(|each| each.number == ticket.number);
        // For the fault: as the answer to the latest.
        let asked = asked.or_else(|| process.pulls.last().filter(|_| too_late));
        let Some(asked) = asked else {
            return;
        };
        let (number, late, input) = (asked.number, asked.late(at), asked.names(input));
        if !matches!(input, Input::Arriving(_)) {
            process.ended(number);
        }
        if let Input::Pulled(_, bundle) = &input {
            process.answered = true;
            process.patience = Patience::default();
            edge.answered(now.saturating_sub(late), bundle.point());
        }
        self.tell(ticket.gateway, input);
    }

    /// Tells a gateway what happened, and does what it asks for.
    pub(crate) fn tell(&mut self, number: usize, input: Input) {
        let (now, clock) = (self.now, self.clock());
        let short = self.describe(&input);
        self.note(|| format!("gateway {number} hears: {short}"));
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        let clock = edge.set_clock(clock);
        let Some(process) = &mut edge.process else {
            return;
        };
        let elapsed = now - process.begun;
        let compared = matches!(input, Input::Fetched(_)).then(|| process.driven.digests());
        let tasks = process.driven.on(Moment { elapsed, clock }, input);
        let differed = compared.is_some_and(|before| before != process.driven.digests());
        edge.mended |= differed;
        if differed && edge.lost.is_none() {
            self.wrong(format!(
                "gateway {number} finds a difference by its digests where nothing was lost"
            ));
        }
        for task in tasks {
            self.perform(number, task);
        }
        self.check_in_force(number);
        self.wake_threads(number);
        self.set_timer(number);
    }

    /// What an input is, in a word that is the same in every run of a seed.
    fn describe(&self, input: &Input) -> String {
        match input {
            Input::Pulled(number, bundle) => format!(
                "revision {} with {} organizations{}, by pull {number}",
                bundle.revision,
                bundle.organizations.len(),
                if bundle.complete { ", complete" } else { "" },
            ),
            Input::Digests(digests) => format!("{} digests", digests.organizations.len()),
            Input::Fetched(bundle) => format!("{} fetched", bundle.organizations.len()),
            other => format!("{other:?}"),
        }
    }

    fn perform(&mut self, number: usize, task: Task) {
        match task {
            Task::Pull(mut pull) => {
                if self.has(Fault::LostIsApplied)
                    && let Some(point) = self.edge(number).and_then(|edge| edge.last_sent)
                {
                    pull.after = point;
                }
                if pull.report != Report::Nothing {
                    self.reports(number, pull.after, pull.report == Report::Durable);
                }
                if self.has(Fault::NothingKept) {
                    pull.beside = None;
                }
                if !(self.has(Fault::DoublingPatience) && self.waits_on(number, &pull)) {
                    self.send(number, Ask::Pull(pull));
                }
            }
            Task::AskDigests(from) => self.send(number, Ask::Digests(from)),
            Task::Fetch(ids) => self.send(number, Ask::Fetch(ids)),
            Task::Reconnect if self.has(Fault::OneConnection) => {}
            Task::Reconnect => {
                if let Some(process) = self.process_mut(number) {
                    process.connection += 1;
                }
            }
            Task::Store(job) => {
                let Some(edge) = self.edge_mut(number) else {
                    return;
                };
                edge.wrote_since = true;
                let Some(process) = &mut edge.process else {
                    return;
                };
                process.jobs.push_back(job);
                if process.jobs.len() == 1 {
                    self.begin_write(number);
                }
            }
        }
    }

    /// For the fault: a silent pull is waited for, twice as long as the one before, and nothing is asked
    /// beside it. This one is taken for that one.
    fn waits_on(&mut self, number: usize, pull: &Pull) -> bool {
        let now = self.now;
        let Some(process) = self.process_mut(number) else {
            return false;
        };
        let silent = process.pulls.last_mut().filter(|_| pull.beside.is_some());
        if let Some(silent) = silent {
            if now < process.patience.until {
                (silent.ask, silent.at) = (Ask::Pull(*pull), now);
                return true;
            }
            process.patience.time = LONGEST_PATIENCE.min(process.patience.time * 2);
        }
        process.patience.until = now + pull.wait + process.patience.time;
        false
    }

    fn begin_write(&mut self, number: usize) {
        let slow = self
            .edge(number)
            .is_some_and(|edge| edge.disk == DiskState::Slow);
        let pause = if slow {
            self.chance.millis(300..6_000)
        } else {
            self.chance.millis(1..20)
        };
        let early = self.has(Fault::ReportedUnwritten);
        if self.has(Fault::ContactFirst) {
            self.write_contact(number);
        }
        let Some(edge) = self.edge(number) else {
            return;
        };
        let life = edge.life;
        self.after(pause, Event::Written(number, life));
        if early {
            self.tell(number, Input::Stored(true));
        }
    }

    /// The write under way comes to its end.
    pub(crate) fn written(&mut self, number: usize, life: u64) {
        let (old_stays, taken_for_done, early) = (
            self.has(Fault::OldFileStays),
            self.has(Fault::FailedIsDurable),
            self.has(Fault::ReportedUnwritten),
        );
        let Some(edge) = self.edge_mut(number).filter(|edge| edge.life == life) else {
            return;
        };
        let disk = edge.disk;
        let Some(process) = &mut edge.process else {
            return;
        };
        let Some(job) = process.jobs.pop_front() else {
            return;
        };
        let input = if old_stays && disk != DiskState::Fine {
            Input::Stored(true)
        } else {
            process.driven.write(&job)
        };
        let more = !process.jobs.is_empty();
        if more {
            self.begin_write(number);
        }
        self.note(|| format!("gateway {number} wrote: {input:?}"));
        if !early {
            let input = if taken_for_done {
                Input::Stored(true)
            } else {
                input
            };
            self.tell(number, input);
        }
    }

    pub(crate) fn process_mut(&mut self, number: usize) -> Option<&mut Process> {
        self.edge_mut(number).and_then(|edge| edge.process.as_mut())
    }

    /// Lets threads judge again if there is a change that they do not enforce yet.
    fn wake_threads(&mut self, number: usize) {
        let Some(process) = self.process_mut(number) else {
            return;
        };
        let Some(generation) = process.driven.awaited() else {
            return;
        };
        let threads = process.stuck.len();
        if self.has(Fault::EarlyReport) {
            return self.tell(number, Input::Enforced(generation));
        }
        let life = self.edge(number).map_or(0, |edge| edge.life);
        for thread in 0..threads {
            let pause = self.chance.millis(0..10);
            self.after(pause, Event::Recheck(number, life, thread));
        }
    }

    /// A thread judges its streams again, unless it is stuck.
    pub(crate) fn recheck(&mut self, number: usize, life: u64, thread: usize) {
        let clock = self.clock();
        let Some(edge) = self.edge_mut(number).filter(|edge| edge.life == life) else {
            return;
        };
        let clock = edge.set_clock(clock);
        let Some(process) = &mut edge.process else {
            return;
        };
        if process.stuck.get(thread) == Some(&true) {
            return;
        }
        let all = process.driven.recheck(thread);
        if let Some(judged) = process.judged.get_mut(thread).filter(|_| all) {
            *judged = clock;
        }
        process.traffic.retain(|each| !each.is_cut());
        if let Some(enforced) = process.driven.enforced() {
            if std::mem::take(&mut edge.mended) {
                edge.lost = None;
            }
            self.tell(number, enforced);
        }
    }

    fn set_timer(&mut self, number: usize) {
        let now = self.now;
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        let life = edge.life;
        let Some(process) = &mut edge.process else {
            return;
        };
        let Some(deadline) = process.driven.deadline() else {
            return;
        };
        let at = now.max(process.begun + deadline);
        if process.timer.is_none_or(|timer| timer > at) {
            process.timer = Some(at);
            self.agenda.at(at, Event::Timer(number, life));
        }
    }

    pub(crate) fn timer(&mut self, number: usize, life: u64) {
        let now = self.now;
        let Some(edge) = self.edge_mut(number).filter(|edge| edge.life == life) else {
            return;
        };
        let Some(process) = &mut edge.process else {
            return;
        };
        if process.timer == Some(now) {
            process.timer = None;
            self.tell(number, Input::Time);
        }
    }

    /// Lets all threads of all gateways look for what expired, as they do every second.
    pub(crate) fn tick(&mut self) {
        let threads: Vec<_> = self
            .edges
            .iter()
            .flat_map(
                |Edge {
                     number,
                     life,
                     threads,
                     ..
                 }| { (0..*threads).map(|thread| (*number, *life, thread)) },
            )
            .collect();
        for (number, life, thread) in threads {
            self.recheck(number, life, thread);
        }
    }
}
