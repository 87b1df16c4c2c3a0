//! What the state machine is told, and what it says.

use std::{collections::HashMap, time::Duration};

use countersign_types::{
    UnixSeconds,
    bundle::{Bundle, BundleDigests, OrganizationBundle},
    digest::Sha256,
    history::HistoryPoint,
    id::OrganizationId,
};

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since the machine began. It never goes back.
    pub elapsed: Duration,
    /// What the clock says.
    pub clock: UnixSeconds,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The pull with this number was answered.
    Pulled(u64, Bundle),
    /// It was answered, and not everything that the answer names can be had: the organizations of which it can. The
    /// point does not move, so what changed after it is asked for again.
    PulledInPart(u64, Vec<OrganizationBundle>),
    /// A part of its answer arrived.
    Arriving(u64),
    /// It failed.
    PullFailed(u64, Failure),
    /// The digests that were asked for, or a page of them.
    Digests(BundleDigests),
    /// The organizations that were asked for.
    Fetched(Bundle),
    /// Digests or organizations could not be had.
    ComparisonFailed(Failure),
    /// Every thread enforces this generation.
    Enforced(u64),
    /// The latest write is on disk; or it failed, and the file was removed.
    Stored(bool),
    /// The deadline has come, or might have.
    Time,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer in time, or no more of it.
    Silence,
    /// No connection, a broken one, or an answer from something that is not the control plane.
    Unreachable,
    /// The control plane answered that it will not.
    Refused,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this pull. It takes the place of those that are under way, but for one that it names.
    Pull(Pull),
    /// Ask for the digests; for the page of them after this organization.
    AskDigests(Option<OrganizationId>),
    /// Ask for these organizations.
    Fetch(Vec<OrganizationId>),
    /// Make new connections for what is sent from now on.
    Reconnect,
    /// Put this in force.
    Enforce(Change),
    /// What is in force is what the control plane says at this time.
    Contact(UnixSeconds),
    /// Write this to disk, in one transaction.
    Store(Write),
    /// Tell the operator.
    Tell(Event),
}

/// A request for what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pull {
    /// Pulls are counted from 1.
    pub number: u64,
    /// The earlier pull that is still waited for, if one is.
    pub beside: Option<u64>,
    /// The point in force.
    pub after: HistoryPoint,
    /// How long the control plane may hold it open.
    pub wait: Duration,
    /// After how long a silence beyond that it has failed.
    pub patience: Duration,
    /// Whether the gateway is then taken to enforce `after`; and if so, whether that would survive
    /// a restart.
    pub report: Report,
}

/// What a pull says of the point that it asks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Nothing: not every thread enforces it.
    Nothing,
    /// Every thread enforces it, and it is not on disk.
    Enforced,
    /// Every thread enforces it, and a restart would begin with it.
    Durable,
}

/// A change of what is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which change this is, counted from 1: what threads say they enforce.
    pub generation: u64,
    /// The deployment's revision that it leads to.
    pub revision: u64,
    /// Whether organizations that are not in it go.
    pub complete: bool,
    /// The organizations that changed, each whole.
    pub changed: Vec<OrganizationBundle>,
    /// Organizations that go.
    pub removed: Vec<OrganizationId>,
}

/// What is to be written to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The point that the file then vouches for.
    pub point: HistoryPoint,
    /// When the control plane last said so.
    pub contact: UnixSeconds,
    /// The organizations to write, as they are in force.
    pub rows: Rows,
}

/// The organizations of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// None: only point and contact.
    None,
    /// These.
    Some {
        /// To be written.
        changed: Vec<OrganizationId>,
        /// To be deleted.
        removed: Vec<OrganizationId>,
    },
    /// All that are in force, and no others.
    All,
}

impl Rows {
    /// These and then others, as they are in force at the end.
    pub(super) fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::None, rows) | (rows, Self::None) => rows,
            (
                Self::Some {
                    mut changed,
                    mut removed,
                },
                Self::Some {
                    changed: more_changed,
                    removed: more_removed,
                },
            ) => {
                add(&mut changed, more_changed);
                add(&mut removed, more_removed);
                Self::Some { changed, removed }
            }
        }
    }
}

/// Adds ids, each of them once: however long a write takes, there are no more than organizations.
fn add(ids: &mut Vec<OrganizationId>, more: Vec<OrganizationId>) {
    ids.extend(more);
    ids.sort_unstable();
    ids.dedup();
}

/// What an operator wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The control plane has not answered for a while.
    ContactLost,
    /// It answers again, after so long.
    ContactBack(Duration),
    /// A thread takes too long to enforce a change, or none does any more.
    ThreadLate(bool),
    /// What is in force would, or would not, survive a restart.
    Durable(bool),
    /// These organizations were not as they should have been. They are now.
    Reconciled(Vec<OrganizationId>),
    /// The control plane's bundle is in force on every thread, for the first time.
    Started,
}

/// What was found on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The point that it vouches for.
    pub point: HistoryPoint,
    /// The organizations, by the digests that they had.
    pub digests: HashMap<OrganizationId, Option<Sha256>>,
}
