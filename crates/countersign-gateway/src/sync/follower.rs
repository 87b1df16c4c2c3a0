//! What a gateway does by itself about what the machine says: it puts changes in force, notes contact and
//! tells the operator. What needs a network, a disk or time is left to whoever drives it.

use std::{sync::Arc, time::Duration};

use countersign_types::id::OrganizationId;
use metrics::{counter, gauge};
use tokio::sync::watch;

use super::{
    disk::{Job, Written},
    machine::Machine,
    messages::{Change, Event, Input, Moment, Output, Pull, Start},
    state_file::StateFile,
};
use crate::{caller::snapshot::Snapshot, shared::Shared};

/// What is left to whoever drives it.
#[derive(Debug)]
pub enum Task {
    /// Send this pull. It takes the place of those that are under way, but for one that it names.
    Pull(Pull),
    /// Ask for the digests; for the page of them after this organization.
    AskDigests(Option<OrganizationId>),
    /// Ask for these organizations.
    Fetch(Vec<OrganizationId>),
    /// Make new connections for what is sent from now on.
    Reconnect,
    /// Write this to disk.
    Store(Job),
}

/// The machine, and what it decides about in this process.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    machine: Machine,
    /// Tells the threads which change is in force.
    pub(crate) changed: watch::Sender<u64>,
    /// Tells those who wait for the start that it is over.
    pub(crate) ready: watch::Sender<bool>,
    /// Why the latest write failed.
    disk_trouble: Option<String>,
}

impl Follower {
    /// Puts in force what is on disk, and is ready to go on from there.
    pub(crate) fn start(shared: Arc<Shared>, file: &mut StateFile, seed: u64) -> Self {
        let found = load(file, &shared);
        gauge!("countersign_gateway_contact_lost").set(0.0);
        gauge!("countersign_gateway_durable").set(1.0);
        Self {
            machine: Machine::new(found, seed),
            changed: watch::Sender::new(0),
            ready: watch::Sender::new(false),
            disk_trouble: None,
            shared,
        }
    }

    /// Which change is in force, and whether the start is over, as they change.
    pub(crate) fn subscribe(&self) -> (watch::Receiver<u64>, watch::Receiver<bool>) {
        (self.changed.subscribe(), self.ready.subscribe())
    }

    /// Takes in what happened, and says what is to be done.
    pub(crate) fn on(&mut self, now: Moment, input: Input) -> Vec<Task> {
        self.machine.on(now, input);
        let mut tasks = Vec::new();
        while let Some(output) = self.machine.next_output() {
            match output {
                Output::Pull(pull) => tasks.push(Task::Pull(pull)),
                Output::AskDigests(from) => tasks.push(Task::AskDigests(from)),
                Output::Fetch(ids) => tasks.push(Task::Fetch(ids)),
                Output::Reconnect => tasks.push(Task::Reconnect),
                Output::Enforce(change) => self.enforce(change),
                Output::Contact(at) => self.shared.contact.note(at),
                Output::Store(write) => {
                    let snapshot = self.shared.snapshot.load_full();
                    tasks.push(Task::Store(Job::new(write, snapshot)));
                }
                Output::Tell(event) => self.tell(event),
            }
        }
        tasks
    }

    /// When it wants [`Input::Time`].
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.machine.deadline()
    }

    /// The generation that threads are to enforce, while not all do.
    pub(crate) fn awaited(&self) -> Option<u64> {
        self.machine.awaited()
    }

    /// What became of a write, as the machine is told.
    pub(crate) fn written(&mut self, written: Written) -> Input {
        match written {
            Written::Kept => return Input::Stored(true),
            Written::Removed(why) => {
                tracing::warn!(%why, "cannot write what is in force to disk; the file is removed");
                self.disk_trouble = Some(why);
            }
            Written::Stale(why) => {
                tracing::error!(%why, "the file on disk is out of date: remove it before a restart");
                self.disk_trouble = Some(why);
            }
        }
        Input::Stored(false)
    }

    fn enforce(&self, change: Change) {
        let next = self.shared.snapshot.load().after(
            change.revision,
            change.complete,
            change.changed,
            &change.removed,
        );
        self.shared.snapshot.store(Arc::new(next));
        show_revision(change.revision);
        self.changed.send_replace(change.generation);
    }

    fn tell(&self, event: Event) {
        let contact = &self.shared.contact;
        match event {
            Event::ContactLost => {
                let now = self.shared.now();
                contact.set_lost(Some(now));
                gauge!("countersign_gateway_contact_lost").set(1.0);
                tracing::error!(
                    "contact with the control plane is lost: what it last said stays in force"
                );
            }
            Event::ContactBack(silence) => {
                contact.set_lost(None);
                gauge!("countersign_gateway_contact_lost").set(0.0);
                tracing::info!(
                    after_seconds = silence.as_secs(),
                    "contact with the control plane is back"
                );
            }
            Event::ThreadLate(late) => {
                contact.set_thread_is_late(late);
                if late {
                    tracing::error!(
                        "a thread takes too long to enforce a change: it is not reported"
                    );
                } else {
                    tracing::info!("every thread enforces the latest change again");
                }
            }
            Event::Durable(true) => {
                contact.set_not_durable(None);
                gauge!("countersign_gateway_durable").set(1.0);
                tracing::info!("what is in force would survive a restart again");
            }
            Event::Durable(false) => {
                let why = self.disk_trouble.clone();
                let why = why.unwrap_or_else(|| "the disk is still writing".to_owned());
                gauge!("countersign_gateway_durable").set(0.0);
                tracing::error!(%why, "what is in force would not survive a restart");
                contact.set_not_durable(Some(why));
            }
            Event::Reconciled(ids) => {
                counter!("countersign_gateway_reconciled_organizations_total")
                    .increment(u64::try_from(ids.len()).unwrap_or(u64::MAX));
                tracing::error!(organizations = ?ids, "these organizations were not enforced as they should have been, and are now");
            }
            Event::Started => {
                self.ready.send_replace(true);
            }
        }
    }
}

fn show_revision(revision: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("countersign_gateway_revision").set(revision as f64);
}

/// Puts in force what is on disk. If there is nothing, or it cannot be read, nothing passes until the
/// control plane answers.
fn load(file: &mut StateFile, shared: &Shared) -> Option<Start> {
    let stored = match file.load() {
        Ok(stored) => stored?,
        Err(error) => {
            tracing::error!(%error, path = %file.path().display(), "cannot use the stored bundle: nothing passes until the control plane answers");
            return None;
        }
    };
    let digests = stored.organizations.iter();
    let digests = digests.map(|each| (each.id.clone(), each.digest)).collect();
    let snapshot = Snapshot::default().after(stored.revision, true, stored.organizations, &[]);
    shared.snapshot.store(Arc::new(snapshot));
    show_revision(stored.revision);
    shared.contact.note(stored.contact);
    Some(Start {
        point: stored.point,
        digests,
    })
}
