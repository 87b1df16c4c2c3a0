//! A gateway without sockets, threads and time of its own: somebody else has the network, the disk's
//! thread and the clock, and says when what happens. Whatever decides is what a running gateway has. The
//! simulation drives it.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
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
    access_log::Record,
    admission::admit,
    caller::credential::Credential,
    connection::Connection,
    live::{
        recheck::Recheck,
        stream::{LiveStreams, Stream},
    },
    options::GatewayOptions,
    shared::{Clock, Shared},
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

    /// Lets a thread judge its streams again.
    pub fn recheck(&mut self, thread: usize) {
        if let Some(thread) = self.threads.get_mut(thread) {
            let mut round = Box::pin(thread.recheck.round());
            // It pauses for others on its thread: here are none.
            while round.as_mut().now_or_never().is_none() {}
        }
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
    ///
    /// # Errors
    /// The code that it is refused with.
    pub fn request(
        &self,
        thread: usize,
        connection: &DrivenConnection,
        key: &str,
    ) -> Result<DrivenStream, ErrorCode> {
        let thread = self.threads.get(thread).ok_or(ErrorCode::ServerError)?;
        let credential = Credential::KeyDigest(KeyDigest::of(key));
        let stream = thread.live.register(
            Arc::clone(&connection.0),
            credential,
            std::time::Instant::now(),
        );
        let mut record = Record::of_connection(&connection.0);
        let (connection, credential) = (&stream.connection, &stream.credential);
        admit(&self.shared, connection, credential, &mut record, None)
            .map_err(|refusal| refusal.code)?;
        Ok(DrivenStream(stream))
    }

    /// The digests of the organizations in force.
    #[must_use]
    pub fn digests(&self) -> HashMap<OrganizationId, Option<Sha256>> {
        let snapshot = self.shared.snapshot.load();
        let bundles = snapshot.bundles();
        bundles.map(|each| (each.id.clone(), each.digest)).collect()
    }

    /// Why nothing passes now, and what is wrong while requests are served: what `/readyz` says.
    #[must_use]
    pub fn health(&self) -> (Option<String>, Vec<String>) {
        let now = self.shared.now();
        (self.shared.too_old(now), self.shared.contact.warnings(now))
    }
}
