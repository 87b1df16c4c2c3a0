//! The gateway beside nginx, HAProxy and Envoy, in one run: each server on one core, the load and
//! the upstream on the other, every server once per round, medians, CPU as the system counts it.

mod countersign;
mod figures;
mod latency;
mod measures;
pub(crate) mod measuring;
mod proxy;
mod servers;
mod traffic;

use std::{fs, path::PathBuf, rc::Rc};

use serde_json::json;

pub(crate) use self::{
    countersign::{Countersign, build},
    traffic::{Answered, Load, Target, Traffic},
};

use crate::{
    bench::{
        gateway::{
            figures::{Figure, Figures},
            latency::Latencies,
            measures::{MEMORY, Measure, P50, PARTS, What},
            proxy::{BEFORE, COUNTERSIGN, Proxy, UNOBSERVED},
            servers::Kind,
        },
        report,
        server::{self, Server, cpu_seconds_of_family, resident_kib_of_family},
    },
    process::{self, Outcome, say},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    measuring: measuring::Measuring,
    /// Another build of HAProxy, such as one with AWS-LC, measured beside Debian's.
    #[arg(long, value_name = "FILE")]
    haproxy: Option<PathBuf>,
    /// An earlier build of the program, measured in the same run.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
}

/// What differs between a real run and a quick one.
struct Plan {
    rounds: usize,
    scale: usize,
    idle: usize,
}

impl Plan {
    const fn new(arguments: &Arguments) -> Self {
        if arguments.measuring.quick {
            return Self {
                rounds: 1,
                scale: 1,
                idle: 100,
            };
        }
        Self {
            rounds: arguments.measuring.rounds,
            scale: 100,
            idle: 10_000,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let plan = Plan::new(arguments);
    let program = arguments.measuring.program()?;
    let peers = servers::peers(arguments.measuring.quick, arguments.haproxy.as_deref());
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(process::target_directory())?;
    server::raise_file_limit()?;
    server::pin_load()?;
    let measures = measures::all(plan.scale);
    let leaves = measures.iter().map(|measure| measure.leaves(plan.rounds));
    let leaves = leaves.max().unwrap_or(1);
    let traffic = Traffic::prepare(arguments.measuring.quick, directory.path(), leaves)?;
    let upstream = traffic.upstream()?;
    let countersign = Rc::new(Countersign::prepare(
        program,
        directory.path(),
        COUNTERSIGN,
    )?);
    let unobserved = Kind::Countersign(Rc::clone(&countersign), UNOBSERVED);
    let mut kinds = vec![Kind::Countersign(countersign, COUNTERSIGN)];
    if let Some(before) = &arguments.before {
        let before = Countersign::prepare(before.clone(), directory.path(), BEFORE)?;
        kinds.push(Kind::Countersign(Rc::new(before), BEFORE));
    }
    kinds.extend(peers);
    let mut figures = Figures::default();
    for kind in &kinds {
        say(&format!("{}: {}", kind.name(), kind.version()?));
        memory(kind, &traffic, &upstream, plan.idle, &mut figures)?;
    }
    kinds.push(unobserved);
    let proxies = kinds
        .iter()
        .map(|kind| start(kind, &traffic, &upstream))
        .collect::<Outcome<Vec<_>>>()?;
    let bench = Bench {
        traffic: &traffic,
        upstream: &upstream,
        proxies: &proxies,
    };
    bench.warm_up(plan.scale)?;
    let mut latencies = Latencies::default();
    for round in 0..plan.rounds {
        say(&format!("round {} of {}", round + 1, plan.rounds));
        for measure in &measures {
            if measure.what == What::Latency {
                bench.latency(&measure.load(round), round, &mut latencies)?;
            } else {
                bench.round(measure, round, &mut figures)?;
            }
        }
    }
    latencies.report(&mut figures);
    finish(arguments, &figures)
}

fn start(kind: &Kind, traffic: &Traffic, upstream: &Server) -> Outcome<Proxy> {
    kind.start(traffic, upstream.address)
        .map_err(|failure| format!("{}: {failure}", kind.name()).into())
}

/// What each idle connection adds to a fresh server.
fn memory(
    kind: &Kind,
    traffic: &Traffic,
    upstream: &Server,
    connections: usize,
    figures: &mut Figures,
) -> Outcome {
    let proxy = start(kind, traffic, upstream)?;
    let once = Load {
        kind: vec!["connections".to_owned()],
        count: 1,
        leaf: 0,
    };
    let failed = |failure| format!("{}, idle connections: {failure}", kind.name());
    traffic.send(&proxy.target, &once).map_err(failed)?;
    let before = resident_kib_of_family(proxy.server.process())?;
    let held = traffic.hold(&proxy.target, connections).map_err(failed)?;
    let after = resident_kib_of_family(proxy.server.process())?;
    drop(held);
    let each = (after - before) / as_number(connections);
    figures.add(kind.name(), MEMORY, "KiB", each);
    Ok(())
}

/// Everything that runs while rounds are measured.
struct Bench<'a> {
    traffic: &'a Traffic,
    upstream: &'a Server,
    proxies: &'a [Proxy],
}

impl Bench<'_> {
    fn warm_up(&self, scale: usize) -> Outcome {
        let load = Load {
            kind: vec!["requests".to_owned(), "get".to_owned()],
            count: 30 * scale,
            leaf: 0,
        };
        for proxy in self.proxies {
            let sent = self.traffic.send(&proxy.target, &load);
            sent.map_err(|failure| format!("{}: {failure}", proxy.name))?;
        }
        Ok(())
    }

    /// One measure of every server.
    fn round(&self, measure: &Measure, round: usize, figures: &mut Figures) -> Outcome {
        let load = measure.load(round);
        for proxy in self
            .proxies
            .iter()
            .filter(|proxy| proxy.takes(measure.name))
        {
            let process = proxy.server.process();
            let before = cpu_seconds_of_family(process)?;
            self.send(proxy, measure.name, &load)?;
            let used = cpu_seconds_of_family(process)? - before;
            let each = used * 1e6 / as_number(load.count);
            figures.add(proxy.name, measure.name, "CPU us", each);
        }
        Ok(())
    }

    /// The latency of every server, and of the upstream itself, in parts; each begins with another one.
    fn latency(&self, load: &Load, round: usize, latencies: &mut Latencies) -> Outcome {
        let mut plain = load.clone();
        plain.kind.push("--plain".to_owned());
        let upstream = Target {
            address: self.upstream.address,
            key: "not-checked".to_owned(),
        };
        let proxies = self.proxies.iter().filter(|proxy| proxy.takes(P50));
        let mut subjects: Vec<Option<&Proxy>> = proxies.map(Some).chain([None]).collect();
        for part in 0..PARTS {
            for subject in &subjects {
                let answered = match subject {
                    Some(proxy) => self.send(proxy, P50, load)?,
                    None => self.traffic.send(&upstream, &plain)?,
                };
                let server = subject.map(|proxy| proxy.name);
                latencies.add(server, round, answered.took_ns);
            }
            // Every other time the other way round.
            if part % 2 == 0 {
                subjects.reverse();
            } else {
                subjects.reverse();
                subjects.rotate_left(1);
            }
        }
        Ok(())
    }

    fn send(&self, proxy: &Proxy, what: &str, load: &Load) -> Outcome<Answered> {
        let sent = self.traffic.send(&proxy.target, load);
        sent.map_err(|failure| format!("{}, {what}: {failure}", proxy.name).into())
    }
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn finish(arguments: &Arguments, figures: &Figures) -> Outcome {
    let rows: Vec<Figure> = figures.medians();
    say("\nmedians; the ratio to the best of the others in parentheses");
    figures::print(&rows);
    let goals = if arguments.measuring.quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
        Vec::new()
    } else {
        figures::goals(&rows)
    };
    report::print_goals(&goals);
    if let Some(file) = &arguments.measuring.json {
        let report = json!({ "quick": arguments.measuring.quick, "results": rows, "goals": goals });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
