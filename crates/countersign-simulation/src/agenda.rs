//! What is to happen, in the order of time.

use std::{collections::BTreeMap, time::Duration};

use countersign_gateway::sync::messages::{Input, Pull};
use countersign_types::id::OrganizationId;

/// A request of one life of one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) gateway: usize,
    pub(crate) life: u64,
    pub(crate) number: u64,
}

/// What a gateway asks the control plane.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Pull(Pull),
    Digests(Option<OrganizationId>),
    Fetch(Vec<OrganizationId>),
    Goodbye,
}

/// A request on its way, on one of the connections that the gateway made in this life.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) ticket: Ticket,
    pub(crate) connection: u64,
    pub(crate) at: Duration,
    pub(crate) ask: Ask,
    /// Its answer is lost on the way back.
    pub(crate) answer_lost: bool,
}

/// Something that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Link(usize),
    Disk(usize),
    Thread(usize, usize),
    Refusing(usize),
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request reaches the control plane.
    Arrive(Sent),
    /// A part of an answer reaches the gateway.
    Part(Sent),
    /// An answer is on its way since then.
    Return(Sent, Box<Input>, Duration),
    /// A request comes to an end at the gateway.
    Deliver(Ticket, Box<Input>),
    /// The control plane holds a request no longer.
    HoldEnds(Ticket),
    /// A node looks for changes that nobody announced to it.
    Look(usize),
    /// The pings of a connection were not answered, if the link is still as it was then.
    Unanswered(usize, u64, u64, u64),
    Timer(usize, u64),
    Recheck(usize, u64, usize),
    Written(usize, u64),
    /// Threads look for what expired.
    Tick,
    Start(usize),
    Open(usize),
    /// A trouble is over.
    Over(Trouble),
    /// Something goes wrong, or changes, or is asked.
    Trouble,
    Change,
    Traffic,
    Status,
}

/// Events, in the order of their times; those of one time as they were put in.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
}

impl Agenda {
    pub(crate) fn at(&mut self, time: Duration, event: Event) {
        self.count += 1;
        self.events.insert((time, self.count), event);
    }

    /// The next event, unless it is after the end.
    pub(crate) fn next(&mut self, end: Duration) -> Option<(Duration, Event)> {
        let entry = self.events.first_entry()?;
        if entry.key().0 > end {
            return None;
        }
        let ((time, _), event) = entry.remove_entry();
        Some((time, event))
    }
}
