//! The last good bundle on disk, for a start without the control plane.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use countersign_types::{UnixSeconds, bundle::OrganizationBundle};
use serde::{Deserialize, Serialize};

use crate::{caller::snapshot::Snapshot, shared::Shared};

#[derive(Serialize, Deserialize)]
struct StoredBundle {
    revision: u64,
    last_contact: UnixSeconds,
    organizations: Vec<OrganizationBundle>,
}

/// Stores what is enforced.
pub(crate) fn store_bundle(shared: &Shared, snapshot: &Snapshot) -> io::Result<()> {
    let stored = StoredBundle {
        revision: snapshot.revision,
        last_contact: shared.last_contact.load(Ordering::Acquire),
        organizations: snapshot.bundles(),
    };
    write_whole(
        &bundle_file(&shared.options.data_dir),
        &serde_json::to_vec(&stored)?,
    )
}

/// Stores when the control plane last answered. It has a file of its own because the bundle is
/// written only when it changes: a start without the control plane must know how old it really is.
pub(crate) fn store_last_contact(data_dir: &Path, at: UnixSeconds) -> io::Result<()> {
    write_whole(&last_contact_file(data_dir), at.to_string().as_bytes())
}

/// Enforces the stored bundle. If there is none, or it cannot be read, nothing passes until the
/// control plane answers.
pub(crate) fn load_bundle(shared: &Shared) {
    let data_dir = &shared.options.data_dir;
    let path = bundle_file(data_dir);
    let stored = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<StoredBundle>(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "cannot read the stored bundle");
            return;
        }
    };
    match stored {
        Ok(stored) => {
            let snapshot = Snapshot::default().after(stored.revision, true, stored.organizations);
            shared.snapshot.store(Arc::new(snapshot));
            let last_contact = stored.last_contact.max(read_last_contact(data_dir));
            shared.last_contact.store(last_contact, Ordering::Release);
        }
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "the stored bundle is damaged");
        }
    }
}

fn bundle_file(data_dir: &Path) -> PathBuf {
    data_dir.join("bundle.json")
}

fn last_contact_file(data_dir: &Path) -> PathBuf {
    data_dir.join("last_contact")
}

/// 0, which is never, if it is not there or not a number: the bundle's own time counts then.
fn read_last_contact(data_dir: &Path) -> UnixSeconds {
    let text = fs::read_to_string(last_contact_file(data_dir)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Writes a file whole or not at all, readable by its owner alone.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    // Before the rename: after a power cut, the name must not stand for an empty file.
    file.sync_all()?;
    fs::rename(&temporary, path)
}
