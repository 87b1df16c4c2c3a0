//! The thread that writes to disk, so that a slow disk holds up nothing else.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::mpsc as tokio_mpsc;

use super::{
    messages::{Rows, Write},
    state_file::{Entry, StateFile},
};
use crate::caller::snapshot::Snapshot;

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It is on disk.
    Kept,
    /// It is not stored, and what was there before is gone; why.
    Removed(String),
    /// It is not stored, and what was there before could not be removed; why.
    Stale(String),
}

type Job = (Write, Arc<Snapshot>);

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Disk {
    jobs: mpsc::Sender<Job>,
    done: tokio_mpsc::UnboundedReceiver<Written>,
}

impl Disk {
    /// Starts it. It ends once this is dropped and the last write is done, and drops `held` then:
    /// until that moment the directory is in use.
    pub(super) fn start(file: StateFile, held: impl Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (report, done) = tokio_mpsc::unbounded_channel();
        let work = move || {
            let (mut file, _held) = (file, held);
            for (write, snapshot) in queue {
                let written = perform(&mut file, &write, &snapshot);
                if report.send(written).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("gateway-disk".to_owned())
            .spawn(work)?;
        Ok(Self { jobs, done })
    }

    /// Writes what is in force.
    pub(super) fn write(&self, write: Write, snapshot: Arc<Snapshot>) {
        // The thread ends only with this, or by a panic: then nothing is ever reported as kept.
        let _ = self.jobs.send((write, snapshot));
    }

    /// Waits for the end of a write.
    pub(super) async fn written(&mut self) -> Written {
        match self.done.recv().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }

    /// Waits for the write under way, then lets go of the directory.
    pub(super) async fn finish(self) {
        let Self { jobs, mut done } = self;
        drop(jobs);
        while done.recv().await.is_some() {}
    }
}

fn perform(file: &mut StateFile, write: &Write, snapshot: &Snapshot) -> Written {
    let (all, changed, removed): (_, _, &[_]) = match &write.rows {
        Rows::None => {
            if let Err(error) = file.write_contact(write.contact) {
                tracing::warn!(%error, "cannot write when the control plane last answered");
            }
            return Written::Kept;
        }
        Rows::All => (true, snapshot.bundles().collect(), &[]),
        Rows::Some { changed, removed } => {
            let bundles = changed.iter().filter_map(|id| snapshot.bundle(id));
            (false, bundles.collect(), removed)
        }
    };
    let entry = Entry {
        point: write.point,
        contact: write.contact,
        all,
        changed,
        removed,
    };
    match file.write(&entry) {
        Ok(()) => Written::Kept,
        Err((error, Ok(()))) => Written::Removed(error.to_string()),
        Err((error, Err(removing))) => {
            Written::Stale(format!("{error}; nor can it be removed: {removing}"))
        }
    }
}
