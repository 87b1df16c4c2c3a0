//! One run: troubled times and quiet ones, from one seed.

use std::time::Duration;

use crate::{
    agenda::{Agenda, Event},
    chance::Chance,
    database::{DatabaseFile, scratch},
    edge::Edge,
    fault::Fault,
    plane::{Node, Plane},
    shares::ShareSize,
    truth::Truth,
    world::{Kind, World},
};

/// How long everything must be well for everything to agree: a disk that failed is tried again after a
/// minute at the most.
const QUIET: Duration = Duration::from_secs(150);
/// In a quiet time changes go on until so long before its end.
const STILL: Duration = Duration::from_secs(20);
/// One run in so many ends with a change that is lost for up to an hour.
const HOURS: u64 = 10;
/// One run in so many ends with a change that comes in a large answer.
const LARGE: u64 = 5;
/// By when a gateway has compared what it enforces: an hour and a tenth, and until it asks again.
const COMPARED: Duration = Duration::from_secs(67 * 60);
/// How many changes are tried until one is lost: some are refused.
const TRIES: usize = 20;

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed that it was made from.
    pub seed: u64,
    /// What was wrong; none if nothing was.
    pub wrong: Option<String>,
    /// How many times something was held against what may be.
    pub checks: u64,
    /// How many seconds passed in it.
    pub seconds: u64,
    /// Stands for all that happened: the same in every run of a seed.
    pub fingerprint: u64,
    /// What happened, if that was wanted.
    pub trace: Vec<String>,
}

/// Runs a seed, perhaps with a planted fault.
///
/// # Panics
/// When the machine it runs on gives no file or runtime.
#[must_use]
pub fn run(seed: u64, fault: Option<Fault>, trace: bool) -> Outcome {
    let mut world = world(seed, fault, trace);
    for node in 0..world.plane.nodes.len() {
        world.open(node);
    }
    world.settle_in();
    for number in 0..world.edges.len() {
        world.start(number);
    }
    world.agenda.at(Duration::from_secs(1), Event::Tick);
    let rounds = 1 + world.chance.below(3);
    for _ in 0..rounds {
        if world.found.is_none() {
            trouble_and_quiet(&mut world);
        }
    }
    if world.found.is_none() && world.chance.one_in(LARGE) {
        large_answer(&mut world);
    }
    if world.found.is_none() && world.chance.one_in(HOURS) {
        lost_for_an_hour(&mut world);
    }
    Outcome {
        seed,
        wrong: world.found,
        checks: world.checks,
        seconds: world.now.as_secs(),
        fingerprint: world.fingerprint,
        trace: world.trace.unwrap_or_default(),
    }
}

fn world(seed: u64, fault: Option<Fault>, trace: bool) -> World {
    let mut chance = Chance::new(seed);
    let scratch = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let nodes = 1 + chance.below(2);
    let nodes: Vec<_> = (0..nodes).map(|_| Node::new(chance.fork())).collect();
    let pings = chance.one_in(2);
    let gateways = 1 + chance.below(3);
    let edges = (0..gateways).map(|number| {
        let directory = scratch.path().join(format!("gateway-{number}"));
        Edge::new(number, 1 + chance.below(2), directory, pings)
    });
    let edges = edges.collect();
    // Each run has some kinds of trouble and not others: together they hide one another.
    let kinds = if chance.one_in(3) {
        let together = chance.pick(&Kind::TOGETHER).copied();
        together.unwrap_or_default().to_vec()
    } else {
        Kind::ALL.into_iter().filter(|_| chance.one_in(3)).collect()
    };
    let max_age = *chance.pick(&[30, 90, 3_600]).unwrap_or(&3_600);
    let share = if chance.one_in(2) {
        ShareSize::SMALL
    } else {
        ShareSize::GENEROUS
    };
    World {
        now: Duration::ZERO,
        agenda: Agenda::default(),
        fault,
        plane: Plane {
            nodes,
            ..Plane::default()
        },
        edges,
        truth: Truth::default(),
        database: DatabaseFile::new(scratch.path(), &runtime),
        runtime,
        max_age,
        share,
        troubled: false,
        kinds,
        found: None,
        trace: trace.then(Vec::new),
        fingerprint: 0xcbf2_9ce4_8422_2325,
        checks: 0,
        _scratch: scratch,
        chance,
    }
}

fn trouble_and_quiet(world: &mut World) {
    world.troubled = true;
    for event in [Event::Trouble, Event::Change, Event::Traffic, Event::Status] {
        world.agenda.at(world.now, event);
    }
    let troubled = world.chance.millis(10_000..150_000);
    advance(world, troubled);
    world.end_troubles();
    advance(world, QUIET - STILL);
    advance(world, STILL);
    check_all(world);
}

/// A change comes in an answer that takes long to begin, after some that are lost: it comes all the same.
fn large_answer(world: &mut World) {
    let number = world.chance.below(world.edges.len());
    let large = world.large_answers();
    let losing = u32::try_from(world.chance.below(3)).unwrap_or(0);
    let now = world.now;
    // Each time it is waited for twice as long, and the answer may begin just after one was given up.
    let begins = large.begins * (3 + losing);
    let time = begins + large.arrives + STILL * (1 + losing);
    if let Some(edge) = world.edge_mut(number) {
        edge.link.large = Some(large);
        edge.link.losing = losing;
        edge.disturb(now + time);
    }
    world.look_at(number);
    let before = world.truth.latest();
    for _ in 0..TRIES {
        if world.truth.latest() == before {
            world.change();
        }
    }
    advance(world, time);
    check_all(world);
    if let Some(edge) = world.edge_mut(number) {
        (edge.link.large, edge.link.losing) = (None, 0);
    }
    world.look_at(number);
}

/// A gateway misses a change as if it had never been: only the comparison by digests brings it, and
/// until then the gateway does not know better.
fn lost_for_an_hour(world: &mut World) {
    let number = world.chance.below(world.edges.len());
    if let Some(edge) = world.edge_mut(number) {
        edge.loses = true;
    }
    for _ in 0..TRIES {
        if world.edge(number).is_some_and(|edge| edge.loses) {
            world.change();
            advance(world, Duration::from_secs(2));
        }
    }
    if let Some(edge) = world.edge_mut(number) {
        edge.loses = false;
    }
    advance(world, COMPARED);
    if let Some(edge) = world.edge_mut(number) {
        edge.lost = None;
    }
    check_all(world);
}

/// What must hold after a quiet time.
fn check_all(world: &mut World) {
    if world.found.is_none() {
        world.check_quiet();
    }
    if world.found.is_none() {
        world.request_all();
    }
}

/// Lets time pass, until something is wrong.
fn advance(world: &mut World, time: Duration) {
    let end = world.now + time;
    while world.found.is_none() {
        let Some((now, event)) = world.agenda.next(end) else {
            break;
        };
        world.now = now;
        happen(world, event);
    }
    if world.found.is_none() {
        world.now = end;
    }
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Arrive(sent) => world.arrive(sent),
        Event::Part(sent) => world.part(&sent),
        Event::Return(sent, input, since) => world.come_back(sent, input, since),
        Event::Deliver(ticket, input) => world.deliver(ticket, *input),
        Event::HoldEnds(ticket) => world.hold_ends(ticket),
        Event::Look(node) => world.look_for_changes(node),
        Event::Unanswered(number, life, connection, epoch) => {
            world.unanswered(number, life, connection, epoch);
        }
        Event::Timer(number, life) => world.timer(number, life),
        Event::Recheck(number, life, thread) => world.recheck(number, life, thread),
        Event::Written(number, life) => world.written(number, life),
        Event::Start(number) => world.start(number),
        Event::Open(node) => world.open(node),
        Event::Over(trouble) => world.over(trouble),
        Event::Trouble => world.begin_trouble(),
        Event::Tick => {
            world.tick();
            world.after(Duration::from_secs(1), Event::Tick);
        }
        Event::Change | Event::Traffic | Event::Status => happen_often(world, event),
    }
}

/// What goes on all the time while there is trouble.
fn happen_often(world: &mut World, event: Event) {
    if !world.troubled {
        return;
    }
    match event {
        Event::Change => world.change(),
        Event::Traffic => world.request(),
        _ => world.check_status(),
    }
    let pause = match event {
        Event::Change => world.chance.millis(20..2_000),
        Event::Traffic => world.chance.millis(50..1_000),
        _ => world.chance.millis(300..5_000),
    };
    world.after(pause, event);
}
