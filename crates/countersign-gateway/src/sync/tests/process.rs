//! What a gateway does in its process about what the machine says: with its file, and without a network.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use countersign_types::{bundle::Bundle, history::HistoryPoint, id::OrganizationId};

use super::{CLOCK, SECOND, Server, id, server};
use crate::{
    caller::snapshot::Snapshot,
    recorded::Recorded,
    shared::Shared,
    sync::{
        follower::{Follower, Task},
        messages::{Input, Moment, Pull, Report},
        state_file::StateFile,
    },
};

struct Process {
    shared: Arc<Shared>,
    follower: Follower,
    file: StateFile,
    now: Duration,
    pulls: Vec<Pull>,
    fetch: Option<Vec<OrganizationId>>,
    threads_stuck: bool,
}

impl Process {
    fn start(directory: &Path) -> Self {
        let shared = Shared::of(Snapshot::default());
        let mut file = StateFile::new(directory.to_owned());
        let mut process = Self {
            follower: Follower::start(Arc::clone(&shared), &mut file, 7),
            shared,
            file,
            now: Duration::ZERO,
            pulls: Vec::new(),
            fetch: None,
            threads_stuck: false,
        };
        process.on(Input::Time);
        process
    }

    fn on(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Moment {
                elapsed: self.now,
                clock: CLOCK + self.now.as_secs(),
            };
            for task in self.follower.on(now, input) {
                match task {
                    Task::Pull(pull) => self.pulls.push(pull),
                    Task::Fetch(ids) => self.fetch = Some(ids),
                    Task::Store(job) => {
                        let written = job.perform(&mut self.file);
                        inputs.push_back(self.follower.written(written));
                    }
                    Task::AskDigests(_) | Task::Reconnect => {}
                }
            }
            if let Some(generation) = self.follower.awaited().filter(|_| !self.threads_stuck) {
                inputs.push_back(Input::Enforced(generation));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += SECOND / 4;
            self.on(Input::Time);
        }
    }

    fn latest(&self) -> Pull {
        *self.pulls.last().unwrap()
    }

    /// The latest pull is answered with this.
    fn answered(&mut self, bundle: Bundle) {
        self.on(Input::Pulled(self.latest().number, bundle));
    }

    /// The latest pull is answered by this server.
    fn pulls_from(&mut self, server: &Server) {
        self.answered(server.answer(self.latest().after));
    }

    fn warnings(&self) -> String {
        self.shared.contact.warnings(0).join("; ")
    }

    /// The time of contact, by which everything may be too old.
    fn contact(&self) -> u64 {
        self.shared.now() - self.shared.contact.age(self.shared.now()).unwrap()
    }

    #[track_caller]
    fn assert_enforces(&self, server: &Server) {
        let snapshot = self.shared.snapshot.load();
        let in_force = snapshot
            .organizations()
            .map(|each| (each.id().clone(), each.digest()));
        assert_eq!(in_force.collect::<super::State>(), server.state());
    }
}

/// What a start would find in the file.
#[track_caller]
fn assert_on_disk(directory: &Path, server: &Server) {
    let stored = StateFile::new(directory.to_owned())
        .load()
        .unwrap()
        .unwrap();
    assert_eq!(stored.point, server.point());
    let organizations = stored.organizations.into_iter();
    let found = organizations.map(|each| (each.id, each.digest));
    assert_eq!(found.collect::<super::State>(), server.state());
}

#[test]
fn a_start_enforces_what_is_on_disk_and_goes_on_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = server(&["a", "b"]);
    let mut process = Process::start(directory.path());
    assert_eq!(process.latest().after, HistoryPoint::START);
    process.now = 7 * SECOND;
    process.pulls_from(&server);
    assert_on_disk(directory.path(), &server);
    drop(process);
    let mut process = Process::start(directory.path());
    process.assert_enforces(&server);
    assert_eq!(process.contact(), CLOCK, "the first pull was sent then");
    let first = process.latest();
    assert_eq!(
        (first.after, first.report),
        (server.point(), Report::Durable)
    );
    assert!(!*process.follower.ready.borrow(), "nobody confirmed it yet");
    process.now = 9 * SECOND;
    process.pulls_from(&server);
    assert!(*process.follower.ready.borrow());
    assert_eq!(process.contact(), CLOCK);
    // Nothing differs: the digests were on disk as well.
    process.on(Input::Digests(server.digests()));
    process.pulls_from(&server);
    process.pulls_from(&server);
    assert_eq!(process.fetch, None);
    // The file that it began with is brought on, and not made anew.
    server.commit("b");
    process.pulls_from(&server);
    assert_eq!(process.latest().report, Report::Durable);
    assert_eq!(process.warnings(), "");
    assert_on_disk(directory.path(), &server);
}

#[test]
fn what_changes_and_what_goes_does_so_in_force_and_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = server(&["a", "b", "c"]);
    let mut process = Process::start(directory.path());
    let mut changed = process.follower.changed.subscribe();
    process.pulls_from(&server);
    assert_eq!(*changed.borrow_and_update(), 1);
    server.commit("b");
    process.now = 3 * SECOND;
    process.pulls_from(&server);
    process.assert_enforces(&server);
    assert_on_disk(directory.path(), &server);
    assert_eq!(*changed.borrow_and_update(), 2, "threads are told");
    // What the control plane has no more is found by the comparison.
    server.organizations.remove(&id("c"));
    process.on(Input::Digests(server.digests()));
    process.pulls_from(&server);
    process.pulls_from(&server);
    assert_eq!(process.fetch.take(), Some(vec![id("c")]));
    process.on(Input::Fetched(server.bundle(false, [].into_iter())));
    process.assert_enforces(&server);
    assert_on_disk(directory.path(), &server);
    // Or goes with a history that is lost.
    let mut other = Server {
        drawn: 1000,
        ..Server::default()
    };
    other.commit("x");
    process.pass(SECOND);
    process.pulls_from(&other);
    process.assert_enforces(&other);
    assert_on_disk(directory.path(), &other);
}

#[test]
fn contact_alone_is_written_now_and_then() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&["a"]);
    let mut process = Process::start(directory.path());
    process.pulls_from(&server);
    process.now = 100 * SECOND;
    process.pulls_from(&server);
    let stored = StateFile::new(directory.path().to_owned()).load().unwrap();
    // The pull that was answered had waited for five seconds at most, and was sent at the start.
    assert_eq!(stored.unwrap().contact, process.contact());
    assert_eq!(process.contact(), CLOCK + 5);
}

#[test]
fn a_disk_that_is_full_is_said_to_be_and_leaves_nothing_until_it_has_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = server(&["a"]);
    let mut process = Process::start(directory.path());
    process.pulls_from(&server);
    assert_eq!(process.warnings(), "");
    process.file.limit(Some(1));
    for number in 0..200 {
        server.commit(&format!("n{number}"));
    }
    process.pulls_from(&server);
    process.assert_enforces(&server);
    assert_eq!(process.latest().report, Report::Enforced);
    let warnings = process.warnings();
    assert!(
        warnings.contains("not on disk") && warnings.contains("full"),
        "{warnings}"
    );
    assert!(!process.file.path().exists());
    process.file.limit(None);
    process.pass(10 * SECOND);
    assert_eq!(process.latest().report, Report::Durable);
    process.pulls_from(&server);
    assert_eq!(process.warnings(), "");
    assert_on_disk(directory.path(), &server);
}

#[test]
fn a_file_that_can_be_neither_written_nor_removed_is_not_taken_for_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = server(&["a"]);
    let mut process = Process::start(directory.path());
    process.pulls_from(&server);
    drop(directory);
    server.commit("a");
    process.pulls_from(&server);
    process.assert_enforces(&server);
    assert_eq!(process.latest().report, Report::Enforced);
    let warnings = process.warnings();
    assert!(warnings.contains("nor can it be removed"), "{warnings}");
}

#[test]
fn what_an_operator_must_know_is_said_until_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = server(&["a"]);
    let mut process = Process::start(directory.path());
    process.pulls_from(&server);
    process.pass(20 * SECOND);
    assert!(
        process
            .warnings()
            .contains("contact with the control plane was lost")
    );
    process.pulls_from(&server);
    assert_eq!(process.warnings(), "");
    process.threads_stuck = true;
    server.commit("a");
    process.pulls_from(&server);
    process.pass(2 * SECOND);
    assert_eq!(process.latest().report, Report::Nothing);
    assert!(process.warnings().contains("a thread takes too long"));
    process.threads_stuck = false;
    process.on(Input::Time);
    assert_eq!(process.latest().report, Report::Durable);
    assert_eq!(process.warnings(), "");
}

#[test]
fn metrics_say_what_is_wrong_while_it_is() {
    let (directory, recorded) = (tempfile::tempdir().unwrap(), Recorded::default());
    let mut server = server(&["a", "b"]);
    let read = || {
        let gauge = |name: &str| recorded.gauge(&format!("countersign_gateway_{name}"));
        (gauge("contact_lost"), gauge("durable"), gauge("revision"))
    };
    recorded.of(|| {
        let mut process = Process::start(directory.path());
        assert_eq!(read(), (0.0, 1.0, 0.0));
        process.pulls_from(&server);
        assert_eq!(read(), (0.0, 1.0, 2.0));
        server.organizations.remove(&id("b"));
        process.on(Input::Digests(server.digests()));
        process.pulls_from(&server);
        process.pulls_from(&server);
        process.on(Input::Fetched(server.bundle(false, [].into_iter())));
        let reconciled = "countersign_gateway_reconciled_organizations_total";
        assert_eq!(recorded.count(reconciled), 1);
        process.pass(20 * SECOND);
        assert_eq!(read(), (1.0, 1.0, 2.0));
        process.file.limit(Some(1));
        for number in 0..200 {
            server.commit(&format!("n{number}"));
        }
        process.pulls_from(&server);
        assert_eq!(read(), (0.0, 0.0, 202.0));
        process.file.limit(None);
        process.pass(10 * SECOND);
        assert_eq!(read(), (0.0, 1.0, 202.0));
    });
}

#[test]
fn a_file_that_cannot_be_read_is_none_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&["a"]);
    std::fs::write(directory.path().join("state.db"), "{}").unwrap();
    let mut process = Process::start(directory.path());
    let ids: BTreeSet<_> = process
        .shared
        .snapshot
        .load()
        .organizations()
        .map(|each| each.id().clone())
        .collect();
    assert!(ids.is_empty());
    assert_eq!(process.latest().after, HistoryPoint::START);
    process.pulls_from(&server);
    assert_on_disk(directory.path(), &server);
}
