//! One run: storms and quiet times, from one seed.

use std::time::Duration;

use crate::{
    agenda::{Agenda, Event},
    chance::Chance,
    database::{DatabaseFile, scratch},
    edge::Edge,
    fault::Fault,
    plane::{Node, Plane},
    truth::Truth,
    world::{Kind, World},
};

/// How long everything must be well for everything to agree: a pull that waits in vain takes a minute at
/// the most, and so does a disk that failed until it is tried again.
const QUIET: Duration = Duration::from_secs(150);
/// In a quiet time changes go on until so long before its end.
const STILL: Duration = Duration::from_secs(20);

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
            storm_and_quiet(&mut world);
        }
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
        storm: false,
        kinds,
        found: None,
        trace: trace.then(Vec::new),
        fingerprint: 0xcbf2_9ce4_8422_2325,
        checks: 0,
        _scratch: scratch,
        chance,
    }
}

fn storm_and_quiet(world: &mut World) {
    world.storm = true;
    for event in [Event::Weather, Event::Change, Event::Traffic, Event::Status] {
        world.agenda.at(world.now, event);
    }
    let storm = world.chance.millis(10_000..150_000);
    advance(world, storm);
    world.calm_down();
    advance(world, QUIET - STILL);
    advance(world, STILL);
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
        Event::Weather => world.weather(),
        Event::Tick => {
            world.tick();
            world.after(Duration::from_secs(1), Event::Tick);
        }
        Event::Change | Event::Traffic | Event::Status => happen_often(world, event),
    }
}

/// What goes on all the time while there is a storm.
fn happen_often(world: &mut World, event: Event) {
    if !world.storm {
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
