//! SIGTERM and SIGINT: the first starts a clean shutdown, the second ends the process at once.

use std::future::Future;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::{CommandResult, Doing};

/// Exit code of a process that a second signal ended during the shutdown.
const CUT_SHORT: i32 = 1;

/// Tells when a shutdown was requested.
#[derive(Clone)]
pub(crate) struct Signals {
    ended: watch::Receiver<bool>,
}

impl Signals {
    /// Listens from now on. Call it within the runtime.
    pub(crate) fn listen() -> CommandResult<Self> {
        let mut terminate = signal(SignalKind::terminate()).doing("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).doing("listen for SIGINT")?;
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            end.send_replace(true);
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(CUT_SHORT);
        });
        Ok(Self { ended })
    }

    /// Waits for the first signal.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // The sender lives as long as the runtime: an error means shutdown as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

/// Blocks this thread until the first signal, for a role that runs on threads of its own.
pub(crate) fn wait_for_end() -> CommandResult {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("start")?
        .block_on(async {
            Signals::listen()?.ended().await;
            Ok(())
        })
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
