//! Judging again what is under way: after each change what it concerns, and every second everything, because
//! a verdict may also expire. In slices, so that the thread serves other requests in between.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use countersign_proxy::Exchange as _;
use countersign_types::{error::ErrorCode, id::OrganizationId};
use metrics::gauge;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::stream::{LiveStreams, Stream};
use crate::{
    access_log::record::Record,
    admission::{admit, must_judge},
    caller::snapshot::Snapshot,
    refusal::refused::Refusal,
    shared::Shared,
    shares::Share,
};

/// How often a thread looks for verdicts that expired while their streams live on.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

/// From how many changed organizations on all of them are held that have requests: as when everything is
/// replaced.
const MANY: usize = 1024;

/// How long a thread judges before it serves what else is ready. One verdict costs about as much at
/// the most, so a slice takes at most twice that.
const SLICE: Duration = Duration::from_millis(1);

/// The live streams of one thread, and the trust that they are judged under.
#[derive(Debug)]
pub(crate) struct Recheck {
    shared: Arc<Shared>,
    live: Arc<LiveStreams>,
    /// Which thread this is.
    thread: usize,
    /// Which change is in force, sent after each.
    changed: watch::Receiver<u64>,
    /// The latest change that this thread knows of, and what was in force with it.
    latest: Option<u64>,
    known: Option<Arc<Snapshot>>,
    /// The latest change under which every stream that it concerns was judged.
    enforced: Option<u64>,
    /// The organizations that it changed, and those of changes before it, whose streams are to be judged.
    held: HashMap<OrganizationId, Arc<Share>>,
    slice: Instant,
}

impl Recheck {
    pub(crate) fn new(
        shared: Arc<Shared>,
        live: Arc<LiveStreams>,
        thread: usize,
        changed: watch::Receiver<u64>,
    ) -> Self {
        Self {
            shared,
            live,
            thread,
            changed,
            latest: None,
            known: None,
            enforced: None,
            held: HashMap::new(),
            slice: Instant::now(),
        }
    }

    /// Judges again, on each change and every second, until the gateway ends.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(EXPIRY_CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = self.changed.changed() => match changed {
                    Ok(()) => self.follow().await,
                    Err(_) => return,
                },
                _ = ticks.tick() => self.round().await,
            }
        }
    }

    /// Judges every live stream under what is in force, and reports that.
    pub(crate) async fn round(&mut self) {
        self.slice = Instant::now();
        self.note_change();
        self.held.clear();
        let judged = self.latest;
        let streams = self.live.streams();
        self.judge(streams).await;
        self.report(judged);
        self.follow().await;
    }

    /// Whether there is a change that this thread has not noticed.
    pub(crate) fn is_behind(&self) -> bool {
        self.enforced != Some(*self.changed.borrow())
    }

    /// Judges the live streams that changes concern which it has not enforced yet, and reports the latest.
    pub(crate) async fn follow(&mut self) {
        self.slice = Instant::now();
        self.note_change();
        // A change that arrived while judging needs a round of its own: some streams were judged before
        // it.
        while self.latest != self.enforced {
            let judged = self.latest;
            let held = std::mem::take(&mut self.held);
            let here = held.values().filter_map(|share| share.on(self.thread));
            let places: Vec<usize> = here.flat_map(|here| here.under_way()).collect();
            let streams = self.live.streams_at(&places);
            self.judge(streams).await;
            self.report(judged);
        }
    }

    /// If there is another change, holds the live streams of the organizations that it changed.
    fn note_change(&mut self) {
        // Read before judging: the snapshot is of this change or a later one.
        let change = *self.changed.borrow_and_update();
        if self.latest.replace(change) == Some(change) {
            return;
        }
        let now = self.shared.snapshot.load_full();
        let before = self.known.replace(Arc::clone(&now));
        self.live.hold();
        let shares = &self.shared.shares;
        let changed: Option<Vec<_>> = before.as_ref().map(|before| {
            let differing = before.differing(&now);
            differing.take(MANY).collect()
        });
        let held: Vec<_> = match changed {
            Some(changed) if changed.len() < MANY => {
                let known = changed.into_iter();
                known.filter_map(|id| shares.known(id)).collect()
            }
            _ => shares.all(),
        };
        for share in held {
            if let Some(here) = share.on(self.thread) {
                here.hold();
                self.held.insert(here.organization().clone(), share);
            }
        }
    }

    /// Judges live streams again and cuts those that no longer pass. First those that a look
    /// into memory is enough for, so that they do not wait for signatures; then one of each
    /// organization in turn, so that none waits for all of another's.
    async fn judge(&mut self, streams: Vec<Arc<Stream>>) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_live_streams", "thread" => self.thread.to_string())
            .set(self.live.count() as f64);
        let mut rest: HashMap<OrganizationId, Vec<Arc<Stream>>> = HashMap::new();
        for stream in streams {
            match must_judge(&self.shared, &stream.connection, &stream.credential) {
                None => self.recheck(&stream),
                Some(organization) => rest.entry(organization).or_default().push(stream),
            }
            self.breathe().await;
        }
        let mut turns: VecDeque<_> = rest
            .into_values()
            .map(|streams| streams.into_iter())
            .collect();
        while let Some(mut streams) = turns.pop_front() {
            let Some(stream) = streams.next() else {
                continue;
            };
            self.recheck(&stream);
            turns.push_back(streams);
            self.breathe().await;
        }
    }

    fn recheck(&self, stream: &Arc<Stream>) {
        // It ended while it waited for its turn.
        if Arc::strong_count(stream) == 1 {
            return;
        }
        // Read before judging: a change after this holds it again.
        let changes = stream.changes();
        match readmit(&self.shared, stream) {
            Ok(()) => stream.pass(changes),
            Err(refusal) => {
                self.shared.refusals.count_cut(&refusal);
                stream.cut_signal().cut();
            }
        }
    }

    /// Lets the thread serve what else is ready, when a slice is over.
    async fn breathe(&mut self) {
        if self.slice.elapsed() >= SLICE {
            tokio::task::yield_now().await;
            self.slice = Instant::now();
            self.note_change();
        }
    }

    /// Every live stream was judged under this change: only now is it enforced on this thread.
    fn report(&mut self, change: Option<u64>) {
        self.enforced = change;
        let enforced = self.shared.enforced.get(self.thread);
        if let (Some(change), Some(enforced)) = (change, enforced) {
            enforced.store(change, Ordering::Release);
            self.shared.enforced_changed.notify_waiters();
        }
    }
}

/// Judges a stream again. It is no new request, so nothing is counted.
fn readmit(shared: &Shared, stream: &Stream) -> Result<(), Refusal> {
    let mut record = Record::of_connection(&stream.connection);
    admit(
        shared,
        &stream.connection,
        &stream.credential,
        &mut record,
        None,
    )
    .and_then(|admission| {
        if stream.is_found_by(&admission.identity.organization) {
            return Ok(());
        }
        let reason = "the API key is another organization's by now";
        Err(Refusal::new(ErrorCode::InvalidApiKey, reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caller::{credential::Credential, snapshot::Snapshot},
        connection::Connection,
    };
    use countersign_testca::root;
    use countersign_types::{
        bundle::{BundleCertificate, BundleProject, OrganizationBundle},
        id::{CertificateId, ProjectId},
    };
    use countersign_verify::presented::Presented;
    use futures_util::FutureExt as _;
    use rustls_pki_types::CertificateDer;
    use std::cell::Cell;

    /// An organization with one project, at which its anchor is active or nothing.
    fn organization(number: u128, anchor: Option<&str>) -> OrganizationBundle {
        let id = CertificateId::from_random(number);
        let certificate = |pem: &str| BundleCertificate {
            id: id.clone(),
            pem: pem.to_owned(),
            cel_policy: None,
            reported_policy: None,
            revocation: None,
            floor: None,
            reported_floor: None,
        };
        OrganizationBundle {
            id: OrganizationId::from_random(number),
            revision: 1,
            digest: None,
            certificates: anchor.map(certificate).into_iter().collect(),
            active: anchor.map(|_| id.clone()).into_iter().collect(),
            with_reported: Vec::new(),
            projects: vec![BundleProject {
                id: ProjectId::from_random(number),
                archived: false,
                active: Vec::new(),
                with_reported: Vec::new(),
            }],
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        }
    }

    /// A thread, with a stream of each chain for an organization, all of which passed.
    struct Thread {
        shared: Arc<Shared>,
        live: Arc<LiveStreams>,
        changed: watch::Sender<u64>,
    }

    impl Thread {
        fn new(organizations: Vec<OrganizationBundle>) -> Self {
            let snapshot = Snapshot::default().after(1, true, organizations, &[]);
            Self {
                shared: Shared::of(snapshot),
                live: Arc::default(),
                changed: watch::Sender::new(1),
            }
        }

        fn stream(&self, organization: u128, chain: Vec<CertificateDer<'static>>) -> Arc<Stream> {
            let peer = ([127, 0, 0, 1], 1).into();
            let connection = Connection::new(Presented::new(chain), peer, None);
            let credential = Credential::FixedProject(ProjectId::from_random(organization));
            let stream = self
                .live
                .register(Arc::new(connection), credential, Instant::now());
            readmit(&self.shared, &stream).unwrap();
            stream
        }

        fn recheck(&self) -> Recheck {
            let (shared, live) = (Arc::clone(&self.shared), Arc::clone(&self.live));
            Recheck::new(shared, live, 0, self.changed.subscribe())
        }

        fn change(&self, revision: u64, organization: OrganizationBundle) {
            let before = self.shared.snapshot.load();
            let next = before.after(revision, false, vec![organization], &[]);
            self.shared.snapshot.store(Arc::new(next));
            self.changed.send_replace(revision);
        }

        fn enforced(&self) -> u64 {
            self.shared.enforced[0].load(Ordering::Acquire)
        }
    }

    fn hostile_chains(count: usize) -> impl Iterator<Item = Vec<CertificateDer<'static>>> {
        let leaf = root("Theirs").mint().leaf("hostile").mint();
        (0..count).map(move |number| {
            let padding = number.to_le_bytes().to_vec();
            [leaf.der().to_vec(), padding]
                .map(CertificateDer::from)
                .into()
        })
    }

    #[tokio::test]
    async fn many_streams_are_judged_in_slices_and_the_change_is_reported_when_all_are() {
        let thread = Thread::new(vec![organization(1, None), organization(2, None)]);
        let hostile: Vec<_> = hostile_chains(2_000)
            .map(|chain| thread.stream(1, chain))
            .collect();
        let other = thread.stream(2, Vec::new());
        let recheck = thread.recheck();
        thread.change(2, organization(1, Some(&root("Ours").mint().pem())));
        let (turns, other_went_on) = (Cell::new(0), Cell::new(None));
        let cut = || {
            let cut = hostile.iter().filter(|each| each.cut_signal().is_cut());
            cut.count()
        };
        let passes_on = |stream: &Arc<Stream>| !stream.cut_signal().is_cut() && !stream.is_held();
        let watching = async {
            while thread.live.changes() == 0 {
                tokio::task::yield_now().await;
            }
            while thread.enforced() != 2 {
                turns.set(turns.get() + 1);
                assert!(!hostile.iter().any(passes_on), "none was judged to pass");
                if passes_on(&other) && other_went_on.get().is_none() {
                    other_went_on.set(Some(cut()));
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(cut(), hostile.len(), "reported only when all are judged");
        };
        tokio::select! {
            () = recheck.run() => {}
            () = watching => {}
        }
        assert!(turns.get() > 2, "others had {} turns", turns.get());
        assert!(!other.is_held() && !other.cut_signal().is_cut());
        // A slice that looked at all of them goes on with the first signatures.
        assert!(
            other_went_on.get().is_some_and(|cut| cut < 200),
            "nobody waits for another's signatures"
        );
    }

    #[tokio::test]
    async fn a_change_concerns_the_streams_of_its_organization_alone() {
        let thread = Thread::new(vec![organization(1, None), organization(2, None)]);
        let [own, other] = [1, 2].map(|number| {
            let stream = thread.stream(number, Vec::new());
            let id = OrganizationId::from_random(number);
            let share = thread.shared.shares.of(&id, Instant::now());
            stream.keep(share.connection(0).unwrap().stream().unwrap());
            stream
        });
        let mut recheck = thread.recheck();
        recheck.round().await;
        assert!(!own.is_held() && !other.is_held());
        thread.change(2, organization(1, Some(&root("Ours").mint().pem())));
        recheck.note_change();
        assert!(own.is_held() && !other.is_held());
        recheck.follow().await;
        assert!(own.cut_signal().is_cut() && !other.cut_signal().is_cut());
        assert_eq!(thread.enforced(), 2);
        thread.change(3, organization(2, Some(&root("Theirs").mint().pem())));
        recheck.note_change();
        assert!(other.is_held());
        drop(own);
        recheck.follow().await;
        assert!(other.cut_signal().is_cut());
    }

    #[test]
    fn each_change_holds_the_streams_once() {
        let thread = Thread::new(vec![organization(1, None)]);
        let mut recheck = thread.recheck();
        recheck.note_change();
        let before = thread.live.changes();
        recheck.note_change();
        assert_eq!(thread.live.changes(), before);
        thread.change(2, organization(1, None));
        recheck.note_change();
        assert_eq!(thread.live.changes(), before + 1);
    }

    #[tokio::test]
    async fn a_change_while_judging_is_judged_too_and_what_was_cut_is_left_alone() {
        let thread = Thread::new(vec![organization(1, None), organization(2, None)]);
        let hostile: Vec<_> = hostile_chains(500)
            .map(|chain| thread.stream(1, chain))
            .collect();
        let other = thread.stream(2, Vec::new());
        let anchor = root("Ours").mint().pem();
        let recheck = thread.recheck();
        thread.change(2, organization(1, Some(&anchor)));
        let watching = async {
            while !hostile.iter().any(|each| each.cut_signal().is_cut()) {
                tokio::task::yield_now().await;
            }
            thread.change(3, organization(2, Some(&anchor)));
            while thread.enforced() < 3 {
                tokio::task::yield_now().await;
            }
            assert!(other.cut_signal().is_cut());
            assert!(thread.live.streams().is_empty());
        };
        tokio::select! {
            () = recheck.run() => {}
            () = watching => {}
        }
    }

    #[tokio::test]
    async fn the_turns_go_round_the_organizations() {
        let thread = Thread::new(vec![organization(1, None), organization(2, None)]);
        let chains = hostile_chains(400);
        let many: Vec<_> = chains.map(|chain| thread.stream(1, chain)).collect();
        let one = hostile_chains(1)
            .next()
            .map(|chain| thread.stream(2, chain));
        let anchor = root("Ours").mint().pem();
        let changed = [1, 2].map(|number| organization(number, Some(&anchor)));
        let next = thread
            .shared
            .snapshot
            .load()
            .after(2, false, changed.into(), &[]);
        thread.shared.snapshot.store(Arc::new(next));
        let mut recheck = thread.recheck();
        recheck.note_change();
        let mut judging = Box::pin(recheck.round());
        let one = one.unwrap();
        while !one.cut_signal().is_cut() {
            assert_eq!(judging.as_mut().now_or_never(), None);
        }
        let waiting = many.iter().filter(|each| !each.cut_signal().is_cut());
        assert!(
            waiting.count() > 100,
            "it must not wait for all of the other's"
        );
    }
}
