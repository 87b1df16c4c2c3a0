//! The streams under way. Every stream is registered here before it is judged, so that a change of
//! trust in between cannot be missed; it is held while what let it in is in question, and cut when
//! that no longer holds.
//!
//! A stream and whatever carries its bytes live on one thread, and so does what judges it again.
//! For each organization, that thread counts the changes that it noticed; a stream that was not judged
//! since the latest of them passes nothing on. So a change holds every stream of its organization with one
//! write to memory, and what this costs a stream is to compare two numbers for each frame. What was handed to a socket
//! before counts as passed on.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_proxy::{ClientState, CutSignal, Exchange, Progress};
use countersign_types::id::OrganizationId;
use http::HeaderName;
use slab::Slab;

use crate::{
    caller::credential::Credential,
    connection::Connection,
    identity_headers::{claims_identity, passes_for_framing, tells_of_connection},
    shared::Shared,
    shares::StreamPlace,
    under_way::UnderWay,
};

/// One request under way: it stays registered until both its bodies have ended.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The connection that it arrived on.
    pub(crate) connection: Arc<Connection>,
    /// What its caller is looked up by, each time it is judged.
    pub(crate) credential: Credential,
    /// Its place among the streams of its organization, once it passes.
    place: OnceLock<StreamPlace>,
    cut: CutSignal,
    progress: Progress,
    /// None until it is forwarded.
    under_way: Mutex<Option<UnderWay>>,
    live: Arc<LiveStreams>,
    /// Its index among the live streams.
    index: usize,
    /// How many changes its thread had enforced when it was last judged.
    judged: AtomicU64,
}

impl Stream {
    /// Lets it go on: it was judged since its thread enforced this many changes.
    pub(crate) fn pass(&self, changes: u64) {
        let before = self.judged.swap(changes, Ordering::AcqRel);
        if before != changes {
            self.cut.wake();
        }
    }

    /// Counts it among its organization's, until it ends: from now on only their changes concern it. It was
    /// judged a moment ago, and its thread has noticed no change since.
    pub(crate) fn keep(&self, mut place: StreamPlace) {
        place.register(self.index);
        self.judged.store(place.changes(), Ordering::Release);
        // It passes once, so there is no other.
        if self.place.set(place).is_ok() {
            self.live.unplaced.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many changes that concern it its thread has noticed.
    pub(crate) fn changes(&self) -> u64 {
        match self.place.get() {
            Some(place) => place.changes(),
            None => self.live.changes(),
        }
    }

    /// Whether it was let through.
    pub(crate) fn has_passed(&self) -> bool {
        self.place.get().is_some()
    }

    /// How long it has been under way.
    pub(crate) fn age(&self) -> Duration {
        self.progress.duration()
    }

    /// Whether it is found where this organization's requests are looked for.
    pub(crate) fn is_found_by(&self, organization: &OrganizationId) -> bool {
        let place = self.place.get();
        place.is_none_or(|place| place.is_of(organization))
    }
}

impl Exchange for Stream {
    fn cut_signal(&self) -> &CutSignal {
        &self.cut
    }

    fn is_held(&self) -> bool {
        self.judged.load(Ordering::Acquire) != self.changes()
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn client(&self) -> &ClientState {
        &self.connection.client
    }

    fn is_reserved(name: &HeaderName) -> bool {
        let name = name.as_str();
        claims_identity(name) || tells_of_connection(name) || passes_for_framing(name)
    }
}

impl Stream {
    /// Says that the request was forwarded: from now on it is logged, however it ends.
    pub(crate) fn begin(&self, under_way: UnderWay) {
        *lock(&self.under_way) = Some(under_way);
    }

    /// Uses what is to be logged of it.
    pub(crate) fn with_under_way<T>(&self, use_it: impl FnOnce(&mut UnderWay) -> T) -> T {
        let mut under_way = lock(&self.under_way);
        let unknown = || UnderWay::not_forwarded(&self.connection);
        use_it(under_way.get_or_insert_with(unknown))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.live.lock().try_remove(self.index);
        if self.place.get().is_none() {
            self.live.unplaced.fetch_sub(1, Ordering::Relaxed);
        }
        let under_way = self.under_way.get_mut();
        let under_way = under_way.unwrap_or_else(PoisonError::into_inner);
        if let (Some(under_way), Some(shared)) = (under_way, &self.live.shared) {
            under_way.end(&self.progress, shared);
        }
    }
}

/// The streams of one thread.
#[derive(Debug, Default)]
pub(crate) struct LiveStreams {
    /// Counts and logs how requests end, if anything does.
    shared: Option<Arc<Shared>>,
    streams: Mutex<Slab<Weak<Stream>>>,
    /// How many of them are not counted among an organization's.
    unplaced: AtomicUsize,
    /// How many changes of trust this thread has noticed.
    changes: AtomicU64,
}

impl LiveStreams {
    /// No streams yet; how they end is counted and logged.
    pub(crate) fn logged_by(shared: Arc<Shared>) -> Self {
        Self {
            shared: Some(shared),
            ..Self::default()
        }
    }

    /// Registers a stream of a request that arrived then. It stays registered for as long as anyone holds it.
    pub(crate) fn register(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        credential: Credential,
        started: Instant,
    ) -> Arc<Stream> {
        self.unplaced.fetch_add(1, Ordering::Relaxed);
        let mut streams = self.lock();
        let entry = streams.vacant_entry();
        let stream = Arc::new(Stream {
            connection,
            credential,
            place: OnceLock::new(),
            cut: CutSignal::default(),
            progress: Progress::since(started),
            under_way: Mutex::default(),
            live: Arc::clone(self),
            index: entry.key(),
            judged: AtomicU64::new(self.changes()),
        });
        entry.insert(Arc::downgrade(&stream));
        stream
    }

    /// Holds the streams that are not counted among an organization's until they are judged again.
    pub(crate) fn hold(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// How many times they were held.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How many streams are under way.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The streams under way now that were not cut, those held for longest first.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        let streams = self.lock();
        judgeable(streams.iter().map(|(_, stream)| stream))
    }

    /// The same of those in certain places, and those that are not counted among an organization's.
    pub(crate) fn streams_at(&self, places: &[usize]) -> Vec<Arc<Stream>> {
        if self.unplaced.load(Ordering::Relaxed) > 0 {
            // A request is counted in the moment in which it is registered: there are none but in tests.
            return self.streams();
        }
        let streams = self.lock();
        judgeable(places.iter().filter_map(|place| streams.get(*place)))
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Weak<Stream>>> {
        lock(&self.streams)
    }
}

fn judgeable<'s>(streams: impl Iterator<Item = &'s Weak<Stream>>) -> Vec<Arc<Stream>> {
    let mut streams: Vec<_> = streams
        .filter_map(Weak::upgrade)
        .filter(|stream| !stream.cut.is_cut())
        .collect();
    streams.sort_by_key(|stream| stream.judged.load(Ordering::Acquire));
    streams
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::id::ProjectId;
    use countersign_verify::presented::Presented;

    fn register(live: &Arc<LiveStreams>) -> Arc<Stream> {
        let peer = ([127, 0, 0, 1], 1).into();
        let connection = Connection::new(Presented::default(), peer, None);
        let credential = Credential::FixedProject(ProjectId::from_random(1));
        live.register(Arc::new(connection), credential, Instant::now())
    }

    #[test]
    fn a_change_holds_every_stream_until_it_is_judged_since() {
        let live = Arc::new(LiveStreams::default());
        let (first, second) = (register(&live), register(&live));
        assert!(!first.is_held());
        live.hold();
        assert!(first.is_held() && second.is_held());
        assert!(!register(&live).is_held(), "it is judged as it begins");
        let before = live.changes();
        first.pass(before);
        assert!(!first.is_held() && second.is_held());
        live.hold();
        second.pass(before);
        assert!(second.is_held(), "it was judged before the latest change");
    }

    #[test]
    fn those_held_for_longest_come_first_and_what_is_over_or_cut_is_left_out() {
        let live = Arc::new(LiveStreams::default());
        let streams: Vec<_> = (0..4).map(|_| register(&live)).collect();
        live.hold();
        streams[0].pass(live.changes());
        streams[2].cut_signal().cut();
        let [first, second, _, last] = <[_; 4]>::try_from(streams).unwrap();
        drop(last);
        let order: Vec<_> = live.streams().iter().map(|each| each.index).collect();
        assert_eq!(order, [second.index, first.index]);
    }
}
