//! An upstream: which addresses it has, and which of them serves the next request.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::lookup_host, time::timeout};

use crate::{
    connect::Unconnected,
    connections::{Connections, lock},
    exchange::Exchange,
    target::{Host, Target, TargetOptions},
};

/// How often names are resolved while there are requests; Envoy's default.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// How soon they may be resolved again when an address cannot be connected to.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_secs(1);

/// An upstream, as one thread uses it.
#[derive(Debug)]
pub(crate) struct Upstream<E: Exchange> {
    /// The servers as they are configured.
    first: Arc<Target>,
    others: Vec<Arc<Target>>,
    pub(crate) options: Arc<TargetOptions>,
    has_names: bool,
    known: Mutex<Known<E>>,
    /// Held while names are resolved for the first time.
    resolving: tokio::sync::Mutex<()>,
    turn: AtomicUsize,
}

/// What is known of the addresses.
#[derive(Debug)]
struct Known<E: Exchange> {
    list: Arc<[Arc<Connections<E>>]>,
    resolved: Instant,
    resolving: bool,
}

impl<E: Exchange> Upstream<E> {
    /// An upstream of one server or more. Its addresses take turns, beginning with this one.
    pub(crate) fn new(first: Target, others: Vec<Target>, turn: usize) -> Arc<Self> {
        let options = Arc::clone(&first.options);
        let first = Arc::new(first);
        let others: Vec<_> = others.into_iter().map(Arc::new).collect();
        let fixed = std::iter::once(&first).chain(&others);
        let fixed = fixed.map(|target| match target.host {
            Host::Address(ip) => {
                let address = SocketAddr::new(ip, target.port);
                Some(Connections::new(Arc::clone(target), address))
            }
            Host::Name(_) => None,
        });
        let fixed: Option<Arc<[_]>> = fixed.collect();
        Arc::new(Self {
            has_names: fixed.is_none(),
            known: Mutex::new(Known {
                list: fixed.unwrap_or_default(),
                resolved: Instant::now(),
                resolving: false,
            }),
            first,
            others,
            options,
            resolving: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(turn),
        })
    }

    /// The server that requests are written for until addresses are known.
    pub(crate) const fn first_target(&self) -> &Arc<Target> {
        &self.first
    }

    /// The address for the next request: of those that were not tried for it and are not left out,
    /// the one with the fewest requests under way on this thread; where several are alike, they
    /// take turns. None while no address is known, or when all were tried. If all are left out, none is.
    pub(crate) fn choose(self: &Arc<Self>, tried: &[SocketAddr]) -> Option<Arc<Connections<E>>> {
        if self.has_names {
            self.resolve_after(RESOLVE_INTERVAL);
        }
        let list = {
            let known = lock(&self.known);
            if let [only] = &*known.list {
                return tried.is_empty().then(|| Arc::clone(only));
            }
            Arc::clone(&known.list)
        };
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, after) = list.split_at(turn % list.len().max(1));
        let choose = |left_out_too: bool| {
            after
                .iter()
                .chain(before)
                .filter(|each| !tried.contains(&each.address()))
                .filter(|each| left_out_too || !each.health.is_left_out(now))
                // Each request under way holds its connections.
                .min_by_key(|each| Arc::strong_count(each))
        };
        choose(false).or_else(|| choose(true)).cloned()
    }

    /// Counts an address to which there was no connection, and leaves it out for a while.
    pub(crate) fn fail(self: &Arc<Self>, connections: &Connections<E>) {
        self.options.counters.failures.increment(1);
        connections.health.fail(Instant::now());
        self.count_left_out();
        if self.has_names {
            self.resolve_after(MIN_RESOLVE_INTERVAL);
        }
    }

    /// Counts a new connection that ended before it answered anything.
    pub(crate) fn end_silently(&self, connections: &Connections<E>) {
        if connections.health.end_silently(Instant::now()) {
            self.count_left_out();
        }
    }

    fn count_left_out(&self) {
        if lock(&self.known).list.len() > 1 {
            self.options.counters.ejections.increment(1);
        }
    }

    /// Resolves names for the first time.
    pub(crate) async fn resolve_first(&self) -> Result<(), Unconnected> {
        let limit = self.options.limits.connect_timeout;
        let resolved = async {
            let _one_at_a_time = self.resolving.lock().await;
            if lock(&self.known).list.is_empty() {
                self.resolve().await?;
            }
            Ok(())
        };
        let resolved = timeout(limit, resolved).await;
        resolved.map_err(|_| Unconnected::TimedOut(limit))?
    }

    /// Begins to resolve names again if that is long enough ago.
    fn resolve_after(self: &Arc<Self>, interval: Duration) {
        let mut known = lock(&self.known);
        if known.resolving || known.list.is_empty() || known.resolved.elapsed() < interval {
            return;
        }
        known.resolving = true;
        let upstream = Arc::clone(self);
        tokio::spawn(async move {
            // What cannot be resolved stays as it was.
            let _ = upstream.resolve().await;
            let mut known = lock(&upstream.known);
            known.resolving = false;
            known.resolved = Instant::now();
        });
    }

    /// Resolves every name, and keeps the connections to addresses that stay.
    async fn resolve(&self) -> io::Result<()> {
        let mut found: Vec<(&Arc<Target>, SocketAddr)> = Vec::new();
        let mut failure = None;
        for target in std::iter::once(&self.first).chain(&self.others) {
            let addresses = match &target.host {
                Host::Address(ip) => Ok(vec![SocketAddr::new(*ip, target.port)]),
                Host::Name(name) => lookup_host((name.as_str(), target.port))
                    .await
                    .map(Iterator::collect),
            };
            let addresses: Vec<SocketAddr> = addresses.unwrap_or_else(|error| {
                failure = Some(error);
                self.known_of(target)
            });
            for address in addresses {
                let new = (target, address);
                if !found.iter().any(|each| is_same(*each, new)) {
                    found.push(new);
                }
            }
        }
        if found.is_empty() {
            let nothing = || io::Error::other("its name has no address");
            return Err(failure.unwrap_or_else(nothing));
        }
        let mut known = lock(&self.known);
        let list = found.into_iter().map(|new| {
            let mut old = known.list.iter();
            let old = old.find(|old| is_same((old.target(), old.address()), new));
            old.cloned()
                .unwrap_or_else(|| Connections::new(Arc::clone(new.0), new.1))
        });
        let list = list.collect();
        known.list = list;
        known.resolved = Instant::now();
        Ok(())
    }

    /// The addresses that a server had so far.
    fn known_of(&self, target: &Arc<Target>) -> Vec<SocketAddr> {
        let known = lock(&self.known);
        let of_it = known
            .list
            .iter()
            .filter(|each| Arc::ptr_eq(each.target(), target));
        of_it.map(|each| each.address()).collect()
    }
}

fn is_same(one: (&Arc<Target>, SocketAddr), other: (&Arc<Target>, SocketAddr)) -> bool {
    one.1 == other.1 && Arc::ptr_eq(one.0, other.0)
}
