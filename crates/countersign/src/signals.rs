//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use std::future::Future;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::{Doing, Outcome};

/// Exit code of a process that a second signal ended before it was done.
const CUT_SHORT: i32 = 1;

/// Tells when the end was asked for.
#[derive(Clone)]
pub(crate) struct Signals {
    ended: watch::Receiver<bool>,
}

impl Signals {
    /// Listens from now on. Call it within the runtime.
    pub(crate) fn listen() -> Outcome<Self> {
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
            // The sender lives as long as the runtime: an error is an end as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
