//! Drives the state machine: sends its requests, puts changes in force, hands writes to the disk's
//! thread, and tells it what came of that.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_client::{BundleReader, Client, Error};
use countersign_types::id::OrganizationId;
use futures_util::future::{BoxFuture, FutureExt as _};
use metrics::{counter, gauge};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    disk::{Disk, Written},
    machine::Machine,
    messages::{Change, Event, Failure, Input, Moment, Output, Pull, Report, Start},
    state_file::StateFile,
};
use crate::{caller::snapshot::Snapshot, shared::Shared};

/// How long a connection to the control plane may be silent, and sent bytes unacknowledged, before
/// it is given up.
pub(crate) const PING: Duration = Duration::from_secs(2);
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How long an answer to anything but a pull may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a stop may cost: the last write, and saying goodbye.
const LAST_WRITE: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(2);

/// Keeps one gateway in line with the control plane.
pub(crate) struct Sync {
    shared: Arc<Shared>,
    client: Client,
    machine: Machine,
    disk: Disk,
    /// Tells the threads which change is in force.
    pub(crate) changed: watch::Sender<u64>,
    /// Tells those who wait for the start that it is over.
    pub(crate) ready: watch::Sender<bool>,
    /// The requests under way.
    requests: Requests,
}

/// The requests under way: at most one pull, and one for the comparison.
#[derive(Default)]
struct Requests {
    pull: Option<BoxFuture<'static, Input>>,
    comparison: Option<BoxFuture<'static, Input>>,
    /// Whether the latest pull failed: then another failure is no news.
    failing: bool,
    /// Why the latest write failed.
    disk_trouble: Option<String>,
}

impl Sync {
    /// Puts in force what is on disk, and is ready to go on from there. `held` is let go of when
    /// nothing writes to the data directory any more.
    pub(crate) fn start(
        shared: Arc<Shared>,
        client: Client,
        held: impl Send + 'static,
        seed: u64,
    ) -> io::Result<Self> {
        let mut file = StateFile::new(shared.options.data_dir.clone());
        let found = load(&mut file, &shared);
        gauge!("countersign_gateway_contact_lost").set(0.0);
        gauge!("countersign_gateway_durable").set(1.0);
        Ok(Self {
            machine: Machine::new(found, seed),
            disk: Disk::start(file, held)?,
            changed: watch::Sender::new(0),
            ready: watch::Sender::new(false),
            requests: Requests::default(),
            shared,
            client,
        })
    }

    /// Works until it is dropped. It may be cancelled at any await.
    pub(crate) async fn run(&mut self) {
        let begun = Instant::now();
        let mut input = Input::Time;
        loop {
            let now = Moment {
                elapsed: begun.elapsed(),
                clock: self.shared.now(),
            };
            self.machine.on(now, input);
            while let Some(output) = self.machine.next_output() {
                self.perform(output);
            }
            let deadline = self.machine.deadline().map(|elapsed| begun + elapsed);
            let awaited = self.machine.awaited();
            input = tokio::select! {
                input = answer(&mut self.requests.pull) => self.requests.note(input),
                input = answer(&mut self.requests.comparison) => input,
                written = self.disk.written() => self.requests.written(written),
                generation = enforced(&self.shared, awaited) => Input::Enforced(generation),
                () = until(deadline) => Input::Time,
            };
        }
    }

    /// The last write ends, and the control plane is told that this gateway enforces nothing any
    /// more.
    pub(crate) async fn finish(self) {
        // Dropped first: a pull that arrives after the goodbye would take it back.
        drop(self.requests);
        if tokio::time::timeout(LAST_WRITE, self.disk.finish())
            .await
            .is_err()
        {
            tracing::warn!("stopped while the disk was still writing what is in force");
        }
        let client = self.client.with_patience(GOODBYE);
        let countersign = client.countersign();
        let goodbye = countersign.forget_gateway(&self.shared.id);
        match tokio::time::timeout(GOODBYE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(%error, "cannot say goodbye to the control plane: it will list this gateway as missing")
            }
            Err(_) => tracing::info!(
                "the control plane did not answer the goodbye: it may list this gateway as missing"
            ),
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Pull(pull) => self.requests.pull = Some(self.pull(pull)),
            Output::AskDigests => self.requests.comparison = Some(ask_digests(&self.client)),
            Output::Fetch(ids) => self.requests.comparison = Some(fetch(&self.client, ids)),
            Output::Reconnect => self.reconnect(),
            Output::Enforce(change) => self.enforce(change),
            Output::Contact(at) => self.shared.contact.note(at),
            Output::Store(write) => self.disk.write(write, self.shared.snapshot.load_full()),
            Output::Tell(event) => self.tell(event),
        }
    }

    fn pull(&self, pull: Pull) -> BoxFuture<'static, Input> {
        let reader = (pull.report != Report::Nothing).then(|| BundleReader {
            gateway: self.shared.id.clone(),
            name: self.shared.options.name.clone().unwrap_or_default(),
            durable: pull.report == Report::Durable,
        });
        let client = self.client.with_patience(pull.patience);
        let failing = self.requests.failing;
        async move {
            let countersign = client.countersign();
            let answer = countersign.bundle(reader.as_ref(), pull.after, pull.wait);
            let error = match answer.await {
                Ok(answer) => return Input::Pulled(answer.value),
                Err(error) => error,
            };
            if failing {
                tracing::debug!(%error, "still cannot pull the bundle");
            } else {
                tracing::warn!(%error, "cannot pull the bundle; the last one stays in force");
            }
            Input::PullFailed(failure(&error))
        }
        .boxed()
    }

    fn reconnect(&mut self) {
        match self.client.reconnected() {
            Ok(client) => self.client = client,
            Err(error) => tracing::error!(%error, "cannot make new connections"),
        }
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
                let why = self.requests.disk_trouble.clone();
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

impl Requests {
    /// Notes whether the pull failed.
    fn note(&mut self, input: Input) -> Input {
        self.failing = matches!(input, Input::PullFailed(_));
        input
    }

    fn written(&mut self, written: Written) -> Input {
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

async fn answer(request: &mut Option<BoxFuture<'static, Input>>) -> Input {
    let Some(under_way) = request else {
        return std::future::pending().await;
    };
    let input = under_way.await;
    *request = None;
    input
}

/// Ready once every thread has judged its live streams under a change.
async fn enforced(shared: &Shared, awaited: Option<u64>) -> u64 {
    let Some(generation) = awaited else {
        return std::future::pending().await;
    };
    loop {
        // Before the look at the threads: what changes after it wakes this up.
        let changed = shared.enforced_changed.notified();
        let behind = |thread: &AtomicU64| thread.load(Ordering::Acquire) < generation;
        if !shared.enforced.iter().any(behind) {
            return generation;
        }
        changed.await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ask_digests(client: &Client) -> BoxFuture<'static, Input> {
    let client = client.with_patience(PATIENCE);
    async move {
        match client.countersign().bundle_digests().await {
            Ok(digests) => Input::Digests(digests.value),
            Err(error) => comparison_failed(&error),
        }
    }
    .boxed()
}

fn fetch(client: &Client, ids: Vec<OrganizationId>) -> BoxFuture<'static, Input> {
    let client = client.with_patience(PATIENCE);
    async move {
        match client.countersign().organization_bundles(&ids).await {
            Ok(answer) => Input::Fetched(answer.value),
            Err(error) => comparison_failed(&error),
        }
    }
    .boxed()
}

fn comparison_failed(error: &Error) -> Input {
    tracing::debug!(%error, "cannot compare what is in force with the control plane's digests");
    Input::ComparisonFailed(failure(error))
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Timeout { .. } => Failure::Silence,
        // What stands before the control plane answers so when that is not there.
        Error::Api(error) if error.status < 500 => Failure::Refused,
        _ => Failure::Unreachable,
    }
}
