//! `countersign connect`: a local forwarder that adds a client certificate, and a key if asked, to the
//! requests of tools that cannot (docs/connect.md).

mod ca_files;
mod check;
mod entrance;
mod host_flags;
mod identity;
mod program;
mod ready;
mod server_flags;
mod variables;
mod watching;

use std::{ffi::OsString, net::SocketAddr, path::Path, sync::Arc};

use clap::Args;
use countersign_connect::{ApiKey, Forwarder, Mode, Options, Server, Via, serve_metrics};
use countersign_server::metrics;
use tracing::level_filters::LevelFilter;

use self::{
    ca_files::{CaFiles, cannot_vouch},
    entrance::{Entrance, EntranceFlags},
    host_flags::HostFlags,
    identity::Identity,
    ready::Ready,
    server_flags::ServerFlags,
    watching::Watched,
};
use crate::{
    clock,
    config::{LogFlags, LogFormat, LogSettings, listen_address, process_env},
    failure::{CommandResult, Doing, Failure},
    logs,
    output::{Output, note},
    serve,
    signals::{Requests, Signals},
    supervision,
};

#[derive(Args)]
pub(crate) struct Connect {
    /// URL of the server, such as `https://api.example.com/v1` [env: COUNTERSIGN_GATEWAY_URL]
    #[arg(value_name = "URL", conflicts_with = "proxy")]
    url: Option<String>,
    /// Run a program with the variables set that lead it here, and end as it does: `--exec -- PROGRAM`
    #[arg(long, requires = "program")]
    exec: bool,
    /// The program and its arguments
    #[arg(last = true, requires = "exec", value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// Ask the server whether certificate and key would pass, say so, and end
    #[arg(long, conflicts_with = "exec")]
    check: bool,
    /// Say every request, without its body, its headers and its query; refusals are always said
    #[arg(long)]
    log: bool,
    /// Address to serve metrics for Prometheus on
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    entrance: EntranceFlags,
    #[command(flatten)]
    hosts: HostFlags,
}

impl Connect {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let usual = LogSettings {
            // For whoever sits before it, also where a program's output goes to a file.
            format: LogFormat::Human,
            level: if self.log {
                LevelFilter::INFO
            } else {
                LevelFilter::WARN
            },
        };
        let settings = usual.or_given(&process_env, &LogFlags::default())?;
        let _log = logs::start_calm(settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing("start")?;
        let ended = runtime.block_on(self.start(output));
        // Connections that are still open end here: nobody waits for them.
        runtime.shutdown_background();
        ended
    }

    async fn start(self, output: Output) -> CommandResult {
        // The recorder comes first: measurements before it exists are lost.
        let recorder = self.metrics.is_some().then(metrics::install);
        let recorder = recorder.transpose().doing("set up metrics")?;
        let base = self.hosts.base(self.url.as_deref())?;
        let servers = self.server.servers(&base, &self.hosts)?;
        let identities = Identity::of_all(&servers)?;
        let key = self.server.key(self.check)?;
        let via = self.server.via()?;
        let opened = server_flags::open(&servers, &via)?;
        if self.check {
            return check::run(&opened, &base, key, &identities, output).await;
        }
        self.entrance.check(self.hosts.is_proxy())?;
        let entrance = self.entrance.open(self.exec).await?;
        let ca = self.hosts.ca_files(&opened)?;
        let mode = self.mode(&opened, &entrance, ca.as_ref(), via)?;
        let forwarder = forwarder(mode, &entrance, key)?;
        if let (Some(recorder), Some(address)) = (recorder, self.metrics) {
            let listener = serve::bind(address, "--metrics").await?;
            let render = Arc::new(move || recorder.render());
            tokio::spawn(serve_metrics(listener, render));
        }
        let ready = Ready {
            base,
            opened,
            address: entrance.address.clone(),
            token: entrance.token.clone(),
            ca,
            sets_key: forwarder.sets_key(),
            extra: self.entrance.base_url_variable.clone(),
        };
        let watched = Watched {
            forwarder: forwarder.clone(),
            identities,
        };
        let served = {
            let forwarder = forwarder.clone();
            let listener = entrance.listener;
            tokio::spawn(async move { forwarder.serve(listener).await })
        };
        if self.exec {
            return run_program(&self.program, &ready, watched, output).await;
        }
        let written = self.entrance.env_file.as_deref();
        ready.write(written)?;
        let ended = stay(&ready, watched, written, output).await;
        forwarder.stop().await;
        // The listener goes with it, and its socket's file.
        served.await.doing("stop listening")?;
        ready.forget(written)?;
        ended
    }

    fn mode(
        &self,
        opened: &[Arc<Server>],
        entrance: &Entrance,
        ca: Option<&CaFiles>,
        via: Via,
    ) -> CommandResult<Mode> {
        if let Some(ca) = ca {
            return Ok(Mode::Proxy {
                servers: opened.to_vec(),
                ca: Arc::clone(&ca.ca),
                others: self.hosts.tunnels_to_others(entrance.token.is_some()),
                via: Arc::new(via),
            });
        }
        let server = opened.first();
        Ok(Mode::BaseUrl {
            server: Arc::clone(server.ok_or_else(|| Failure::usage("no server"))?),
            hosts: entrance.hosts.clone(),
        })
    }
}

fn forwarder(mode: Mode, entrance: &Entrance, key: Option<ApiKey>) -> CommandResult<Forwarder> {
    let options = Options {
        mode,
        token: entrance.token.clone(),
        key,
        clock: clock::now,
    };
    Forwarder::new(options).map_err(|error| cannot_vouch(&error))
}

/// Serves until a signal comes.
async fn stay(
    ready: &Ready,
    watched: Watched,
    written: Option<&Path>,
    output: Output,
) -> CommandResult {
    let signals = Signals::listen()?;
    let requests = Requests::listen()?;
    output.text(&ready.text(&watched.identities, written))?;
    supervision::ready();
    let watching = tokio::spawn(watched.watch());
    let ended = signals.ended();
    // Files are looked at every second, so a request to read them again has nothing to add.
    tokio::spawn(async move { signals.obey(requests, |_| {}).await });
    ended.await;
    watching.abort();
    supervision::stopping();
    Ok(())
}

/// Runs the program until it ends.
async fn run_program(
    program: &[OsString],
    ready: &Ready,
    watched: Watched,
    output: Output,
) -> CommandResult {
    // Not on standard output, which is the program's.
    for identity in watched.identities.iter().filter(|_| !output.is_quiet()) {
        note(&format!("countersign connect: {}", identity.sentence()));
    }
    let variables = ready.variables();
    tokio::spawn(watched.watch());
    match program::run(program, &variables).await? {
        0 => Ok(()),
        code => Err(Failure::quiet(code)),
    }
}
