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

/// Whether a log of this format is for programs.
pub(crate) fn is_json(format: LogFormat) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    }
}

/// Starts the log as it is configured.
pub(crate) fn start(settings: LogSettings) -> CommandResult<Log> {
    start_layer(settings, |lines| {
        let layer = fmt::layer().with_writer(lines);
        layer.with_ansi(has_colours()).with_target(false).boxed()
    })
}

/// Starts the log of `dev`, which is for people a line for each request, and warnings.
pub(crate) fn start_calm(settings: LogSettings) -> CommandResult<Log> {
    let format = fmt::format().with_target(false).with_ansi(has_colours());
    start_layer(settings, |lines| {
        fmt::layer()
            .with_writer(lines)
            .event_format(Calm(format))
            .boxed()
    })
}

/// Starts the log; the layer is for people.
fn start_layer(
    settings: LogSettings,
    layer: impl FnOnce(Arc<LineLog>) -> Box<dyn Layer<Registry> + Send + Sync>,
) -> CommandResult<Log> {
    let lines = LineLog::to_standard_error().doing("start the log")?;
    let lines = Arc::new(lines);
    let (filter, handle) = reload::Layer::new(targets(settings.level));
    let layer = if is_json(settings.format) {
        let lines = Arc::clone(&lines);
        let json = fmt::layer().with_writer(lines).json();
        json.flatten_event(true).boxed()
    } else {
        layer(Arc::clone(&lines))
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
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
