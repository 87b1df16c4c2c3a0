//! Set-up, tests and benchmarks: `cargo xtask test`, `cargo xtask bench control`.

mod alerts;
mod bench;
mod chart;
mod debian;
mod dist;
mod failover;
mod firing;
mod fuzz;
mod node;
mod pgbouncer;
mod postgres;
mod process;
mod python;
mod self_signed;
mod simulate;
mod suite;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up what the tests and benchmarks need, and runs them.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, with PostgreSQL and the OpenAI Python SDK set up for it.
    Test(suite::Arguments),
    /// Measure.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill the primary of a PostgreSQL cluster under Patroni, again and again.
    Failover(failover::Arguments),
    /// Build the release artefacts: archive, Debian package, container image, their components and sums.
    Dist(dist::Arguments),
    /// Check the alert rules and the metrics with Prometheus's own tool.
    Alerts(alerts::Arguments),
    /// Render the Helm chart with several sets of values, and check it and the `docker compose` file.
    Chart,
    /// Check the systemd units with systemd's own tools, and start a gateway by its socket.
    Units,
    /// Run the fuzz targets for a while each.
    Fuzz(fuzz::Arguments),
    /// Run the simulation of control plane and gateways for many seeds.
    Simulate(simulate::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test(arguments) => suite::run(&arguments),
        Task::Bench(what) => bench::run(&what),
        Task::Failover(arguments) => failover::run(&arguments),
        Task::Alerts(arguments) => alerts::run(&arguments),
        Task::Chart => chart::run(),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Units => units::run(),
        Task::Simulate(arguments) => simulate::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            process::say(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn every_command_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
