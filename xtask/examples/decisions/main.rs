//! The traffic of `cargo xtask bench decisions`: a bare gRPC server that answers every check alike, and an
//! Envoy's questions. A program apart, so that it is optimised although the tasks are not.

#![expect(clippy::print_stdout, reason = "prints what it measured")]

mod echo;
mod load;
mod outcome;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

use outcome::Outcome;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Answer every check alike.
    Echo { address: SocketAddr },
    /// Ask, check the answers, print what it took.
    Load(load::Arguments),
}

/// One thread: it has one core.
fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match Arguments::parse().part {
        Part::Echo { address } => runtime.block_on(echo::serve(address)),
        Part::Load(arguments) => runtime.block_on(load::run(arguments)),
    }
}
