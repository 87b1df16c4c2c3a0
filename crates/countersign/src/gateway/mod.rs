//! The gateway as a role of this binary.

mod file;
mod passed;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use countersign_gateway::{
    Gateway, GatewayControl, Sockets, StartError,
    options::{self, GatewayOptions},
};
use countersign_server::{metrics, store::Sources};
use tracing::level_filters::LevelFilter;

pub(crate) use file::Configured;

use crate::{
    base_url::likely_base_url,
    clock,
    config::{LogFlags, LogFormat, LogSettings, process_env, secret_file},
    failure::{CommandResult, Doing, Failure},
    logs,
    output::note,
    serve::{cannot_listen, tls_failure},
    signals::{Asked, Requests, Signals},
    supervision,
    telemetry::Telemetry,
};

/// Runs a gateway until a signal stops it.
pub(crate) fn run(config: &Path, log_flags: LogFlags) -> CommandResult {
    // Before there are threads.
    let sockets = passed::sockets()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("start")?;
    let requests = {
        let _within = runtime.enter();
        Requests::listen()?
    };
    let configured = Configured::read(config)?;
    let options = configured.options;
    // For its message alone: the gateway reads it itself.
    secret_file(&options.key_file)?;
    if let Some(likely) = likely_base_url(&options.control_plane) {
        note(&format!(
            "warning: `control_plane` is `{}`; should it be `{likely}`?",
            options.control_plane
        ));
    }
    let log = logs::start(log_settings(&options, &log_flags)?)?;
    // After the log, for what it says of itself.
    let mut telemetry = Telemetry::start("countersign-gateway");
    let served = runtime.block_on(async {
        // Before the gateway starts: a signal from then on ends nothing half-way.
        let signals = Signals::listen()?;
        let gateway = start(options, sockets, &mut telemetry)?;
        tokio::spawn(log.watch());
        let admin = gateway.admin_address().map(tracing::field::display);
        tracing::info!(address = %gateway.address(), admin, "gateway listening");
        supervision::ready();
        let control = gateway.control();
        tokio::spawn(supervision::give_signs_of_life(move || control.is_moving()));
        let (ask, asked) = mpsc::channel();
        let reloading = Reloading {
            control: gateway.control(),
            level: log.level(),
            path: config.to_owned(),
            started_with: configured.given,
            log_flags,
        };
        // On a thread of its own: a file may be a pipe, or on a network, and signals are heard all the
        // same.
        thread::spawn(move || asked.into_iter().for_each(|asked| reloading.act(asked)));
        let hand_over = move |asked| {
            // An error means that the thread has panicked, which is in the log.
            let _ = ask.send(asked);
        };
        let ended = signals.ended();
        // Also while it stops: a log is rotated when it is time.
        tokio::spawn(async move { signals.obey(requests, hand_over).await });
        ended.await;
        supervision::stopping();
        tracing::info!("stopping; open requests may finish, a second signal stops at once");
        tokio::time::sleep(gateway.leave()).await;
        // On a thread of its own, so that a second signal is heard.
        tokio::task::spawn_blocking(|| gateway.stop())
            .await
            .doing("stop the gateway")
    });
    telemetry.finish();
    served
}

/// Takes up what an operator has changed.
struct Reloading {
    control: GatewayControl,
    level: logs::Level,
    path: PathBuf,
    started_with: toml::Table,
    log_flags: LogFlags,
}

impl Reloading {
    fn act(&self, asked: Asked) {
        match asked {
            Asked::Reload => {
                supervision::reloading();
                let said = |failure: Failure| failure.message().to_owned();
                let read = reread(&self.path, &self.started_with).and_then(|options| {
                    let settings = log_settings(&options, &self.log_flags).map_err(said)?;
                    Ok((options, settings.level))
                });
                let level = read.as_ref().ok().map(|(_, level)| *level);
                let is_used = self.control.reload(read.map(|(options, _)| options));
                if let Some(level) = level.filter(|_| is_used) {
                    self.level.set(level);
                }
                supervision::ready();
            }
            Asked::Reopen => {
                self.control.reopen_access_log();
            }
        }
    }
}

/// The settings that are taken up when the configuration is read again.
const RELOADED: [&str; 4] = ["routes", "key_file", "control_plane_ca", "log"];

/// Reads the configuration again. What is used only at the start is named if it has changed.
fn reread(path: &Path, started_with: &toml::Table) -> Result<GatewayOptions, String> {
    let said = |failure: Failure| failure.message().to_owned();
    let now = Configured::read(path).map_err(said)?;
    // For its message alone.
    secret_file(&now.options.key_file).map_err(said)?;
    let names: BTreeSet<&String> = now.given.keys().chain(started_with.keys()).collect();
    for name in names {
        if !RELOADED.contains(&name.as_str()) && now.given.get(name) != started_with.get(name) {
            tracing::warn!("`{name}` has changed: it is used from the next start on");
        }
    }
    let format = |given: &toml::Table| given.get("log")?.get("format").cloned();
    if format(&now.given) != format(started_with) {
        tracing::warn!("`log.format` has changed: it is used from the next start on");
    }
    Ok(now.options)
}

/// How this gateway logs: as its file says, where neither environment nor flags say otherwise.
fn log_settings(options: &GatewayOptions, flags: &LogFlags) -> CommandResult<LogSettings> {
    let log = &options.log;
    let settings = LogSettings {
        format: match log.format {
            options::LogFormat::Auto => LogFormat::Auto,
            options::LogFormat::Human => LogFormat::Human,
            options::LogFormat::Json => LogFormat::Json,
        },
        level: match log.level {
            options::LogLevel::Error => LevelFilter::ERROR,
            options::LogLevel::Warn => LevelFilter::WARN,
            options::LogLevel::Info => LevelFilter::INFO,
            options::LogLevel::Debug => LevelFilter::DEBUG,
            options::LogLevel::Trace => LevelFilter::TRACE,
        },
    };
    settings.or_given(&process_env, flags)
}

/// Starts a gateway with this process's clock, randomness, metrics and telemetry.
pub(crate) fn start(
    options: GatewayOptions,
    sockets: Sockets,
    telemetry: &mut Telemetry,
) -> CommandResult<Gateway> {
    // Installed before the gateway starts: measurements before it exists are lost.
    let recorder = metrics::install().doing("set up metrics")?;
    let mut drawn = [[0; 16]; 2];
    (Sources::system().random)(drawn.as_flattened_mut())?;
    let random = drawn.map(u128::from_le_bytes);
    let shown = recorder.clone();
    let render = Arc::new(move || shown.render());
    let clock = Arc::new(clock::unix_seconds);
    let started = Gateway::start(options, sockets, clock, random, render, telemetry.spans());
    let gateway = started.map_err(cannot_start)?;
    let control = gateway.control();
    telemetry.send_figures(Box::new(move || {
        let text = recorder.render() + &control.metrics_text();
        Box::pin(std::future::ready(text))
    }));
    Ok(gateway)
}

/// Why a gateway does not start, and what to do.
fn cannot_start(error: StartError) -> Failure {
    match error {
        StartError::Tls(error) => tls_failure(&error),
        StartError::Listen { address, error } => cannot_listen(
            address,
            "listen` or `admin_listen` in `gateway.toml",
            &error,
        ),
        StartError::Client(error) => error.into(),
        StartError::Options(ref why) if why.contains("relative URL") => Failure::usage(&error)
            .hint("write the URL with its scheme, such as `http://127.0.0.1:8000`"),
        StartError::Options(_) => Failure::usage(&error)
            .hint("docs/gateway-settings.md describes every setting of `gateway.toml`"),
        other => Failure::new(other),
    }
}
