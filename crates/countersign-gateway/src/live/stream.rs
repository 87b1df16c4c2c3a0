//! The streams under way. Every stream is registered here before it is judged, so that a change of
//! trust in between cannot be missed; and it is cut when what let it in no longer holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use countersign_proxy::{CutSignal, Exchange};
use http::HeaderName;
use slab::Slab;

use crate::{
    caller::credential::Credential, connection::Connection, identity_headers::claims_identity,
};

/// One request under way: it stays registered until both its bodies have ended.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The connection that it arrived on.
    pub(crate) connection: Arc<Connection>,
    /// What its caller is looked up by, each time it is judged.
    pub(crate) credential: Credential,
    cut: CutSignal,
    live: Arc<LiveStreams>,
    /// Its index among the live streams.
    index: usize,
}

impl Exchange for Stream {
    fn cut_signal(&self) -> &CutSignal {
        &self.cut
    }

    fn is_reserved(name: &HeaderName) -> bool {
        claims_identity(name.as_str())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.live.lock().try_remove(self.index);
    }
}

/// The streams of one thread.
#[derive(Debug, Default)]
pub(crate) struct LiveStreams {
    streams: Mutex<Slab<Weak<Stream>>>,
}

impl LiveStreams {
    /// Registers a stream. It stays registered for as long as anyone holds it.
    pub(crate) fn register(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        credential: Credential,
    ) -> Arc<Stream> {
        let mut streams = self.lock();
        let entry = streams.vacant_entry();
        let stream = Arc::new(Stream {
            connection,
            credential,
            cut: CutSignal::default(),
            live: Arc::clone(self),
            index: entry.key(),
        });
        entry.insert(Arc::downgrade(&stream));
        stream
    }

    /// The streams under way now.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.lock()
            .iter()
            .filter_map(|(_, stream)| stream.upgrade())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Weak<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
