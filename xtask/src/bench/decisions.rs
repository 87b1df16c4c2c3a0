//! The decision service: CPU and latency of a decision over gRPC, beside a bare gRPC server that answers
//! every check alike, and the gateway's own remembered verdict. Each server on one core, the load on the
//! other; medians over the rounds.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Serialize;
use serde_json::json;

use crate::{
    bench::{
        gateway::{Answered, Countersign, Traffic, measuring::Measuring},
        report::{self, Goal},
        server::{self, Server, cpu_seconds_of_family, free_address},
        verify,
    },
    process::{self, Outcome, say},
};

/// What the load proves itself with.
const SECRET: &str = "the-secret-of-the-benchmark-only-0123456789";

/// Clients of the proxy that asks, each with a certificate of its own.
const LEAVES: usize = 64;

const RATE: u32 = 2_000;

/// What was measured of one server.
#[derive(Default, Serialize)]
struct Figures {
    cpu_us: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
}

/// The program that asks, and whom.
struct Asking<'a> {
    program: &'a Path,
    directory: &'a Path,
    key: String,
}

pub(crate) fn run(arguments: &Measuring) -> Outcome {
    let program = arguments.program()?;
    let traffic_program = build(arguments.quick)?;
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(process::target_directory())?;
    let own = verify::remembered(arguments.quick)?;
    server::raise_file_limit()?;
    server::pin_load()?;
    let traffic = Traffic::prepare(arguments.quick, directory.path(), LEAVES)?;
    let upstream = traffic.upstream()?;
    let countersign = Countersign::prepare(program, directory.path(), "decisions")?;
    let door = free_address()?;
    let decisions = decisions(directory.path(), door)?;
    let gateway = countersign.start_with(&traffic, upstream.address, "Countersign", &decisions)?;
    let echo_address = free_address()?;
    let mut echo = Command::new(&traffic_program);
    let echo = Server::start(echo.arg("echo").arg(echo_address.to_string()), echo_address)?;
    let asking = Asking {
        program: &traffic_program,
        directory: directory.path(),
        key: gateway.target.key.clone(),
    };
    let servers = [
        (&gateway.server, door, "Countersign"),
        (&echo, echo_address, "bare gRPC"),
    ];
    let figures = asking.measure(&servers, arguments)?;
    finish(arguments, own, &figures)
}

/// Builds the traffic.
fn build(quick: bool) -> Outcome<PathBuf> {
    let (profile, built) = if quick {
        ("dev", "debug")
    } else {
        ("dist", "dist")
    };
    let what = ["build", "--package", "xtask", "--example", "decisions"];
    process::run(process::cargo().args(what).args(["--profile", profile]))?;
    Ok(process::target_directory()
        .join(built)
        .join("examples/decisions"))
}

/// The gateway's listener for the load.
fn decisions(directory: &Path, door: SocketAddr) -> Outcome<String> {
    let secret = directory.join("proxy.secret");
    fs::write(&secret, SECRET)?;
    let file = json!(secret);
    Ok(format!(
        "\n[[decisions]]\nlisten = \"{door}\"\nprotocol = \"envoy_grpc\"\ncertificate = \"xfcc_text\"\n\
         asked_by = {{ secret = {{ file = {file} }} }}\n"
    ))
}

impl Asking<'_> {
    fn send(&self, address: SocketAddr, count: usize, rate: Option<u32>) -> Outcome<Answered> {
        let mut command = Command::new(self.program);
        command
            .args(["load", "--address", &address.to_string()])
            .arg("--directory")
            .arg(self.directory)
            .args(["--key", &self.key, "--secret", SECRET])
            .args(["--count", &count.to_string()]);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let answered: Answered = serde_json::from_str(&process::read(&mut command)?)?;
        if answered.answers == count {
            return Ok(answered);
        }
        Err(format!("{} answers to {count} questions", answered.answers).into())
    }

    /// Every server once per round, so that what disturbs the machine disturbs all alike.
    fn measure(
        &self,
        servers: &[(&Server, SocketAddr, &str); 2],
        arguments: &Measuring,
    ) -> Outcome<[Figures; 2]> {
        let (rounds, count) = if arguments.quick {
            (1, 200)
        } else {
            (arguments.rounds, 40_000)
        };
        let mut figures = [Figures::default(), Figures::default()];
        for (_, address, _) in servers {
            self.send(*address, count / 4, None)?;
        }
        for round in 0..rounds {
            say(&format!("round {} of {rounds}", round + 1));
            for ((server, address, _), figures) in servers.iter().zip(&mut figures) {
                let before = cpu_seconds_of_family(server.process())?;
                self.send(*address, count, None)?;
                let used = cpu_seconds_of_family(server.process())? - before;
                let each = f64::from(u32::try_from(count)?);
                figures.cpu_us.push(used * 1e6 / each);
                let timed = self.send(*address, count / 2, Some(RATE))?;
                let times = timed.quantile_us(50).zip(timed.quantile_us(99));
                let (p50, p99) = times.ok_or("the load reported no times")?;
                figures.p50_us.push(p50);
                figures.p99_us.push(p99);
            }
        }
        Ok(figures)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn finish(arguments: &Measuring, own: f64, [gateway, echo]: &[Figures; 2]) -> Outcome {
    say(&format!(
        "\n{:<14} {:>10} {:>12} {:>12}",
        "server", "CPU us", "p50 us", "p99 us"
    ));
    for (name, figures) in [("Countersign", gateway), ("bare gRPC", echo)] {
        say(&format!(
            "{name:<14} {:>10.1} {:>12.0} {:>12.0}",
            median(&figures.cpu_us),
            median(&figures.p50_us),
            median(&figures.p99_us)
        ));
    }
    say(&format!("a remembered verdict by itself: {own:.2} us"));
    let ratio = median(&gateway.cpu_us) / (own + median(&echo.cpu_us));
    let added = (median(&gateway.p99_us) - median(&echo.p99_us)) / 1e3;
    let goals = [
        Goal::at_most(
            "CPU of a decision by that of verdict and bare gRPC",
            ratio,
            1.5,
        ),
        Goal::at_most(
            "ms that it adds at the 99th percentile, at 2,000 a second",
            added,
            1.0,
        ),
    ];
    if arguments.quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
    } else {
        report::print_goals(&goals);
    }
    if let Some(file) = &arguments.json {
        let report = json!({
            "quick": arguments.quick, "verdict_us": own, "gateway": gateway, "echo": echo, "goals": goals
        });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
