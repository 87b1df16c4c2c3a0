//! What became of each thing, event by event.

use std::collections::HashMap;

use countersign_types::{UnixSeconds, compact_jws::PublicKey};

/// A thing whose state the audit log tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    /// A gateway's key, by its id.
    ReceiptKey(String),
    /// A certificate at a project, or at the organization.
    Anchor {
        project: Option<String>,
        certificate: String,
    },
    Project(String),
    ApiKey(String),
    ServiceAccount(String),
}

/// What an event made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// A gateway's key is believed.
    Registered {
        public_key: PublicKey,
        gateway: String,
        organization: String,
    },
    Withdrawn,
    Enforced,
    /// It is active, and only reported.
    Reported,
    Inactive,
    /// It was created, in a project if it belongs to one.
    Created(Option<String>),
    Archived,
    Deleted,
}

/// A change, and the event that tells it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) number: u64,
    pub(super) at: UnixSeconds,
    pub(super) state: State,
}

/// What became of each thing, oldest first.
#[derive(Debug, Default)]
pub(super) struct Histories(HashMap<Thing, Vec<Change>>);

impl Histories {
    pub(super) fn add(&mut self, thing: Thing, change: Change) {
        self.0.entry(thing).or_default().push(change);
    }

    /// The latest change of a thing up to an event.
    pub(super) fn at(&self, thing: &Thing, number: u64) -> Option<&Change> {
        let changes = self.0.get(thing)?;
        changes.iter().rfind(|each| each.number <= number)
    }

    /// What became of it after an event.
    pub(super) fn after(&self, thing: &Thing, number: u64) -> impl Iterator<Item = &Change> {
        let changes = self.0.get(thing).into_iter().flatten();
        changes.filter(move |each| each.number > number)
    }

    /// The latest change of a thing up to a time.
    pub(super) fn until(&self, thing: &Thing, time: UnixSeconds) -> Option<&Change> {
        let changes = self.0.get(thing)?;
        changes.iter().rfind(|each| each.at <= time)
    }

    /// Every certificate that was ever active at a project, or at the organization.
    pub(super) fn anchors<'h>(
        &'h self,
        project: Option<&'h str>,
    ) -> impl Iterator<Item = (&'h Thing, &'h str)> {
        self.0.keys().filter_map(move |thing| match thing {
            Thing::Anchor {
                project: at,
                certificate,
            } if at.as_deref() == project => Some((thing, certificate.as_str())),
            _ => None,
        })
    }
}
