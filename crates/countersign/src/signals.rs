//! Signals of the long-running roles. SIGTERM and SIGINT: the first starts a clean shutdown, the second
//! ends the process at once. SIGHUP reloads, SIGUSR1 opens the access log again.

use std::{
    future::Future,
    io::{self, IsTerminal as _},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Interval, interval},
};

use crate::failure::{CommandResult, Doing};

/// Exit code of a process that a second signal ended during the shutdown.
const CUT_SHORT: i32 = 1;

/// How often the terminal is looked for that this was run in.
const TERMINAL_INTERVAL: Duration = Duration::from_secs(5);

/// What an operator asks a running process for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Read configuration and certificates again, and open the logs again.
    Reload,
    /// Open the logs again.
    Reopen,
}

/// Tells when a shutdown was requested.
#[derive(Clone)]
pub(crate) struct Signals {
    end: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl Signals {
    /// Listens from now on. Call it within the runtime.
    pub(crate) fn listen() -> CommandResult<Self> {
        let mut terminate = signal(SignalKind::terminate()).doing("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).doing("listen for SIGINT")?;
        let (end, ended) = watch::channel(false);
        let first = end.clone();
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            first.send_replace(true);
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(CUT_SHORT);
        });
        Ok(Self { end, ended })
    }

    /// Waits for the first signal.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // The sender lives as long as the runtime: an error means shutdown as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Does what the operator asks for, for as long as it is polled. The shutdown begins as well when the
    /// terminal is gone that this was run in.
    pub(crate) async fn obey(&self, mut requests: Requests, mut act: impl FnMut(Asked)) {
        loop {
            match requests.next().await {
                Some(asked) => act(asked),
                None => {
                    self.end.send_replace(true);
                }
            }
        }
    }
}

/// The roles that take requests.
const ROLES: [&str; 2] = ["serve", "gateway"];

/// Lets a role survive signals that ask it for something before it listens for them: without this, a
/// SIGHUP in its first milliseconds ends it. It is called before anything else is done, and what is asked
/// for then is done anyway: everything is read and opened later.
pub(crate) fn outlive_early_requests() {
    let mut words = std::env::args_os().skip(1);
    let is_role = words
        .next()
        .is_some_and(|word| ROLES.iter().any(|role| word == *role));
    // `gateway list` is no role, and no role takes a word.
    let has_verb = words
        .next()
        .is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-"));
    let runtime = (is_role && !has_verb).then(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
    });
    if let Some(Ok(runtime)) = runtime {
        let _within = runtime.enter();
        // Handlers stay when what listens is dropped. Where none can be set, the role says so when it
        // listens.
        drop(Requests::handlers());
    }
}

/// What an operator asks a running process for by signals. A process that does not listen for them is
/// ended by them.
pub(crate) struct Requests {
    hangup: Signal,
    reopen: Signal,
    unused: Signal,
    /// A terminal that is closed sends SIGHUP, too, and whoever ran this in it wants it to end.
    had_terminal: bool,
    /// When the terminal is looked for.
    looks: Interval,
}

impl Requests {
    /// Listens from now on. Call it within the runtime, and before anything is read that can be read
    /// again: what is asked for meanwhile is done later.
    pub(crate) fn listen() -> CommandResult<Self> {
        let [hangup, reopen, unused] = Self::handlers()?;
        Ok(Self {
            hangup,
            reopen,
            unused,
            had_terminal: io::stdin().is_terminal(),
            looks: interval(TERMINAL_INTERVAL),
        })
    }

    fn handlers() -> CommandResult<[Signal; 3]> {
        Ok([
            signal(SignalKind::hangup()).doing("listen for SIGHUP")?,
            signal(SignalKind::user_defined1()).doing("listen for SIGUSR1")?,
            signal(SignalKind::user_defined2()).doing("listen for SIGUSR2")?,
        ])
    }

    /// The next; none once the terminal is gone that this was run in.
    async fn next(&mut self) -> Option<Asked> {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    let terminal_is_gone = self.had_terminal && !io::stdin().is_terminal();
                    return (!terminal_is_gone).then_some(Asked::Reload);
                }
                // A terminal that went away without a signal is no reason to end at the next one.
                _ = self.looks.tick(), if self.had_terminal => {
                    self.had_terminal = io::stdin().is_terminal();
                }
                _ = self.reopen.recv() => return Some(Asked::Reopen),
                _ = self.unused.recv() => {
                    tracing::warn!("SIGUSR2 has no meaning here; SIGHUP reloads, SIGUSR1 opens the logs again");
                }
            }
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
