//! `cargo xtask bench`: figures that anyone can measure again.

mod control;
mod dataset;
mod load;
mod peers;
mod reads;
mod report;
mod sampling;
mod server;
mod writes;

use clap::Subcommand;

use crate::process::Outcome;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The control plane: CPU and requests a second, beside a bare handler and Stoplight Prism.
    Control(control::Arguments),
}

pub(crate) fn run(bench: &Bench) -> Outcome {
    match bench {
        Bench::Control(arguments) => control::run(arguments),
    }
}
