//! The log, on standard error: lines for people or JSON for programs. Only this project's own
//! events are written below a warning: what libraries tell at finer levels may hold headers.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    config::Effective,
    failure::{Doing, Outcome},
};

/// Starts the log as it is configured.
pub(crate) fn start(effective: &Effective) -> Outcome {
    let level = effective.parsed("log.level").unwrap_or(LevelFilter::INFO);
    let format: Option<String> = effective.parsed("log.format");
    let json = match format.as_deref() {
        Some("json") => true,
        Some("human") => false,
        _ => !io::stderr().is_terminal(),
    };
    start_with(level, json)
}

/// Starts the log.
pub(crate) fn start_with(level: LevelFilter, json: bool) -> Outcome {
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        lines.with_ansi(colours).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .doing("start the log")
}
