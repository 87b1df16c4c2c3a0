//! `cargo xtask bench`: figures that anyone can measure again.

mod control;
mod dataset;
mod decisions;
mod gateway;
mod load;
mod peers;
mod reads;
mod report;
mod sampling;
mod scale;
pub(crate) mod server;
mod subjects;
mod tokens;
mod verify;
mod writes;

use clap::Subcommand;

use crate::process::Outcome;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The control plane: CPU and requests a second, beside a bare handler and Stoplight Prism.
    Control(control::Arguments),
    /// The decision service: CPU and latency of a decision, beside a bare gRPC server.
    Decisions(gateway::measuring::Measuring),
    /// The gateway: CPU, memory and latency, beside nginx, HAProxy and Envoy.
    Gateway(gateway::Arguments),
    /// A change and a start with very many organizations: time, CPU, memory and bytes written.
    Scale(scale::Arguments),
    /// Tokens: CPU of an exchange, and of a request with a token beside one with a key.
    Tokens(gateway::measuring::Measuring),
    /// Judgement: CPU and signature checks of a verdict, beside the bare signature check.
    Verify(verify::Arguments),
}

pub(crate) fn run(bench: &Bench) -> Outcome {
    match bench {
        Bench::Control(arguments) => control::run(arguments),
        Bench::Decisions(arguments) => decisions::run(arguments),
        Bench::Gateway(arguments) => gateway::run(arguments),
        Bench::Scale(arguments) => scale::run(arguments),
        Bench::Tokens(arguments) => tokens::run(arguments),
        Bench::Verify(arguments) => verify::run(arguments),
    }
}
