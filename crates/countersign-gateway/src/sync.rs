//! Keeping what is enforced true to the control plane: pull on the signal and on a timer, compile
//! beside, swap in one step, wait until every thread has judged its live streams again, and only
//! then report the new revision. The last good bundle stays on disk for a start without the
//! control plane.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_client::Client;
use countersign_types::bundle::{Bundle, OrganizationBundle};
use metrics::gauge;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};

use crate::{identify::Snapshot, shared::Shared};

/// How long the control plane may hold a request open. It is also the timer: whatever signal was
/// lost, the bundle is read again after so long.
const WAIT: Duration = Duration::from_secs(20);
/// Between failed attempts: from this, doubling, to that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the threads may take to judge their live streams again before it is reported anyhow.
const ENFORCE_LIMIT: Duration = Duration::from_secs(5);

/// The last good bundle, as it stands on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    revision: u64,
    heard_at: u64,
    organizations: Vec<OrganizationBundle>,
}

/// Pulls bundles for one gateway.
pub(crate) struct Sync {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    /// Tells the threads that the snapshot changed.
    pub(crate) changed: watch::Sender<u64>,
    /// Tells who waits for the start that the control plane has answered.
    pub(crate) fresh: watch::Sender<bool>,
}

impl Sync {
    /// Pulls for ever.
    pub(crate) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut wait = Duration::ZERO;
        loop {
            match self.pull(wait).await {
                Ok(()) => {
                    self.fresh
                        .send_if_modified(|fresh| !std::mem::replace(fresh, true));
                    (pause, wait) = (FIRST_PAUSE, WAIT);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot pull the bundle; what was pulled last stays in force");
                    tokio::time::sleep(pause).await;
                    (pause, wait) = ((2 * pause).min(LONGEST_PAUSE), Duration::ZERO);
                }
            }
        }
    }

    async fn pull(&self, wait: Duration) -> Result<(), countersign_client::Error> {
        let enforced = self.shared.snapshot.load().revision;
        // A bundle from disk may be of another deployment: the first pull asks for everything.
        let first = self.shared.heard_at.load(Ordering::Acquire) == 0 || wait.is_zero();
        let after = if first { 0 } else { enforced };
        let name = self.shared.options.name.clone().unwrap_or_default();
        let reader = (&self.shared.id, name.as_str());
        let bundle = self
            .client
            .countersign()
            .bundle(reader, after, wait)
            .await?
            .value;
        if bundle.revision < after {
            // A restored backup: nothing known is certain any more, until all was pulled anew.
            self.shared.heard_at.store(0, Ordering::Release);
            self.changed.send_replace(0);
            return Ok(());
        }
        self.enforce(bundle).await;
        Ok(())
    }

    /// Only once something is enforced does a gateway without any bundle count as having heard:
    /// until then requests are told to try again, not that their key is unknown.
    fn heard(&self) {
        let now = self.shared.now();
        self.shared.heard_at.store(now, Ordering::Release);
        let file = heard_file(&self.shared.options.data_dir);
        if let Err(error) = write_whole(&file, now.to_string().as_bytes()) {
            tracing::error!(%error, "cannot keep the time of the last contact on disk");
        }
    }

    async fn enforce(&self, bundle: Bundle) {
        let before = self.shared.snapshot.load_full();
        if bundle.revision == before.revision && bundle.organizations.is_empty() && !bundle.complete
        {
            self.heard();
            return;
        }
        let next = Arc::new(before.after(bundle.revision, bundle.complete, bundle.organizations));
        self.shared.snapshot.store(Arc::clone(&next));
        self.heard();
        self.changed.send_replace(next.revision);
        if timeout(ENFORCE_LIMIT, self.enforced(next.revision))
            .await
            .is_err()
        {
            tracing::error!(
                revision = next.revision,
                "a thread is slow to enforce a change"
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_revision").set(next.revision as f64);
        if let Err(error) = self.keep(&next) {
            tracing::error!(%error, "cannot keep the bundle on disk");
        }
    }

    /// Ready once every thread has judged its live streams under a revision.
    async fn enforced(&self, revision: u64) {
        loop {
            let changed = self.shared.enforced_changed.notified();
            let behind = |thread: &AtomicU64| thread.load(Ordering::Acquire) < revision;
            if !self.shared.enforced.iter().any(behind) {
                return;
            }
            changed.await;
        }
    }

    fn keep(&self, snapshot: &Snapshot) -> io::Result<()> {
        let kept = Kept {
            revision: snapshot.revision,
            heard_at: self.shared.heard_at.load(Ordering::Acquire),
            organizations: snapshot.bundles(),
        };
        write_whole(
            &bundle_file(&self.shared.options.data_dir),
            &serde_json::to_vec(&kept)?,
        )
    }
}

fn bundle_file(data_dir: &Path) -> PathBuf {
    data_dir.join("bundle.json")
}

/// When the control plane last answered: apart from the bundle, which is written only when it
/// changes, so that a start without the control plane knows how old the bundle really is.
fn heard_file(data_dir: &Path) -> PathBuf {
    data_dir.join("heard_at")
}

fn last_heard(data_dir: &Path) -> u64 {
    let text = fs::read_to_string(heard_file(data_dir)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Writes a file whole or not at all, readable by its owner alone.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Takes up the last good bundle from disk. Without one, or with one that cannot be read, nothing
/// passes until the control plane answers.
pub(crate) fn start_from_disk(shared: &Shared) {
    let path = bundle_file(&shared.options.data_dir);
    let kept = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<Kept>(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "cannot read the kept bundle");
            return;
        }
    };
    match kept {
        Ok(kept) => {
            let snapshot = Snapshot::default().after(kept.revision, true, kept.organizations);
            shared.snapshot.store(Arc::new(snapshot));
            let heard_at = kept.heard_at.max(last_heard(&shared.options.data_dir));
            shared.heard_at.store(heard_at, Ordering::Release);
        }
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "the kept bundle is broken");
        }
    }
}
