//! A gateway without sockets, threads and time of its own: somebody else has the network, the disk's
//! thread and the clock, and says when what happens. Whatever decides is what a running gateway has. The
//! simulation drives it.

use std::{
    cell::Cell,
    collections::HashMap,
    fs::File,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use countersign_proxy::Exchange as _;
use countersign_types::{
    UnixSeconds,
    digest::{KeyDigest, Sha256},
    error::ErrorCode,
    history::HistoryPoint,
    id::{GatewayId, OrganizationId},
};
use countersign_verify::presented::Presented;
use futures_util::FutureExt as _;
use rustls_pki_types::CertificateDer;

use super::{data_dir::DataDir, gateway::shared, start_error::StartError};
use crate::{
    access_log::record::Record,
    admission::{admit, must_judge},
    caller::credential::Credential,
    connection::{Arrival, Connection},
    live::{
        recheck::Recheck,
        stream::{LiveStreams, Stream},
    },
    options::GatewayOptions,
    refusal::refused::Refusal,
    shared::{Clock, Shared},
    shares::Exceeded,
    sync::{
        disk::Job,
        follower::{Follower, Task},
        messages::{Input, Moment},
        state_file::StateFile,
    },
};

/// Where clients of a driven gateway connect from.
const NOWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A gateway that somebody else drives. Dropped, it has crashed.
pub struct DrivenGateway {
    shared: Arc<Shared>,
    follower: Follower,
    file: StateFile,
    threads: Vec<Thread>,
    begun: Instant,
    _held: File,
}

/// What a serving thread judges with.
struct Thread {
    live: Arc<LiveStreams>,
    recheck: Recheck,
}

/// What a gateway's file holds.
#[derive(Debug)]
pub struct OnDisk {
    /// The point that it vouches for.
    pub point: HistoryPoint,
    /// When the control plane last said so.
    pub contact: UnixSeconds,
    /// The digests of its organizations.
    pub digests: HashMap<OrganizationId, Option<Sha256>>,
}

/// A client's connection, with the chain that it presented.
#[derive(Debug, Clone)]
pub struct DrivenConnection(Arc<Connection>);

impl DrivenConnection {
    /// A connection whose client presented these certificates, if any.
    #[must_use]
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        let connection = Connection::new(Presented::new(chain), NOWHERE.into(), None);
        Self(Arc::new(connection))
    }
}

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub struct DrivenRequest<'a> {
    /// The thread that serves its connection.
    pub thread: usize,
    /// The connection that it arrives on.
    pub connection: &'a DrivenConnection,
    /// The key that it carries.
    pub key: &'a str,
    /// When it arrives, counted from the gateway's start.
    pub at: Duration,
    /// What judging its chain takes, if it must be judged.
    pub verdict: Duration,
}

/// What became of a request.
#[derive(Debug)]
pub struct DrivenOutcome {
    /// Whether its chain had to be judged: nothing that is remembered decided.
    pub must_judge: bool,
    /// The request under way, or why it was refused.
    pub stream: Result<DrivenStream, DrivenRefusal>,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrivenRefusal {
    /// With this code.
    Code(ErrorCode),
    /// Its organization has used its share.
    Share(DrivenShare),
}

/// What an organization may take only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrivenShare {
    /// A thread's time for judging chains.
    Verification,
    /// Requests under way on a thread.
    Streams,
    /// Connections.
    Connections,
}

impl From<Refusal> for DrivenRefusal {
    fn from(refusal: Refusal) -> Self {
        let shares = [
            (Exceeded::Verification, DrivenShare::Verification),
            (Exceeded::Streams, DrivenShare::Streams),
            (Exceeded::Connections, DrivenShare::Connections),
        ];
        let mut shares = shares.into_iter();
        // Clients are not told which it was, and a code stands for more than these.
        let share = shares.find(|(exceeded, _)| refusal.reason == exceeded.to_string());
        share.map_or(Self::Code(refusal.code), |(_, share)| Self::Share(share))
    }
}

/// A request under way. Dropped, it has ended.
#[derive(Debug)]
pub struct DrivenStream(Arc<Stream>);

impl DrivenStream {
    /// Whether it passes bytes on now: it is neither cut nor held until it is judged again.
    #[must_use]
    pub fn passes(&self) -> bool {
        !self.is_cut() && !self.0.is_held()
    }

    /// Whether it was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.cut_signal().is_cut()
    }
}

impl DrivenGateway {
    /// Takes the data directory, and puts in force what is on disk. The id is made from the random
    /// number where the directory has none.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn start(
        options: GatewayOptions,
        clock: Clock,
        random: u128,
        seed: u64,
    ) -> Result<Self, StartError> {
        let data_dir = DataDir::take(&options.data_dir, random)?;
        let threads = options.threads.unwrap_or(1);
        let mut file = StateFile::new(options.data_dir.clone());
        let shared = Arc::new(shared(options, clock, data_dir.id, random, threads, None)?);
        let follower = Follower::start(Arc::clone(&shared), &mut file, seed);
        let thread = |number| {
            let live = Arc::new(LiveStreams::logged_by(Arc::clone(&shared)));
            let changed = follower.changed.subscribe();
            let recheck = Recheck::new(Arc::clone(&shared), Arc::clone(&live), number, changed);
            Thread { live, recheck }
        };
        Ok(Self {
            threads: (0..threads).map(thread).collect(),
            begun: Instant::now(),
            shared,
            follower,
            file,
            _held: data_dir.lock,
        })
    }

    /// What a start in this directory would begin with; none if it would find nothing.
    #[must_use]
    pub fn on_disk(directory: &Path) -> Option<OnDisk> {
        let stored = StateFile::new(directory.to_owned()).load().ok().flatten()?;
        let organizations = stored.organizations.into_iter();
        Some(OnDisk {
            point: stored.point,
            contact: stored.contact,
            digests: organizations.map(|each| (each.id, each.digest)).collect(),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &GatewayId {
        &self.shared.id
    }

    /// Takes in what happened, and says what is to be done.
    pub fn on(&mut self, now: Moment, input: Input) -> Vec<Task> {
        self.follower.on(now, input)
    }

    /// When it wants [`Input::Time`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.follower.deadline()
    }

    /// Writes to disk, and returns what it is to be told of that.
    pub fn write(&mut self, job: &Job) -> Input {
        let written = job.perform(&mut self.file);
        self.follower.written(written)
    }

    /// Lets its file have no more pages than this, as on a disk that is full then.
    pub fn limit_disk(&mut self, pages: Option<u32>) {
        self.file.limit(pages);
    }

    /// Lets a thread judge its streams again, as it does after a change, or every second: whether it judged
    /// all of them.
    pub fn recheck(&mut self, thread: usize) -> bool {
        let Some(thread) = self.threads.get_mut(thread) else {
            return false;
        };
        let is_behind = thread.recheck.is_behind();
        let mut judging = if is_behind {
            thread.recheck.follow().boxed_local()
        } else {
            thread.recheck.round().boxed_local()
        };
        // It pauses for others on its thread: here are none.
        while judging.as_mut().now_or_never().is_none() {}
        !is_behind
    }

    /// The change that threads are to enforce, while not all do.
    #[must_use]
    pub fn awaited(&self) -> Option<u64> {
        self.follower.awaited()
    }

    /// What every thread enforces, if that is waited for.
    #[must_use]
    pub fn enforced(&self) -> Option<Input> {
        let generation = self.follower.awaited()?;
        let mut threads = self.shared.enforced.iter();
        let all = threads.all(|thread| thread.load(Ordering::Acquire) >= generation);
        all.then_some(Input::Enforced(generation))
    }

    /// A request, as a thread begins it: registered first, judged second.
    #[must_use]
    pub fn request(&self, request: &DrivenRequest<'_>) -> DrivenOutcome {
        let Some(thread) = self.threads.get(request.thread) else {
            return DrivenOutcome {
                must_judge: false,
                stream: Err(DrivenRefusal::Code(ErrorCode::ServerError)),
            };
        };
        let started = self.begun + request.at;
        let credential = Credential::KeyDigest(KeyDigest::of(request.key));
        let connection = Arc::clone(&request.connection.0);
        let stream = thread.live.register(connection, credential, started);
        let (connection, credential) = (&stream.connection, &stream.credential);
        let must_judge = must_judge(&self.shared, connection, credential).is_some();
        // It is read before and after a verdict.
        let read = Cell::new(started);
        let clock = || read.replace(read.get() + request.verdict);
        let arrival = Arrival {
            observer: None,
            shares: &self.shared.shares,
            thread: request.thread,
            takes_place: true,
            clock: &clock,
        };
        let mut record = Record::of_connection(connection);
        let admitted = admit(
            &self.shared,
            connection,
            credential,
            &mut record,
            Some(&arrival),
        );
        let admitted = admitted.map(|admission| {
            if let Some(place) = admission.place {
                stream.keep(place);
            }
        });
        DrivenOutcome {
            must_judge,
            stream: admitted.map(|()| DrivenStream(stream)).map_err(Into::into),
        }
    }

    /// The digests of the organizations in force.
    #[must_use]
    pub fn digests(&self) -> HashMap<OrganizationId, Option<Sha256>> {
        let snapshot = self.shared.snapshot.load();
        let organizations = snapshot.organizations();
        organizations
            .map(|each| (each.id().clone(), each.digest()))
            .collect()
    }

    /// Why nothing passes now, and what is wrong while requests are served: what `/readyz` says.
    #[must_use]
    pub fn health(&self) -> (Option<String>, Vec<String>) {
        let now = self.shared.now();
        (self.shared.too_old(now), self.shared.contact.warnings(now))
    }
}
