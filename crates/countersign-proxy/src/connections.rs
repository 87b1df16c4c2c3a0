//! The connections to one address of an upstream.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use http::HeaderMap;
use tokio::time::{Instant, sleep};

use crate::{
    connect::{Http1, Unconnected, open_http1},
    exchange::Exchange,
    health::Health,
    http2_upstream::{Http2, open_http2},
    last_use::LastUse,
    opening::Slot,
    target::Target,
    traffic::Traffic,
};

/// How often what idles is looked at, at most.
const MIN_SWEEP: Duration = Duration::from_millis(100);

/// The connections to one address of an upstream.
#[derive(Debug)]
pub(crate) struct Connections<E: Exchange> {
    target: Arc<Target>,
    address: SocketAddr,
    idle: Mutex<Idle<E>>,
    /// The one HTTP/2 connection, which all requests share.
    shared: Mutex<Slot>,
    /// How many HTTP/2 connections were begun.
    begun: AtomicU64,
    /// When a request on the shared one last began or ended.
    shared_use: LastUse,
    pub(crate) health: Health,
}

/// The idle HTTP/1.1 connections.
#[derive(Debug)]
struct Idle<E: Exchange> {
    entries: Vec<Entry<E>>,
    /// Whether a task closes those that have idled for long.
    swept: bool,
}

#[derive(Debug)]
struct Entry<E: Exchange> {
    connection: Http1<E>,
    since: Instant,
    until: Instant,
}

/// A borrowed connection. An HTTP/1.1 connection is to be given back when its response was read to
/// its end; and each counts as a request under way until then.
#[derive(Debug)]
pub(crate) struct Lease<E: Exchange> {
    connections: Arc<Connections<E>>,
    of: Leased<E>,
}

#[derive(Debug)]
enum Leased<E: Exchange> {
    /// The connection, and how long it may idle.
    Http1(Http1<E>, Duration),
    /// A share of the connection.
    Http2(#[expect(dead_code, reason = "it is held")] Arc<()>),
}

impl<E: Exchange> Lease<E> {
    /// What has passed over the HTTP/1.1 connection.
    pub(crate) fn traffic(&self) -> Option<&Traffic> {
        match &self.of {
            Leased::Http1(connection, _) => Some(&connection.traffic),
            Leased::Http2(_) => None,
        }
    }

    /// Puts the connection among the idle ones: it idles since this time.
    pub(crate) fn give_back(self, since: Instant) {
        match self.of {
            Leased::Http1(connection, idle_for) => {
                self.connections.keep(connection, since, idle_for);
            }
            Leased::Http2(_) => self.connections.shared_use.note(since),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Exchange> Connections<E> {
    pub(crate) fn new(target: Arc<Target>, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            target,
            address,
            idle: Mutex::new(Idle {
                entries: Vec::new(),
                swept: false,
            }),
            shared: Mutex::default(),
            begun: AtomicU64::new(0),
            shared_use: LastUse::new(Instant::now()),
            health: Health::default(),
        })
    }

    pub(crate) const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long ago the idle connection that would be taken was used.
    pub(crate) fn last_used(&self, now: Instant) -> Option<Duration> {
        let idle = lock(&self.idle);
        let since = idle.entries.last()?.since;
        Some(now.saturating_duration_since(since))
    }

    /// The idle connection that was used last.
    pub(crate) fn take_idle(&self, now: Instant) -> Option<Http1<E>> {
        let mut idle = lock(&self.idle);
        while let Some(entry) = idle.entries.pop() {
            let connection = entry.connection;
            if connection.sender.is_ready()
                && now < entry.until
                && self.target.is_current(connection.tls.as_ref())
            {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(
        self: &Arc<Self>,
        mut connection: Http1<E>,
        since: Instant,
        idle_for: Duration,
    ) {
        let limits = &self.target.options.limits;
        if idle_for.is_zero() || connection.sender.is_closed() {
            return;
        }
        connection.reused = true;
        let mut idle = lock(&self.idle);
        if idle.entries.len() >= limits.max_idle_connections {
            return;
        }
        idle.entries.push(Entry {
            connection,
            since,
            until: since + idle_for,
        });
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), idle_for));
        }
    }

    /// Closes what has idled long enough; when to look again, unless nothing is left.
    fn close_idle(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        idle.entries.retain(|entry| {
            let connection = &entry.connection;
            now < entry.until
                && !connection.sender.is_closed()
                && self.target.is_current(connection.tls.as_ref())
        });
        let first = idle.entries.iter().map(|entry| entry.until).min();
        idle.swept = first.is_some();
        first.map(|until| until.saturating_duration_since(now).max(MIN_SWEEP))
    }

    pub(crate) async fn open_http1(&self) -> Result<Http1<E>, Unconnected> {
        open_http1(&self.target, self.address).await
    }

    pub(crate) fn lease_http1(self: &Arc<Self>, of: Http1<E>, answer: &HeaderMap) -> Lease<E> {
        let idle_for = self.target.options.limits.idle_for(answer);
        Lease {
            connections: Arc::clone(self),
            of: Leased::Http1(of, idle_for),
        }
    }

    pub(crate) fn lease_http2(self: &Arc<Self>, share: Arc<()>) -> Lease<E> {
        Lease {
            connections: Arc::clone(self),
            of: Leased::Http2(share),
        }
    }

    /// The HTTP/2 connection, and whether it is older than this call. One that is being opened is
    /// waited for, so that any number of requests open one.
    pub(crate) async fn http2(
        self: &Arc<Self>,
        now: Instant,
    ) -> Result<(Http2, bool), Unconnected> {
        self.shared_use.note(now);
        let opening = {
            let mut slot = lock(&self.shared);
            if let Some(known) = slot.open()
                && !known.is_ended()
                && self.target.is_current(known.tls.as_ref())
            {
                return Ok((known.clone(), true));
            }
            slot.opening().unwrap_or_else(|| {
                let opening = Arc::clone(self).open_shared().boxed().shared();
                slot.begin(&opening);
                opening
            })
        };
        Ok((opening.await?, false))
    }

    async fn open_shared(self: Arc<Self>) -> Result<Http2, Unconnected> {
        let opened = self.open_http2().await;
        lock(&self.shared).end(opened.as_ref().ok());
        if let Ok(Http2 { number, .. }) = opened {
            tokio::spawn(close_shared(Arc::downgrade(&self), number));
        }
        opened
    }

    pub(crate) async fn open_http2(&self) -> Result<Http2, Unconnected> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        open_http2(&self.target, self.address, number).await
    }

    /// How long ago the shared HTTP/2 connection was used.
    pub(crate) fn shared_last_used(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.shared_use.last())
    }

    /// Closes the shared HTTP/2 connection in order if it has idled long enough; when to look again,
    /// unless it is gone.
    fn close_idle_shared(&self, number: u64) -> Option<Duration> {
        let mut slot = lock(&self.shared);
        let known = slot.open().filter(|known| known.number == number)?;
        let idle_for = self.target.options.limits.shared_idle_for();
        if known.is_used() {
            return Some(idle_for);
        }
        let idled = self.shared_last_used(Instant::now());
        let left = idle_for.saturating_sub(idled);
        if left.is_zero() {
            slot.retire();
            return None;
        }
        Some(left)
    }

    /// Gives an HTTP/2 connection no further request: its upstream is ending it.
    pub(crate) fn retire(&self, number: u64) {
        let mut slot = lock(&self.shared);
        if slot.open().is_some_and(|known| known.number == number) {
            slot.retire();
        }
    }
}

/// Closes the shared HTTP/2 connection of this number once it has idled long enough.
async fn close_shared<E: Exchange>(connections: Weak<Connections<E>>, number: u64) {
    let mut wait = Duration::ZERO;
    loop {
        sleep(wait.max(MIN_SWEEP)).await;
        let next = connections
            .upgrade()
            .and_then(|each| each.close_idle_shared(number));
        let Some(next) = next else {
            return;
        };
        wait = next;
    }
}

async fn sweep<E: Exchange>(connections: Weak<Connections<E>>, first: Duration) {
    let mut wait = first.max(MIN_SWEEP);
    loop {
        sleep(wait).await;
        let next = connections.upgrade().and_then(|each| each.close_idle());
        let Some(next) = next else {
            return;
        };
        wait = next;
    }
}
