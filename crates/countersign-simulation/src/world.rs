//! Everything in a run: what there is, what is to happen, and what was found to be wrong.

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    agenda::{Agenda, Event},
    chance::Chance,
    database::DatabaseFile,
    edge::{Edge, LinkState},
    fault::Fault,
    plane::Plane,
    shares::ShareSize,
    truth::Truth,
};

/// The true time at the beginning, in Unix seconds.
const BEGINNING: u64 = 1_800_000_000;

/// Everything in a run.
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) chance: Chance,
    pub(crate) agenda: Agenda,
    pub(crate) fault: Option<Fault>,
    pub(crate) plane: Plane,
    pub(crate) edges: Vec<Edge>,
    pub(crate) truth: Truth,
    pub(crate) database: DatabaseFile,
    pub(crate) runtime: Runtime,
    /// How long a gateway may go without an answer.
    pub(crate) max_age: u64,
    /// What each organization may take of a gateway.
    pub(crate) share: ShareSize,
    /// Whether troubles begin.
    pub(crate) troubled: bool,
    /// Which kinds of trouble this run has.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) found: Option<String>,
    /// What happened, if that is wanted.
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) fingerprint: u64,
    pub(crate) checks: u64,
    /// Goes with the run, and last.
    pub(crate) _scratch: TempDir,
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Partition,
    Refused,
    SilentConnections,
    Lost,
    Repeated,
    SlowNetwork,
    /// Answers that take long to begin and to arrive.
    LargeAnswers,
    Crash,
    Stop,
    DiskFull,
    DiskDetached,
    DiskSlow,
    StuckThread,
    GatewayClock,
    NodeCrash,
    NodeClose,
    NodeRefuses,
    NodeClock,
    Backup,
    RestoreOffline,
    RestoreUnderWay,
    /// Many new chains at once, all of one organization.
    Flood,
}

impl Kind {
    /// Kinds that do more together than each by itself.
    pub(crate) const TOGETHER: [&[Self]; 6] = [
        &[Self::Partition, Self::DiskFull, Self::Crash],
        &[Self::Partition, Self::DiskSlow, Self::Crash],
        &[Self::Partition, Self::GatewayClock, Self::Crash],
        &[
            Self::SilentConnections,
            Self::Lost,
            Self::Backup,
            Self::RestoreUnderWay,
        ],
        &[Self::LargeAnswers, Self::Lost, Self::SilentConnections],
        &[
            Self::Refused,
            Self::Stop,
            Self::NodeCrash,
            Self::Backup,
            Self::RestoreOffline,
        ],
    ];
    pub(crate) const ALL: [Self; 22] = [
        Self::Partition,
        Self::Refused,
        Self::SilentConnections,
        Self::Lost,
        Self::Repeated,
        Self::SlowNetwork,
        Self::LargeAnswers,
        Self::Crash,
        Self::Stop,
        Self::DiskFull,
        Self::DiskDetached,
        Self::DiskSlow,
        Self::StuckThread,
        Self::GatewayClock,
        Self::NodeCrash,
        Self::NodeClose,
        Self::NodeRefuses,
        Self::NodeClock,
        Self::Backup,
        Self::RestoreOffline,
        Self::RestoreUnderWay,
        Self::Flood,
    ];
}

impl World {
    pub(crate) fn after(&mut self, pause: Duration, event: Event) {
        self.agenda.at(self.now + pause, event);
    }

    /// The true time, in Unix seconds.
    pub(crate) const fn clock(&self) -> u64 {
        BEGINNING + self.now.as_secs()
    }

    pub(crate) fn edge(&self, number: usize) -> Option<&Edge> {
        self.edges.get(number)
    }

    pub(crate) fn edge_mut(&mut self, number: usize) -> Option<&mut Edge> {
        self.edges.get_mut(number)
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Notes what happened. Runs of one seed must agree in it.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        // FNV-1a, so that the whole of a run can be compared.
        let what = what();
        let at = self.now.as_micros().to_le_bytes();
        for byte in at.into_iter().chain(what.bytes()) {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {what}", self.now.as_secs_f64()));
        }
    }

    /// What must never be, is. The first finding ends the run.
    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.note(|| format!("WRONG: {what}"));
        let at = self.now.as_secs_f64();
        self.found
            .get_or_insert_with(|| format!("after {at:.3} s: {what}"));
    }

    /// Notes whether a gateway is as it should be, as far as the bound goes.
    pub(crate) fn look_at(&mut self, number: usize) {
        let plane = self
            .plane
            .nodes
            .iter()
            .any(|node| node.store.is_some() && !node.refusing && !node.slow);
        let all_answer = self
            .plane
            .nodes
            .iter()
            .all(|node| !node.refusing && !node.slow);
        let now = self.now;
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        let works = edge
            .process
            .as_ref()
            .is_some_and(|process| !process.stuck.contains(&true));
        let link = &edge.link;
        let fast = link.state == LinkState::Up && !link.slow && link.large.is_none();
        let good = works && plane && all_answer && fast;
        edge.raise_floor(now);
        if !good {
            edge.good_since = None;
            edge.calm_since = now;
        } else if edge.good_since.is_none() {
            edge.good_since = Some(now.max(edge.troubled_until));
        }
    }

    pub(crate) fn look_at_all(&mut self) {
        for number in 0..self.edges.len() {
            self.look_at(number);
        }
    }
}
