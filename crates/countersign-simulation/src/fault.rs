//! Faults that are planted around the real code, one in a run: the simulation must find each.

use clap::ValueEnum;

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The control plane answers by revision alone: a history that was lost passes for its own.
    RevisionOnly,
    /// It wakes those who wait only for a greater revision.
    SignalOnGreater,
    /// Its answers leave out an organization now and then.
    ForgottenOrganization,
    /// Its answers leave out the denials of an organization.
    ForgottenDenials,
    /// It takes an answer that it sent for enforced.
    AnswerIsReport,
    /// Its list of gateways leaves out those that are missing.
    NoMissingGateways,
    /// A gateway never opens a new connection.
    OneConnection,
    /// It waits twice as long after each silence, and asks nothing beside what it waits for.
    DoublingPatience,
    /// It gives a pull up when that was silent for a few seconds.
    NothingKept,
    /// It asks after the answer that was lost.
    LostIsApplied,
    /// It applies answers that come too late.
    LateAnswer,
    /// It says that every thread enforces a change before they do.
    EarlyReport,
    /// It begins requests without registering them first.
    Unregistered,
    /// It takes a failed write for done.
    FailedIsDurable,
    /// A failed write leaves the file as it was, and is reported as done.
    OldFileStays,
    /// It reports what it still writes.
    ReportedUnwritten,
    /// The time of contact is on disk before what it vouches for.
    ContactFirst,
    /// A start takes what it finds on disk for fresh.
    FreshAtStart,
    /// Contact in the future counts as just now.
    FutureIsNow,
    /// The comparison by digests takes what a gateway has for right.
    BlindComparison,
    /// The comparison is answered with organizations as they were before.
    OldComparison,
    /// An organization may take as much of a gateway as it likes.
    NoLimits,
    /// Judging a chain is not charged.
    FreeVerdicts,
    /// What a request takes of its organization's share is never given back.
    KeptPlaces,
}
