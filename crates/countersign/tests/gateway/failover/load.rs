//! Requests at every gateway, one after another, and whether their answers are those of the trust that
//! is expected.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::LIMIT;
use crate::client::{Connection, Tls};

/// How many callers there are.
pub(super) const CALLERS: usize = 4;
/// How long between two requests at a gateway.
const PAUSE: Duration = Duration::from_millis(10);

/// The code that each caller is answered with, empty for a request that passes.
pub(super) type Codes = [&'static str; CALLERS];

/// What is asked at each gateway, and what came back.
pub(super) struct Load {
    pub(super) keys: Arc<Mutex<[String; CALLERS]>>,
    watches: Vec<Arc<Mutex<Watch>>>,
    askers: Vec<JoinHandle<()>>,
}

/// One gateway's answers since something was expected.
struct Watch {
    expected: Codes,
    since: Instant,
    /// By caller, the first answer as expected after the last one that was not.
    right: [Option<Instant>; CALLERS],
    /// How many answers there were in all, and how many requests had none.
    answers: usize,
    unanswered: usize,
}

impl Load {
    pub(super) fn start(gateways: &[SocketAddr], callers: [Tls; CALLERS], key: &str) -> Self {
        let keys = Arc::new(Mutex::new([(); CALLERS].map(|()| key.to_owned())));
        let mut load = Self {
            keys,
            watches: Vec::new(),
            askers: Vec::new(),
        };
        for gateway in gateways {
            let watch = Arc::new(Mutex::new(Watch {
                expected: [""; CALLERS],
                since: Instant::now(),
                right: [None; CALLERS],
                answers: 0,
                unanswered: 0,
            }));
            let asker = Asker {
                gateway: *gateway,
                callers: callers.clone(),
                kept: [const { None }; CALLERS],
                keys: Arc::clone(&load.keys),
                watch: Arc::clone(&watch),
            };
            load.watches.push(watch);
            load.askers.push(tokio::spawn(asker.run()));
        }
        load
    }

    /// From now on, every gateway should answer so.
    pub(super) fn expect(&self, expected: Codes) {
        for watch in &self.watches {
            let mut watch = lock(watch);
            (watch.expected, watch.since) = (expected, Instant::now());
            watch.right = [None; CALLERS];
        }
    }

    /// Waits until every gateway does.
    pub(super) async fn settled(&self) {
        let settled = async {
            let mut looks = interval(PAUSE);
            while self.since_when().iter().any(Option::is_none) {
                looks.tick().await;
            }
        };
        timeout(LIMIT, settled)
            .await
            .expect("the gateways to answer as expected");
    }

    /// Since when each gateway answers as expected, whoever calls; none while it does not.
    pub(super) fn since_when(&self) -> Vec<Option<Instant>> {
        let watches = self.watches.iter();
        watches
            .map(|watch| {
                let right: Option<Vec<_>> = lock(watch).right.iter().copied().collect();
                right.and_then(|right| right.into_iter().max())
            })
            .collect()
    }

    /// By gateway, how many answers there were, and how many requests without one.
    pub(super) fn counts(&self) -> Vec<(usize, usize)> {
        let counts = |watch: &Arc<Mutex<Watch>>| {
            let watch = lock(watch);
            (watch.answers, watch.unanswered)
        };
        self.watches.iter().map(counts).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for asker in &self.askers {
            asker.abort();
        }
    }
}

struct Asker {
    gateway: SocketAddr,
    callers: [Tls; CALLERS],
    /// A connection of each caller that is used again and again.
    kept: [Option<Connection>; CALLERS],
    keys: Arc<Mutex<[String; CALLERS]>>,
    watch: Arc<Mutex<Watch>>,
}

impl Asker {
    async fn run(mut self) {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 0_usize.. {
            for caller in 0..CALLERS {
                ticks.tick().await;
                let key = lock(&self.keys)[caller].clone();
                let asked = Instant::now();
                let code = if turn % 2 == 0 {
                    self.callers[caller].try_code(self.gateway, &key).await
                } else {
                    self.ask_again(caller, &key).await
                };
                lock(&self.watch).note(caller, asked, code.as_deref());
            }
        }
    }

    /// Asks on the connection that is kept.
    async fn ask_again(&mut self, caller: usize, key: &str) -> Option<String> {
        let mut connection = match self.kept[caller].take() {
            Some(connection) => connection,
            None => self.callers[caller].connect(self.gateway).await,
        };
        let answer = connection.try_get("/v1/echo", key, "").await?;
        self.kept[caller] = Some(connection);
        Some(answer.code())
    }
}

impl Watch {
    fn note(&mut self, caller: usize, asked: Instant, code: Option<&str>) {
        self.answers += 1;
        let Some(code) = code else {
            self.unanswered += 1;
            return;
        };
        // It was asked under what was expected before, or cut by the change itself.
        if asked < self.since || code == "authentication_temporarily_unavailable" {
            return;
        }
        if code != self.expected[caller] {
            self.right = [None; CALLERS];
        } else if self.right[caller].is_none() {
            self.right[caller] = Some(Instant::now());
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
