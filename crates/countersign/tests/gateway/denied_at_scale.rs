//! Many clients, each with a stream through two gateways and ordinary requests, of which one after another is denied
//! and let in again: only its own streams end, and how long that takes is printed. Settings of a longer run:
//!
//! - `COUNTERSIGN_DENIAL_CLIENTS`: how many clients there are
//! - `COUNTERSIGN_DENIALS`: how many denials are made, one after another
//! - `COUNTERSIGN_DENIALS_BEFORE`: how many denials, of strangers, there are all the time
//! - `COUNTERSIGN_DENIAL_REQUESTS`: how many ordinary requests are sent each second
//! - `COUNTERSIGN_DENIAL_BOUND`: the most milliseconds of 99 in 100 denials and removals
//!
//! `--no-capture` shows the figures.

#![expect(
    clippy::print_stdout,
    reason = "the figures are what a longer run is for"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_gateway::{Gateway, options::GatewayOptions};
use countersign_testca::Minted;
use countersign_types::{
    denial::DenialMatch,
    digest::Sha256,
    preview::{MAX_TRUST_CHANGES, TrustChange},
};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    changes::{open_events, open_socket},
    client::Connection,
    denied::{of_leaf, request},
    world::{LIMIT, World},
};

/// Whose stream ended when.
type Ends = mpsc::UnboundedReceiver<(usize, Instant)>;

/// How many ordinary requests are under way at the most.
const ASKING: usize = 8;

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |count| count.parse().unwrap())
}

/// Neither silence nor a slow machine ends a connection: what ends is what was cut.
fn patient(options: &mut GatewayOptions) {
    options.limits.stream_idle_timeout = None;
    options.limits.header_timeout = Duration::from_secs(3600);
    // The streams that are left at the end are not waited for.
    options.limits.drain_timeout = Duration::ZERO;
}

struct Scene {
    world: World,
    addresses: [SocketAddr; 2],
    leaves: Vec<Minted>,
    /// How often each client was denied or let in again: odd while it may be refused.
    turns: Vec<AtomicUsize>,
    /// How many ordinary requests passed, and whether there are enough.
    passed: AtomicUsize,
    enough: AtomicBool,
    /// Whose stream ended when.
    ended: mpsc::UnboundedSender<(usize, Instant)>,
}

impl Scene {
    async fn new(clients: usize) -> (Self, Gateway, Ends) {
        let world = World::with(patient).await;
        world.with_active_ca().await;
        let mut options = world.options.clone();
        options.name = Some("second".to_owned());
        options.data_dir = world.options.data_dir.join("second");
        let second = world.gateway_with(options, 1);
        timeout(LIMIT, second.ready()).await.expect("the bundle");
        let leaf = |number| world.ca.leaf(&format!("client {number}")).mint();
        let (ended, ends) = mpsc::unbounded_channel();
        let scene = Self {
            addresses: [world.address(), second.address()],
            leaves: (0..clients).map(leaf).collect(),
            turns: (0..clients).map(|_| AtomicUsize::new(0)).collect(),
            passed: AtomicUsize::new(0),
            enough: AtomicBool::new(false),
            world,
            ended,
        };
        (scene, second, ends)
    }

    /// Makes denials of certificates that nobody has.
    async fn deny_strangers(&self, count: usize) {
        let changes: Vec<TrustChange> = (0..count)
            .map(|number| {
                let stranger = Sha256::of(number.to_be_bytes());
                let mut denial = request(DenialMatch::LeafSha256(stranger));
                denial.name = format!("stranger {number}");
                TrustChange::CreateDenial(denial)
            })
            .collect();
        for some in changes.chunks(MAX_TRUST_CHANGES) {
            self.world.api.make_changes(some).await.unwrap();
        }
    }

    /// Opens a client's streams, one through each gateway, of two of the three kinds.
    async fn open(&self, number: usize) {
        for (place, address) in self.addresses.into_iter().enumerate() {
            self.open_one(number, (number + place) % 3, address).await;
        }
    }

    async fn open_one(&self, number: usize, kind: usize, address: SocketAddr) {
        let tls = self.world.tls(&[&self.leaves[number]]);
        let ended = self.ended.clone();
        let end = move || ended.send((number, Instant::now())).unwrap_or_default();
        if kind == 2 {
            let request = Request::get("https://localhost/v1/events")
                .header("authorization", format!("Bearer {}", self.world.key))
                .body(Full::<Bytes>::default())
                .unwrap();
            let mut response = tls.http2(address, request).await.unwrap();
            response.body_mut().frame().await.unwrap().unwrap();
            tokio::spawn(async move {
                while let Some(Ok(_)) = response.body_mut().frame().await {}
                end();
            });
            return;
        }
        let mut connection = tls.connect(address).await;
        if kind == 0 {
            open_events(&self.world, &mut connection).await;
        } else {
            open_socket(&self.world, &mut connection).await;
        }
        tokio::spawn(async move {
            connection.rest().await;
            end();
        });
    }

    /// Sends a client's request on the connection that it keeps, or on another; its code, empty if it passes.
    async fn code(
        &self,
        number: usize,
        address: SocketAddr,
        kept: &mut Option<Connection>,
    ) -> Option<String> {
        let tls = || self.world.tls(&[&self.leaves[number]]);
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => tls().connect(address).await,
        };
        let answer = connection.try_get("/v1/echo", &self.world.key, "").await?;
        if answer.header("connection") != Some("close") {
            *kept = Some(connection);
        }
        Some(answer.code())
    }

    /// Sends a client's next ordinary request. Nothing is said of who is denied meanwhile.
    async fn ask(&self, number: usize, kept: &mut Option<Connection>) {
        let turn = self.turns[number].load(Ordering::SeqCst);
        if turn % 2 == 1 {
            return;
        }
        let code = self.code(number, self.addresses[number % 2], kept).await;
        if self.turns[number].load(Ordering::SeqCst) == turn {
            assert_eq!(code.as_deref(), Some(""), "client {number} is not denied");
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets every client ask in turn, so many times each second, until there is enough.
    fn traffic(self: &Arc<Self>, each_second: usize) -> Vec<JoinHandle<()>> {
        let pause = Duration::from_secs(1) * u32::try_from(ASKING).unwrap();
        let pause = pause / u32::try_from(each_second.max(1)).unwrap();
        let asking = (0..ASKING).map(|first| {
            let scene = Arc::clone(self);
            tokio::spawn(async move {
                let mut kept: Vec<_> = scene.leaves.iter().map(|_| None).collect();
                let mut ticks = interval(pause);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for number in (first..kept.len()).step_by(ASKING).cycle() {
                    ticks.tick().await;
                    if scene.enough.load(Ordering::Relaxed) {
                        return;
                    }
                    scene.ask(number, &mut kept[number]).await;
                }
            })
        });
        asking.collect()
    }

    /// Asks with a client until both gateways let it in.
    async fn let_in(&self, number: usize, kept: &mut [Option<Connection>; 2]) -> Instant {
        let asking = async {
            for (address, kept) in self.addresses.into_iter().zip(kept) {
                while self.code(number, address, kept).await.as_deref() != Some("") {}
            }
            Instant::now()
        };
        timeout(LIMIT, asking).await.expect("to be let in again")
    }

    /// Waits until a client is cut off, at both gateways.
    async fn cut(&self, number: usize, ended: &mut Ends) -> Instant {
        let mut last = Instant::now();
        for _ in self.addresses {
            let end = timeout(LIMIT, ended.recv()).await.expect("to be cut");
            let (of, end) = end.unwrap();
            assert_eq!(of, number, "another client's stream ended");
            last = end;
        }
        last
    }

    /// Denies a client and lets it in again; how long it takes until its last stream ends, and until both gateways
    /// let it in.
    async fn deny(&self, number: usize, ended: &mut Ends) -> [Duration; 2] {
        let mut kept = [None, None];
        for (address, kept) in self.addresses.into_iter().zip(&mut kept) {
            let code = self.code(number, address, kept).await;
            assert_eq!(code.as_deref(), Some(""));
        }
        self.turns[number].fetch_add(1, Ordering::SeqCst);
        let denials = self.world.api.denials();
        let asked = request(of_leaf(&self.leaves[number]));
        let start = Instant::now();
        let made = denials.create(&asked).await.unwrap();
        let cut = self.cut(number, ended).await - start;
        self.world.enforced(made.revision.unwrap()).await;
        let start = Instant::now();
        let removed = denials.delete(&made.value.id).await.unwrap();
        let back = self.let_in(number, &mut kept).await - start;
        self.world.enforced(removed.revision.unwrap()).await;
        self.open(number).await;
        self.turns[number].fetch_add(1, Ordering::SeqCst);
        [cut, back]
    }
}

/// Prints the times, and gives the 99th of a hundred.
fn print(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what}, {} times: p50 {:?}, p99 {:?}, longest {:?}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
    at(99)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_the_one_that_is_denied_is_cut() {
    let clients = setting("COUNTERSIGN_DENIAL_CLIENTS", 12);
    let (scene, second, mut ended) = Scene::new(clients).await;
    let before = setting("COUNTERSIGN_DENIALS_BEFORE", 20);
    scene.deny_strangers(before).await;
    for number in 0..clients {
        scene.open(number).await;
    }
    let scene = Arc::new(scene);
    let asking = scene.traffic(setting("COUNTERSIGN_DENIAL_REQUESTS", 200));
    let (mut cut, mut back) = (Vec::new(), Vec::new());
    for number in (0..setting("COUNTERSIGN_DENIALS", 12)).map(|denial| denial * 7 % clients) {
        let [until_cut, until_back] = scene.deny(number, &mut ended).await;
        cut.push(until_cut);
        back.push(until_back);
    }
    scene.enough.store(true, Ordering::Relaxed);
    for asking in asking {
        asking.await.expect("no other client to be refused");
    }
    assert!(ended.try_recv().is_err(), "another client's stream ended");
    let passed = scene.passed.load(Ordering::Relaxed);
    assert!(passed > 0, "others asked meanwhile");
    let (cut, back) = (print("cut", cut), print("let in again", back));
    println!("{passed} ordinary requests of the others passed, with {before} other denials");
    let bound = setting("COUNTERSIGN_DENIAL_BOUND", 10_000);
    let bound = Duration::from_millis(bound.try_into().unwrap());
    assert!(cut.max(back) <= bound, "99 in 100 within {bound:?}");
    second.stop();
}
