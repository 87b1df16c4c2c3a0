//! The `countersign` binary: the command line and the roles it starts.

mod cli;
mod clock;
mod config;
mod database;
mod dev;
mod failure;
mod files;
mod gateway;
mod logs;
mod output;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let Err(failure) = cli::Cli::parse().run() else {
        return ExitCode::SUCCESS;
    };
    if !failure.is_silent() {
        output::note(&failure.to_string());
    }
    ExitCode::from(failure.exit())
}
