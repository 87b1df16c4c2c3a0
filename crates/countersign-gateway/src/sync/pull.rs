//! Pulling bundles: on the control plane's signal and on a timer; compile beside what is enforced,
//! swap in one step, wait until every thread has judged its live streams again, and only then
//! report the new revision.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use countersign_client::{BundleReader, Client};
use countersign_types::{bundle::Bundle, history::HistoryPoint};
use metrics::gauge;
use tokio::{sync::watch, time::timeout};

use super::stored::{store_bundle, store_last_contact};
use crate::shared::Shared;

/// How long the control plane may hold a request open. It is also the timer: whatever signal was
/// lost, the bundle is read again after so long.
const WAIT: Duration = Duration::from_secs(20);
/// How long to wait between failed attempts: from this, doubling, to that; and up to twice as long,
/// at random, so that gateways do not all retry at the same time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the threads may take to judge their live streams again before the revision is reported
/// all the same.
const ENFORCE_LIMIT: Duration = Duration::from_secs(5);

/// Pulls bundles for one gateway.
pub(crate) struct Sync {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    /// Tells the threads that the snapshot changed.
    pub(crate) changed: watch::Sender<u64>,
    /// Tells those who wait for the start that the control plane has answered.
    pub(crate) ready: watch::Sender<bool>,
    /// Makes the waits between failed attempts this gateway's own.
    pub(crate) jitter_seed: u64,
}

impl Sync {
    /// Pulls until it is dropped.
    pub(crate) async fn run(self) {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(self.jitter_seed);
        let mut pauses = backoff.build();
        let mut wait = Duration::ZERO;
        loop {
            match self.pull(wait).await {
                Ok(()) => {
                    self.ready
                        .send_if_modified(|ready| !std::mem::replace(ready, true));
                    (pauses, wait) = (backoff.build(), WAIT);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot pull the bundle; the last one stays in force");
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                    wait = Duration::ZERO;
                }
            }
        }
    }

    async fn pull(&self, wait: Duration) -> Result<(), countersign_client::Error> {
        let enforced = self.shared.snapshot.load().revision;
        // A bundle from disk may be of another deployment: the first pull asks for everything.
        let first = self.shared.last_contact.load(Ordering::Acquire) == 0 || wait.is_zero();
        let after = if first { 0 } else { enforced };
        let point = HistoryPoint {
            revision: after,
            ..HistoryPoint::START
        };
        let reader = BundleReader {
            gateway: self.shared.id.clone(),
            name: self.shared.options.name.clone().unwrap_or_default(),
            durable: true,
        };
        let bundle = self
            .client
            .countersign()
            .bundle(Some(&reader), point, wait)
            .await?
            .value;
        if bundle.revision < after {
            // The control plane went back to a backup. Nothing that is known is certain any more:
            // nothing passes until everything was pulled again.
            self.shared.last_contact.store(0, Ordering::Release);
            self.changed.send_replace(0);
            return Ok(());
        }
        self.enforce(bundle).await;
        Ok(())
    }

    /// Called only once the bundle is enforced. Until then, requests to a gateway without a bundle
    /// are told to try again, and not that their key is unknown.
    fn note_contact(&self) {
        let now = self.shared.now();
        self.shared.last_contact.store(now, Ordering::Release);
        if let Err(error) = store_last_contact(&self.shared.options.data_dir, now) {
            tracing::error!(%error, "cannot store the time of the last contact");
        }
    }

    async fn enforce(&self, bundle: Bundle) {
        let before = self.shared.snapshot.load_full();
        if bundle.revision == before.revision && bundle.organizations.is_empty() && !bundle.complete
        {
            self.note_contact();
            return;
        }
        let next = Arc::new(before.after(bundle.revision, bundle.complete, bundle.organizations));
        self.shared.snapshot.store(Arc::clone(&next));
        self.note_contact();
        self.changed.send_replace(next.revision);
        if timeout(ENFORCE_LIMIT, self.enforced(next.revision))
            .await
            .is_err()
        {
            tracing::error!(
                revision = next.revision,
                "a thread takes too long to enforce a change"
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_revision").set(next.revision as f64);
        if let Err(error) = store_bundle(&self.shared, &next) {
            tracing::error!(%error, "cannot store the bundle");
        }
    }

    /// Ready once every thread has judged its live streams under a revision.
    async fn enforced(&self, revision: u64) {
        loop {
            // Before the look at the threads: what changes after it wakes this up.
            let changed = self.shared.enforced_changed.notified();
            let behind = |thread: &AtomicU64| thread.load(Ordering::Acquire) < revision;
            if !self.shared.enforced.iter().any(behind) {
                return;
            }
            changed.await;
        }
    }
}
