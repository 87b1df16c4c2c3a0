//! Writes at both control planes, and which of them were acknowledged.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_client::Client;
use tokio::{
    task::JoinHandle,
    time::{interval, timeout},
};

use super::{LIMIT, load::lock, scene::project};

const PAUSE: Duration = Duration::from_millis(20);

/// Projects that are created one after another.
pub(super) struct Writing {
    acknowledged: Arc<Mutex<Vec<String>>>,
    failed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl Writing {
    /// Each name begins with the round, so that none comes twice.
    pub(super) fn start(round: usize, clients: Vec<Client>) -> Self {
        let mut writing = Self {
            acknowledged: Arc::default(),
            failed: Arc::default(),
            stop: Arc::default(),
            writers: Vec::new(),
        };
        for (number, client) in clients.into_iter().enumerate() {
            let (acknowledged, failed) = (
                Arc::clone(&writing.acknowledged),
                Arc::clone(&writing.failed),
            );
            let stop = Arc::clone(&writing.stop);
            writing.writers.push(tokio::spawn(async move {
                let mut pauses = interval(PAUSE);
                for write in 0_usize.. {
                    pauses.tick().await;
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("{round}-{number}-{write}");
                    match client.projects().create(&project(&name)).await {
                        Ok(_) => lock(&acknowledged).push(name),
                        Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            }));
        }
        writing
    }

    /// Waits until some were acknowledged.
    pub(super) async fn until_some(&self) {
        self.until(|writing| lock(&writing.acknowledged).len() > 10)
            .await;
    }

    /// Waits until every writer was told that a write is not known to be kept.
    pub(super) async fn until_given_up(&self) {
        let (before, writers) = (self.failed.load(Ordering::Relaxed), self.writers.len());
        self.until(|writing| writing.failed.load(Ordering::Relaxed) >= before + writers)
            .await;
    }

    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let waited = async {
            let mut looks = interval(PAUSE);
            while !is_so(self) {
                looks.tick().await;
            }
        };
        timeout(LIMIT, waited).await.expect("writes");
    }

    /// Stops, and says what was acknowledged.
    pub(super) async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
        std::mem::take(&mut *lock(&self.acknowledged))
    }
}
