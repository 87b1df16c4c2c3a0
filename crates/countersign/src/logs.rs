//! The log, on standard error: lines for people or JSON for programs. Below a warning, only this
//! project's own events are logged: those of libraries may contain headers, and so secrets.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{
    calm::Calm,
    config::{LogFormat, LogSettings},
    failure::{CommandResult, Doing},
};

/// Which events are logged, while the log runs.
pub(crate) struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Logs these events from now on.
    pub(crate) fn set(&self, level: LevelFilter) {
        if let Err(error) = self.0.reload(targets(level)) {
            tracing::error!(%error, "cannot change the log level");
        }
    }
}

/// Starts the log as it is configured.
pub(crate) fn start(settings: LogSettings) -> CommandResult<Level> {
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    start_with(settings.level, json)
}

/// Starts the log of `dev`: a line for each request, and warnings.
pub(crate) fn start_calm() -> CommandResult {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let format = fmt::format().with_target(false).with_ansi(colours);
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .event_format(Calm(format));
    tracing_subscriber::registry()
        .with(lines.with_filter(targets(LevelFilter::INFO)))
        .try_init()
        .doing("start the log")
}

/// Starts the log.
pub(crate) fn start_with(level: LevelFilter, json: bool) -> CommandResult<Level> {
    let (filter, handle) = reload::Layer::new(targets(level));
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
        .doing("start the log")?;
    Ok(Level(handle))
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level)
}
