//! The traffic of `cargo xtask bench gateway`: certificates, the upstream and the load. A program
//! apart, so that it is optimised although the tasks are not.

#![expect(clippy::print_stdout, reason = "prints what it measured")]

mod answer;
mod certificates;
mod client;
mod exchanges;
mod load;
mod outcome;
mod upstream;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use outcome::Outcome;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Mint a client CA, leaves under it and a server certificate.
    Mint { directory: PathBuf, leaves: usize },
    /// Answer requests.
    Upstream { address: std::net::SocketAddr },
    /// Send requests, check the answers, print what it took.
    Load(load::Arguments),
    /// Exchange certificates for tokens, and print one of them.
    Exchanges(exchanges::Arguments),
}

/// One thread: it has one core.
fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match Arguments::parse().part {
        Part::Mint { directory, leaves } => certificates::mint(&directory, leaves),
        Part::Upstream { address } => runtime.block_on(upstream::serve(address)),
        Part::Load(arguments) => {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, load::run(&arguments))
        }
        Part::Exchanges(arguments) => {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, exchanges::run(&arguments))
        }
    }
}
