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
pub(crate) enum Written {
    /// It is on disk.
    Kept,
    /// It is not stored, and what was there before is gone; why.
    Removed(String),
    /// It is not stored, and what was there before could not be removed; why.
    Stale(String),
}

/// A write, with what was in force when it was asked for.
#[derive(Debug)]
pub struct Job {
    write: Write,
    snapshot: Arc<Snapshot>,
}

impl Job {
    pub(super) const fn new(write: Write, snapshot: Arc<Snapshot>) -> Self {
        Self { write, snapshot }
    }

    /// What is to be written.
    #[must_use]
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// Writes it.
    pub(crate) fn perform(&self, file: &mut StateFile) -> Written {
        let (write, snapshot) = (&self.write, &self.snapshot);
        let (all, changed, removed): (_, _, &[_]) = match &write.rows {
            Rows::None => {
                if let Err(error) = file.write_contact(write.contact) {
                    tracing::warn!(%error, "cannot write when the control plane last answered");
                }
                return Written::Kept;
            }
            Rows::All => {
                let mut all: Vec<_> = snapshot.organizations().cloned().collect();
                // In the order of the file's own: no page of it is written twice.
                all.sort_unstable_by(|one, other| one.id().cmp(other.id()));
                (true, all, &[])
            }
            Rows::Some { changed, removed } => {
                let organizations = changed.iter().filter_map(|id| snapshot.organization(id));
                (false, organizations.cloned().collect(), removed)
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
}

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
            for job in queue {
                if report.send(job.perform(&mut file)).is_err() {
                    return;
                }
                file.settle();
            }
        };
        thread::Builder::new()
            .name("gateway-disk".to_owned())
            .spawn(work)?;
        Ok(Self { jobs, done })
    }

    /// Writes what is in force.
    pub(super) fn write(&self, job: Job) {
        // The thread ends only with this, or by a panic: then nothing is ever reported as kept.
        let _ = self.jobs.send(job);
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use countersign_types::history::HistoryPoint;

    use super::*;

    /// Notes whether a file is there when it is dropped.
    struct Held(PathBuf, mpsc::Sender<bool>);

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.exists());
        }
    }

    #[tokio::test]
    async fn the_directory_is_let_go_of_after_the_last_write() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path().to_owned());
        let (told, was_there) = mpsc::channel();
        let disk = Disk::start(file, Held(directory.path().join("state.db"), told)).unwrap();
        let write = Write {
            point: HistoryPoint::START,
            contact: 7,
            rows: Rows::All,
        };
        disk.write(Job::new(write, Arc::default()));
        disk.finish().await;
        assert_eq!(was_there.try_recv(), Ok(true));
    }
}
