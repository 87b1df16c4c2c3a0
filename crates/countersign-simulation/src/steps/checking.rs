//! What must hold at every moment, and what after a quiet time.

use std::{collections::HashMap, time::Duration};

use countersign_gateway::DrivenGateway;
use countersign_server::{
    GATEWAY_LIVE_SECONDS,
    store::{FORGET_GATEWAYS_AFTER, GatewayFilter},
};
use countersign_types::{
    bundle::{Gateway, GatewayState},
    digest::Sha256,
    history::HistoryPoint,
    id::OrganizationId,
};

use crate::{
    clients::{Caller, Ending, expected},
    database::scratch,
    edge::Edge,
    fault::Fault,
    images::Image,
    truth::{Span, Truth},
    world::World,
};

/// How far the clock may have been set back before contact is of unknown age, in seconds.
const CLOCK_TOLERANCE: u64 = 60;
/// What a thread may be late with what only time ends.
const TICK: u64 = 2;
/// How long a node may hold an answer, which may be as much older than it counts as.
const HELD: u64 = 5;

impl World {
    /// What a gateway has in force is nothing that was superseded before the bound.
    pub(crate) fn check_in_force(&mut self, number: usize) {
        let now = self.now;
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        edge.raise_floor(now);
        let Some(process) = edge.process.as_ref().filter(|_| edge.lost.is_none()) else {
            return;
        };
        self.checks += 1;
        let in_force = process.driven.digests();
        if let Some(what) = older(&self.truth, &in_force, |span| span.lasts_to(edge.floor)) {
            let floor = edge.floor.as_secs_f64();
            self.wrong(format!(
                "gateway {number} enforces {what} as it was before {floor:.3} s"
            ));
        }
        self.check_streams(number);
    }

    /// Requests under way pass under trust that may be in force, or pass nothing on.
    fn check_streams(&mut self, number: usize) {
        let Some(edge) = self.edge(number) else {
            return;
        };
        let floor = edge.floor;
        let wrong = passing_otherwise(&self.truth, edge, |span| span.lasts_to(floor));
        if wrong > 0 {
            self.wrong(format!(
                "{wrong} requests under way at gateway {number} pass under trust of the past"
            ));
        }
    }

    /// A request ended as it may end under something that may be in force.
    pub(crate) fn check_ending(&mut self, number: usize, caller: &Caller, ending: Option<Ending>) {
        let (now, clock) = (self.now, self.clock());
        self.checks += 1;
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        if edge.lost.is_some() {
            return;
        }
        edge.raise_floor(now);
        let clock = clock.saturating_add_signed(edge.ahead);
        let fresh = is_fresh(edge, clock, self.max_age);
        let answered = edge
            .process
            .as_ref()
            .is_some_and(|process| process.answered);
        let Some(ending) = ending else {
            if answered && fresh {
                self.wrong(format!(
                    "gateway {number} refuses everything without a reason"
                ));
            }
            return;
        };
        if !fresh {
            return self.wrong(format!(
                "gateway {number} judges by what nobody has confirmed for longer than it may be"
            ));
        }
        let (floor, max_age) = (edge.floor, Duration::from_secs(self.max_age + TICK + HELD));
        let oldest = if edge.clock_jumped {
            floor
        } else {
            floor.max(now.saturating_sub(max_age))
        };
        let may = may_end(&self.truth, caller, ending, clock, |span| {
            span.lasts_to(oldest)
        });
        if !may {
            let oldest = oldest.as_secs_f64();
            self.wrong(format!(
                "gateway {number} answers {ending:?}, which no trust since {oldest:.3} s gives"
            ));
        }
    }

    /// A gateway says that every thread enforces a point, and perhaps that a restart would.
    pub(crate) fn reports(&mut self, number: usize, point: HistoryPoint, durable: bool) {
        let made = self.truth.made(point);
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        if durable {
            edge.durable = Some(point);
            edge.wrote_since = false;
        }
        if edge.lost.is_some() {
            return;
        }
        let edge = &*edge;
        let behind = passing_otherwise(&self.truth, edge, |span| span.lasts_beyond(made));
        if behind > 0 {
            self.wrong(format!(
                "gateway {number} reports revision {} while {behind} requests pass under what was before it",
                point.revision
            ));
        }
    }

    /// What a start finds on disk is what was said to survive, or later.
    pub(crate) fn check_start(&mut self, number: usize) {
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        let Some(process) = &edge.process else {
            return;
        };
        let in_force = process.driven.digests();
        let damaged = std::mem::take(&mut edge.damaged);
        let durable = edge.durable.unwrap_or(HistoryPoint::START);
        let lost_all = in_force.is_empty() && self.truth.made(durable) > Duration::ZERO;
        if lost_all && !damaged && !edge.wrote_since {
            return self.wrong(format!(
                "gateway {number} starts with nothing, though it said that a restart would begin with revision {}",
                durable.revision
            ));
        }
        let made = self.truth.made(durable);
        if in_force.is_empty() {
            // It lets nothing pass until it is answered.
            edge.durable = None;
        } else if let Some(what) = older(&self.truth, &in_force, |span| span.lasts_beyond(made)) {
            return self.wrong(format!(
                "gateway {number} starts with {what} as it was before revision {}, which it said a restart would begin with",
                durable.revision
            ));
        }
        edge.floor = edge.floor.min(made);
    }

    /// The time of contact on disk is that of an answer with the very point on disk.
    pub(crate) fn check_contact(&mut self, number: usize) {
        let Some(edge) = self.edge(number) else {
            return;
        };
        let copy = scratch();
        Image::of(&edge.directory).lay_down(copy.path());
        let Some(found) = DrivenGateway::on_disk(copy.path()) else {
            return;
        };
        let vouched = edge.vouched.get(&found.point);
        if !vouched.is_some_and(|clocks| clocks.contains(&found.contact)) {
            self.wrong(format!(
                "the file of gateway {number} says that revision {} was confirmed when it was not",
                found.point.revision
            ));
        }
    }

    fn listed(&mut self) -> Option<Vec<Gateway>> {
        let nodes = self.plane.nodes.len();
        let first = self.chance.below(nodes);
        let node = (0..nodes).map(|turn| (first + turn) % nodes).find(|node| {
            self.plane
                .nodes
                .get(*node)
                .is_some_and(|node| node.store.is_some())
        })?;
        let clock = self.clock();
        let now = self.plane.nodes.get(node)?.set_clock(clock);
        let filter = GatewayFilter {
            kept_since: now.saturating_sub(FORGET_GATEWAYS_AFTER),
            live_since: now.saturating_sub(GATEWAY_LIVE_SECONDS),
        };
        let store = self.store(node)?;
        let listed = self.runtime.block_on(store.list_gateways(filter));
        let mut gateways = listed.ok()?.gateways;
        if self.has(Fault::NoMissingGateways) {
            gateways.retain(|gateway| gateway.state != GatewayState::Missing);
        }
        Some(gateways)
    }

    /// The control plane leaves no gateway out, and says of none that it is further than it is.
    pub(crate) fn check_status(&mut self) {
        let Some(listed) = self.listed() else {
            return;
        };
        self.checks += 1;
        let known = self.plane.registered.iter();
        let forgotten = known
            .filter(|id| !listed.iter().any(|each| each.id == **id))
            .count();
        if forgotten > 0 {
            self.wrong(format!("{forgotten} gateways are not listed any more"));
        }
        for gateway in &listed {
            self.check_claim(gateway);
        }
        let latest = self.truth.latest().revision;
        let pending = listed.iter().filter(|each| each.is_pending(latest)).count();
        self.note(|| {
            format!(
                "{} gateways listed, {pending} of them pending",
                listed.len()
            )
        });
    }

    fn check_claim(&mut self, listed: &Gateway) {
        let edge = self
            .edges
            .iter()
            .find(|edge| edge.id.as_ref() == Some(&listed.id));
        let edge = edge.filter(|edge| edge.lost.is_none());
        let Some((edge, process)) = edge.and_then(|edge| Some((edge, edge.process.as_ref()?)))
        else {
            // What a restart of it would begin with is checked when it starts.
            return;
        };
        let point = self.truth.history.get(&listed.revision);
        // What it said before the database was put back, only it can put right.
        let Some(point) = point.filter(|_| self.plane.confirmed.contains(&listed.id)) else {
            return;
        };
        let made = self.truth.made(*point);
        let in_force = process.driven.digests();
        let number = edge.number;
        // Without a bundle it lets nothing pass.
        if in_force.is_empty() {
            return;
        }
        if let Some(what) = older(&self.truth, &in_force, |span| span.lasts_beyond(made)) {
            self.wrong(format!(
                "gateway {number} is listed with revision {}, and enforces {what} as it was before",
                listed.revision
            ));
        }
    }

    /// After a quiet time everything agrees.
    pub(crate) fn check_quiet(&mut self) {
        let clock = self.clock();
        let current: HashMap<OrganizationId, Option<Sha256>> = self
            .truth
            .current()
            .iter()
            .map(|bundle| (bundle.id.clone(), bundle.digest))
            .collect();
        for number in 0..self.edges.len() {
            let Some(edge) = self.edge(number) else {
                continue;
            };
            edge.set_clock(clock);
            let Some(process) = &edge.process else {
                continue;
            };
            let in_force = process.driven.digests();
            let (unready, warnings) = process.driven.health();
            if in_force != current {
                self.wrong(format!(
                    "gateway {number} does not equal the database after a quiet time"
                ));
            }
            if let Some(why) = unready {
                self.wrong(format!(
                    "gateway {number} is not ready after a quiet time: {why}"
                ));
            }
            if !warnings.is_empty() {
                self.wrong(format!(
                    "gateway {number} warns after a quiet time: {warnings:?}"
                ));
            }
            self.check_disk(number, &current);
        }
        self.check_quiet_status();
    }

    /// Where power ended now, a start would begin with the database as it is.
    fn check_disk(&mut self, number: usize, current: &HashMap<OrganizationId, Option<Sha256>>) {
        let Some(edge) = self.edge(number) else {
            return;
        };
        let copy = scratch();
        Image::of(&edge.directory).lay_down(copy.path());
        let found = DrivenGateway::on_disk(copy.path());
        if found.is_none_or(|found| found.digests != *current) {
            self.wrong(format!(
                "gateway {number} would not restart with the database as it is"
            ));
        }
    }

    fn check_quiet_status(&mut self) {
        let Some(listed) = self.listed() else {
            return self.wrong("no node answers after a quiet time");
        };
        let latest = self.truth.latest().revision;
        for number in 0..self.edges.len() {
            let Some(edge) = self.edge(number).filter(|edge| edge.process.is_some()) else {
                continue;
            };
            let state = listed
                .iter()
                .find(|each| Some(&each.id) == edge.id.as_ref());
            let current = state
                .is_some_and(|each| each.state == GatewayState::Live && !each.is_pending(latest));
            if !current {
                self.wrong(format!(
                    "gateway {number} is not listed as current after a quiet time"
                ));
            }
        }
        self.check_status();
    }

    /// Every request that could be made ends as the database says.
    pub(crate) fn request_all(&mut self) {
        let keys: Vec<_> = self.plane.keys.iter().rev().take(8).cloned().collect();
        for number in 0..self.edges.len() {
            if let Some(edge) = self.edge_mut(number) {
                edge.good_since = edge.good_since.map(|_| Duration::ZERO);
                edge.calm_since = Duration::ZERO;
            }
            for key in &keys {
                for authority in [None, Some(0), Some(1), Some(2)] {
                    self.request_of(
                        number,
                        Caller {
                            key: key.clone(),
                            authority,
                        },
                    );
                }
            }
        }
    }
}

/// Whether a gateway was answered within what it may go without, by its own clock.
fn is_fresh(edge: &Edge, clock: u64, max_age: u64) -> bool {
    let within = |contact: &u64| {
        *contact <= clock.saturating_add(CLOCK_TOLERANCE)
            && clock.saturating_sub(*contact) <= max_age
    };
    let answered = edge
        .process
        .as_ref()
        .is_some_and(|process| process.answered);
    if answered {
        edge.contacts.last().is_some_and(within)
    } else {
        edge.contacts.iter().any(within)
    }
}

/// An organization that is in force as it was in no span that may be.
fn older(
    truth: &Truth,
    in_force: &HashMap<OrganizationId, Option<Sha256>>,
    may_be: impl Fn(&Span) -> bool,
) -> Option<String> {
    // Nothing in force lets nothing pass.
    if in_force.is_empty() {
        return None;
    }
    let strange = in_force.keys().find(|id| truth.spans(id).is_empty());
    if let Some(id) = strange {
        return Some(id.to_string());
    }
    let mut organizations = truth.organizations();
    let older = organizations.find(|(id, spans)| {
        let digest = in_force.get(*id).copied().flatten();
        !Truth::matching(spans, digest).any(&may_be)
    });
    older.map(|(id, _)| id.to_string())
}

/// How many requests under way pass though they do under no span that may be in force. What only time
/// ends is judged by the clock as their threads last saw it.
fn passing_otherwise(truth: &Truth, edge: &Edge, may_be: impl Fn(&Span) -> bool) -> usize {
    let Some(process) = &edge.process else {
        return 0;
    };
    let passing = process.traffic.iter().filter(|each| each.passes());
    let otherwise = passing.filter(|each| {
        let judged = process.judged.get(each.thread).copied();
        let clocks = judged.into_iter().chain([each.begun]);
        let mut passes =
            clocks.map(|clock| may_end(truth, &each.caller, Ending::Passes, clock, &may_be));
        !passes.any(|passes| passes)
    });
    otherwise.count()
}

/// Whether a request may end so under a span that may be in force.
fn may_end(
    truth: &Truth,
    caller: &Caller,
    ending: Ending,
    now: u64,
    may_be: impl Fn(&Span) -> bool,
) -> bool {
    let spans = truth.spans(&caller.key.organization).iter();
    spans
        .filter(|span| may_be(span))
        .any(|span| expected(span.bundle.as_deref(), caller, now) == ending)
}
