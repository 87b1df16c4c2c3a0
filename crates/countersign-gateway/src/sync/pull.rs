//! Drives what a gateway does to stay in line: sends its requests, hands writes to the disk's thread,
//! and tells it what came of that, and when it is time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_client::{BundleReader, Client, Countersign, Error, Response};
use countersign_types::{
    bundle::{Bundle, OrganizationBundle},
    capability::Capability,
    id::OrganizationId,
    known_sets::KnownSets,
};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    disk::Disk,
    follower::{Follower, Task},
    messages::{Failure, Input, Moment, Pull, Report},
    pages::{Pages, Step},
    revoked_sets,
    state_file::StateFile,
};
use crate::shared::Shared;

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
    /// The client as it was last configured.
    configured: watch::Receiver<Client>,
    pub(crate) follower: Follower,
    disk: Disk,
    /// The requests under way.
    requests: Requests,
    /// What arrived of everything, where that comes in pages.
    pages: Arc<Pages>,
    /// The serial numbers that revocation lists name.
    sets: Arc<KnownSets>,
}

/// The requests under way: at most two pulls, and one for the comparison.
#[derive(Default)]
struct Requests {
    pull: Option<PullUnderWay>,
    /// An earlier one that is still waited for.
    kept: Option<PullUnderWay>,
    comparison: Option<BoxFuture<'static, Input>>,
    /// Whether the latest pull failed or was silent: then another failure is no news.
    failing: bool,
}

pub(super) struct PullUnderWay {
    number: u64,
    answer: BoxFuture<'static, Input>,
    /// Notified whenever a part of the answer arrives.
    arrivals: Arc<Notify>,
}

impl Sync {
    /// Puts in force what is on disk, and is ready to go on from there. `held` is let go of when
    /// nothing writes to the data directory any more.
    pub(crate) fn start(
        shared: Arc<Shared>,
        mut configured: watch::Receiver<Client>,
        held: impl Send + 'static,
        seed: u64,
    ) -> io::Result<Self> {
        let mut file = StateFile::new(shared.options.data_dir.clone());
        let client = configured.borrow_and_update().clone();
        let follower = Follower::start(Arc::clone(&shared), &mut file, seed);
        let sets = revoked_sets::in_force(&shared.snapshot.load());
        Ok(Self {
            follower,
            sets: Arc::new(sets),
            disk: Disk::start(file, held)?,
            requests: Requests::default(),
            pages: Arc::default(),
            shared,
            client,
            configured,
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
            for task in self.follower.on(now, input) {
                self.perform(task);
            }
            let deadline = self.follower.deadline().map(|elapsed| begun + elapsed);
            let awaited = self.follower.awaited();
            input = tokio::select! {
                input = heard(&mut self.requests.pull) => self.requests.note(input),
                input = heard(&mut self.requests.kept) => self.requests.note(input),
                input = answer(&mut self.requests.comparison) => input,
                written = self.disk.written() => self.follower.written(written),
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

    fn perform(&mut self, task: Task) {
        // An error means that the gateway stops.
        if self.configured.has_changed().unwrap_or(false) {
            self.client = self.configured.borrow_and_update().clone();
        }
        match task {
            Task::Pull(pull) => {
                self.requests.keep(pull.beside);
                self.requests.pull = Some(self.pull(pull));
            }
            Task::AskDigests(from) => {
                self.requests.comparison = Some(ask_digests(&self.client, from));
            }
            Task::Fetch(ids) => {
                let sets = Arc::clone(&self.sets);
                self.requests.comparison = Some(fetch(&self.client, ids, sets));
            }
            Task::Reconnect => self.reconnect(),
            Task::Store(job) => self.disk.write(job),
        }
    }

    pub(super) fn pull(&self, pull: Pull) -> PullUnderWay {
        let reader = reader(&self.shared, pull.report);
        let arrivals = Arc::new(Notify::new());
        let client = self.client.with_patience(pull.patience);
        let client = client.with_arrivals(Arc::clone(&arrivals));
        let failing = self.requests.failing;
        let (pages, sets) = (Arc::clone(&self.pages), Arc::clone(&self.sets));
        let shared = Arc::clone(&self.shared);
        let answer = async move {
            let countersign = client.countersign();
            let puller = Puller {
                countersign: &countersign,
                shared: &shared,
                reader: reader.as_ref(),
                pull: &pull,
            };
            let error = match puller.pulled(&pages, &sets).await {
                Ok(Pulled::Whole(bundle)) => return Input::Pulled(pull.number, bundle),
                Ok(Pulled::InPart(some, error)) => {
                    if !failing {
                        tracing::error!(%error, "cannot have a revocation list: its anchor keeps the lists that it had, and the change is not reported");
                    }
                    return Input::PulledInPart(pull.number, some);
                }
                Err(error) => error,
            };
            if failing {
                tracing::debug!(%error, "still cannot pull the bundle");
            } else {
                tracing::warn!(%error, "cannot pull the bundle; the last one stays in force");
            }
            Input::PullFailed(pull.number, failure(&error))
        };
        PullUnderWay {
            number: pull.number,
            answer: answer.boxed(),
            arrivals,
        }
    }

    fn reconnect(&mut self) {
        match self.client.reconnected() {
            Ok(client) => self.client = client,
            Err(error) => tracing::error!(%error, "cannot make new connections"),
        }
    }
}

impl Requests {
    /// Notes whether a pull failed.
    fn note(&mut self, input: Input) -> Input {
        match input {
            Input::Pulled(..) => self.failing = false,
            Input::PulledInPart(..) | Input::PullFailed(..) => self.failing = true,
            _ => {}
        }
        input
    }

    /// Gives up every pull but this one.
    fn keep(&mut self, kept: Option<u64>) {
        let mut both = [self.pull.take(), self.kept.take()].into_iter().flatten();
        self.kept = both.find(|each| Some(each.number) == kept);
        if self.kept.is_some() && !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                "the control plane is silent: it is asked again on a new connection, and what was last \
                 said stays in force"
            );
        }
    }
}

/// What a pull brings.
enum Pulled {
    /// What was asked for.
    Whole(Bundle),
    /// The organizations of which everything, or the rest, can be had, and why it is not everything.
    InPart(Vec<OrganizationBundle>, Error),
}

/// Who pulls what, and from where.
struct Puller<'a> {
    countersign: &'a Countersign,
    shared: &'a Shared,
    reader: Option<&'a BundleReader>,
    pull: &'a Pull,
}

impl Puller<'_> {
    /// What a pull brings, page after page where the server sends pages, each with the sets of its revocation lists.
    async fn pulled(&self, pages: &Pages, sets: &KnownSets) -> Result<Pulled, Error> {
        let after = self.pull.after;
        loop {
            let step = pages.step(after);
            let answer = match &step {
                Step::Changes => self.changes().await,
                Step::Page(from) => self.countersign.bundle_page(from).await,
                Step::Rest(point) => {
                    let wait = Duration::ZERO;
                    let rest = self.countersign.bundle_in_pages(None, *point, wait, false);
                    rest.await
                }
            };
            let mut answer = answer?.value;
            if matches!(step, Step::Changes) && !answer.complete {
                let (in_force, changed) = (&self.shared.snapshot, &mut answer.organizations);
                let trouble =
                    revoked_sets::complete_changes(self.countersign, sets, in_force, changed);
                if let Some(trouble) = trouble.await? {
                    return Ok(Pulled::InPart(answer.organizations, trouble));
                }
            } else {
                revoked_sets::complete(self.countersign, sets, &mut answer).await?;
            }
            if let Some(bundle) = pages.answered(after, &step, answer) {
                return Ok(Pulled::Whole(bundle));
            }
        }
    }

    /// What changed; of keys only that, where it can be applied to those in force.
    async fn changes(&self) -> Result<Response<Bundle>, Error> {
        let ask = |wait, key_changes| {
            let after = self.pull.after;
            self.countersign
                .bundle_in_pages(self.reader, after, wait, key_changes)
        };
        let answer = ask(self.pull.wait, true).await?;
        let snapshot = self.shared.snapshot.load();
        let mut organizations = answer.value.organizations.iter();
        let Some(unfit) = organizations.find(|each| !snapshot.fits(each)) else {
            return Ok(answer);
        };
        tracing::warn!(organization = %unfit.id, "what changed of the keys does not fit those in force: all of them are asked for");
        drop(snapshot);
        ask(Duration::ZERO, false).await
    }
}

/// What is said of the point in force; nothing while not every thread enforces it.
fn reader(shared: &Shared, report: Report) -> Option<BundleReader> {
    (report != Report::Nothing).then(|| BundleReader {
        gateway: shared.id.clone(),
        name: shared.options.name.clone().unwrap_or_default(),
        durable: report == Report::Durable,
        understands: Capability::ALL.into(),
    })
}

/// Waits for the answer to a pull, or for a part of it.
pub(super) async fn heard(pull: &mut Option<PullUnderWay>) -> Input {
    let Some(under_way) = pull else {
        return std::future::pending().await;
    };
    let input = tokio::select! {
        input = &mut under_way.answer => input,
        () = under_way.arrivals.notified() => return Input::Arriving(under_way.number),
    };
    *pull = None;
    input
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

fn ask_digests(client: &Client, from: Option<OrganizationId>) -> BoxFuture<'static, Input> {
    let client = client.with_patience(PATIENCE);
    async move {
        match client
            .countersign()
            .bundle_digests_page(from.as_ref())
            .await
        {
            Ok(digests) => Input::Digests(digests.value),
            Err(error) => comparison_failed(&error),
        }
    }
    .boxed()
}

fn fetch(
    client: &Client,
    ids: Vec<OrganizationId>,
    sets: Arc<KnownSets>,
) -> BoxFuture<'static, Input> {
    let client = client.with_patience(PATIENCE);
    async move {
        match fetched(&client.countersign(), &ids, &sets).await {
            Ok(bundle) => Input::Fetched(bundle),
            Err(error) => comparison_failed(&error),
        }
    }
    .boxed()
}

async fn fetched(
    countersign: &Countersign,
    ids: &[OrganizationId],
    sets: &KnownSets,
) -> Result<Bundle, Error> {
    let mut bundle = countersign.organization_bundles(ids).await?.value;
    revoked_sets::complete(countersign, sets, &mut bundle).await?;
    Ok(bundle)
}

fn comparison_failed(error: &Error) -> Input {
    tracing::debug!(%error, "cannot compare what is in force with the control plane's digests");
    Input::ComparisonFailed(failure(error))
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Timeout { .. } => Failure::Silence,
        Error::Api(error) => answered(error.status),
        _ => Failure::Unreachable,
    }
}

/// What an error that was answered is taken for.
const fn answered(status: u16) -> Failure {
    if status < 500 {
        Failure::Refused
    } else {
        // What stands before the control plane answers so when that is not there.
        Failure::Unreachable
    }
}

#[cfg(test)]
mod tests {
    use countersign_client::Unreachable;

    use super::*;
    use crate::caller::snapshot::Snapshot;

    #[test]
    fn a_change_counts_as_enforced_when_every_thread_enforces_it_or_a_later_one() {
        let mut shared = Shared::of(Snapshot::default());
        let threads = &mut Arc::get_mut(&mut shared).unwrap().enforced;
        threads.push(AtomicU64::new(0));
        for (threads, expected) in [
            ([0, 0], None),
            ([2, 0], None),
            ([1, 2], None),
            ([2, 2], Some(2)),
            ([3, 1], None),
            ([3, 2], Some(2)),
            ([4, 3], Some(2)),
        ] {
            for (thread, change) in shared.enforced.iter().zip(threads) {
                thread.store(change, Ordering::Release);
            }
            let ready = enforced(&shared, Some(2)).now_or_never();
            assert_eq!(ready, expected, "{threads:?}");
            assert_eq!(enforced(&shared, None).now_or_never(), None);
        }
    }

    #[test]
    fn silence_calls_for_patience_and_what_stands_before_the_control_plane_for_new_connections() {
        let origin = "https://plane.example".to_owned();
        let timeout = Error::Timeout {
            origin: origin.clone(),
            after: Duration::from_secs(8),
            attempts: 1,
        };
        let connection = Error::Connection {
            origin,
            cause: Unreachable::Refused,
        };
        assert_eq!(failure(&timeout), Failure::Silence);
        assert_eq!(failure(&connection), Failure::Unreachable);
        for (status, expected) in [
            (401, Failure::Refused),
            (499, Failure::Refused),
            (500, Failure::Unreachable),
            (503, Failure::Unreachable),
        ] {
            assert_eq!(answered(status), expected, "{status}");
        }
    }

    #[test]
    fn only_what_every_thread_enforces_is_reported_and_as_durable_only_what_is() {
        let shared = Shared::of(Snapshot::default());
        for (report, said) in [
            (Report::Nothing, None),
            (Report::Enforced, Some(false)),
            (Report::Durable, Some(true)),
        ] {
            let reader = reader(&shared, report);
            assert_eq!(reader.map(|reader| reader.durable), said, "{report:?}");
        }
    }

    fn under_way(number: u64, answer: Option<Input>) -> PullUnderWay {
        let answer = async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        };
        PullUnderWay {
            number,
            answer: answer.boxed(),
            arrivals: Arc::new(Notify::new()),
        }
    }

    #[test]
    fn a_pull_takes_the_place_of_all_but_the_one_that_it_is_sent_beside() {
        let numbers = |requests: &Requests| {
            let both = [&requests.pull, &requests.kept].into_iter().flatten();
            both.map(|each| each.number).collect::<Vec<_>>()
        };
        for (kept, left) in [(None, vec![]), (Some(2), vec![2]), (Some(1), vec![1])] {
            let mut requests = Requests {
                pull: Some(under_way(2, None)),
                kept: Some(under_way(1, None)),
                ..Requests::default()
            };
            requests.keep(kept);
            assert_eq!(numbers(&requests), left);
            assert_eq!(requests.failing, kept.is_some());
        }
    }

    #[test]
    fn parts_of_an_answer_are_heard_until_it_is_whole() {
        let mut silent = Some(under_way(3, None));
        assert_eq!(heard(&mut silent).now_or_never(), None);
        silent.as_ref().unwrap().arrivals.notify_one();
        let arriving = Some(Input::Arriving(3));
        assert_eq!(heard(&mut silent).now_or_never(), arriving);
        assert_eq!(heard(&mut silent).now_or_never(), None);
        assert!(silent.is_some());
        let failed = Input::PullFailed(4, Failure::Unreachable);
        let mut over = Some(under_way(4, Some(failed.clone())));
        assert_eq!(heard(&mut over).now_or_never(), Some(failed));
        assert!(over.is_none());
    }
}
