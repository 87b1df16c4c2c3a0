//! The `countersign` binary: the command line and the roles it starts.

mod base_url;
mod calm;
mod cli;
mod clock;
mod config;
mod connect;
mod database;
mod dev;
mod failure;
mod file_kind;
mod files;
mod gateway;
mod likely;
mod logs;
mod output;
mod reloading;
mod serve;
mod signals;
mod supervision;
mod telemetry;

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    signals::outlive_early_requests();
    let Err(failure) = cli::Cli::read().run() else {
        return ExitCode::SUCCESS;
    };
    if !failure.is_silent() {
        output::note(&failure.to_string());
    }
    ExitCode::from(failure.exit())
}
