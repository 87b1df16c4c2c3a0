//! The log, on standard error: lines for people or JSON for programs. Below a warning, only this
//! project's own events are logged: those of libraries may contain headers, and so secrets. Whoever
//! reads it may stop to: then lines are lost, and nothing else waits.

use std::{
    future::Future,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use countersign_log::LineLog;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{
    calm::Calm,
    config::{LogFormat, LogSettings},
    failure::{CommandResult, Doing},
};

/// How often it is looked whether lines were lost.
const LOST_INTERVAL: Duration = Duration::from_secs(5);

/// The log while it runs. What is logged after it is dropped is lost.
pub(crate) struct Log {
    lines: Arc<LineLog>,
    filter: reload::Handle<Targets, Registry>,
}

impl Log {
    /// What changes which events are logged.
    pub(crate) fn level(&self) -> Level {
        Level(self.filter.clone())
    }

    /// Counts the lines that nobody read in time, and says so once somebody reads again.
    pub(crate) fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let lines = Arc::clone(&self.lines);
        async move {
            let mut ticks = tokio::time::interval(LOST_INTERVAL);
            loop {
                ticks.tick().await;
                let lost = lines.progress().lost;
                metrics::counter!("countersign_log_lines_lost_total").increment(lost);
                if lost > 0 {
                    tracing::warn!(
                        lost,
                        "lines of this log were lost: nobody read them in time"
                    );
                }
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.lines.finish();
    }
}

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
pub(crate) fn start(settings: LogSettings) -> CommandResult<Log> {
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    start_with(settings.level, json)
}

/// Starts the log of `dev`: a line for each request, and warnings.
pub(crate) fn start_calm() -> CommandResult<Log> {
    let format = fmt::format().with_target(false).with_ansi(has_colours());
    start_layer(LevelFilter::INFO, |lines| {
        fmt::layer()
            .with_writer(lines)
            .event_format(Calm(format))
            .boxed()
    })
}

/// Starts the log.
pub(crate) fn start_with(level: LevelFilter, json: bool) -> CommandResult<Log> {
    start_layer(level, |lines| {
        let layer = fmt::layer().with_writer(lines);
        if json {
            layer.json().flatten_event(true).boxed()
        } else {
            layer.with_ansi(has_colours()).with_target(false).boxed()
        }
    })
}

fn start_layer(
    level: LevelFilter,
    layer: impl FnOnce(Arc<LineLog>) -> Box<dyn Layer<Registry> + Send + Sync>,
) -> CommandResult<Log> {
    let lines = LineLog::to_standard_error().doing("start the log")?;
    let lines = Arc::new(lines);
    let (filter, handle) = reload::Layer::new(targets(level));
    tracing_subscriber::registry()
        .with(layer(Arc::clone(&lines)).with_filter(filter))
        .try_init()
        .doing("start the log")?;
    Ok(Log {
        lines,
        filter: handle,
    })
}

fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level)
}
