//! A PostgreSQL cluster whose primary ends again and again, with two control planes and two gateways
//! under load. `cargo xtask failover` runs this, and sets what it needs.

#![expect(
    clippy::print_stdout,
    reason = "the figures are what the command is run for"
)]

mod cluster;
mod load;
mod scene;
mod writer;

use std::{env, time::Duration};

use tokio::time::Instant;

use self::{
    cluster::{End, Way},
    load::Codes,
    scene::Scene,
};

/// What the documentation promises, from when the new primary takes writes.
const BOUND: Duration = Duration::from_secs(10);
/// The longest that anything here waits.
const LIMIT: Duration = Duration::from_secs(180);

const REFUSED: &str = "certificate_verification_failed";
const REQUIRED: &str = "certificate_required";
/// The first caller has a certificate of the anchor that is active at first; the second and the third of
/// another one, the third with a newer key; the fourth has none.
const BEFORE: Codes = ["", REFUSED, "invalid_api_key", REQUIRED];
/// With the other anchor in its place, and the newer key.
const REPLACED: Codes = [REFUSED, "", "", REQUIRED];
/// With both anchors, and the newer key.
const ADDED: Codes = ["", "", "", REQUIRED];

/// How many primaries are to end; none where nobody says.
fn rounds() -> Option<usize> {
    let rounds = env::var("COUNTERSIGN_FAILOVER_KILLS").ok();
    if rounds.is_none() {
        eprintln!("skipped: `cargo xtask failover` sets what it needs");
    }
    rounds.map(|rounds| rounds.parse().unwrap())
}

/// What the rounds came to.
#[derive(Default)]
struct Figures {
    /// From the end of a primary until another takes writes.
    without_primary: Vec<Duration>,
    /// By round and gateway, from then until the gateway answers as the new primary says.
    converged: Vec<Duration>,
}

impl Figures {
    fn add(&mut self, ended: Instant, promoted: Instant, right_since: Vec<Option<Instant>>) {
        self.without_primary.push(promoted - ended);
        for since in right_since {
            let took = since.expect("no answer under lost trust") - promoted;
            assert!(took <= BOUND, "{took:?} after the new primary took writes");
            self.converged.push(took);
        }
    }

    fn print(mut self, title: &str, scene: &Scene) {
        let of = |times: &mut Vec<Duration>| {
            times.sort();
            let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
            format!(
                "p50 {:.2} s, max {:.2} s",
                median.as_secs_f64(),
                most.as_secs_f64()
            )
        };
        println!("{title}: {} primaries ended", self.without_primary.len());
        println!("  without a primary: {}", of(&mut self.without_primary));
        println!(
            "  then until a gateway has converged: {}",
            of(&mut self.converged)
        );
        println!(
            "  answers and requests without one, by gateway: {:?}",
            scene.load.counts()
        );
    }
}

/// Asynchronous replication: what was written last, and enforced, is lost with its primary.
async fn lose(title: &str, way: Way, end: End, rounds: usize) {
    let mut scene = Scene::start(way, false).await;
    let mut figures = Figures::default();
    for round in 0..rounds {
        scene.load.expect(BEFORE);
        scene.load.settled().await;
        let (primary, _) = scene.cluster.until_primary(None).await;
        scene.cluster.hold_replication(primary);
        scene.add_key().await;
        scene.activate(1).await;
        scene.deactivate(0).await;
        scene.load.expect(REPLACED);
        scene.load.settled().await;
        scene.load.expect(BEFORE);
        let ended = Instant::now();
        scene.cluster.end(primary, end);
        let (_, promoted) = scene.cluster.until_primary(Some(primary)).await;
        if round % 2 == 1 {
            // The new history overtakes the lost one, with changes of another organization.
            scene.change_another(8).await;
        }
        scene.load.settled().await;
        scene.restore(primary).await;
        figures.add(ended, promoted, scene.load.since_when());
        println!(
            "{title}, round {round}: {:?}",
            figures.converged.last_chunk::<2>()
        );
    }
    figures.print(title, &scene);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_given_up_behind_haproxy() {
    if let Some(rounds) = rounds() {
        lose("asynchronous, HAProxy", Way::Haproxy, End::Killed, rounds).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_given_up_with_several_hosts() {
    if let Some(rounds) = rounds() {
        lose(
            "asynchronous, several hosts",
            Way::SeveralHosts,
            End::Killed,
            rounds,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_left_behind_haproxy() {
    if let Some(rounds) = rounds() {
        let rounds = rounds.div_ceil(4);
        lose("standing still, HAProxy", Way::Haproxy, End::Frozen, rounds).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_left_with_several_hosts() {
    if let Some(rounds) = rounds() {
        let rounds = rounds.div_ceil(4);
        lose(
            "standing still, several hosts",
            Way::SeveralHosts,
            End::Frozen,
            rounds,
        )
        .await;
    }
}

/// Synchronous replication: what was acknowledged is there, and in force, after every kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_synchronous_standby_acknowledged_is_kept() {
    let Some(rounds) = rounds() else { return };
    let mut scene = Scene::start(Way::Haproxy, true).await;
    let mut figures = Figures::default();
    let mut acknowledged = 0;
    for round in 0..rounds {
        scene.load.expect(BEFORE);
        scene.load.settled().await;
        let (primary, _) = scene.cluster.until_primary(None).await;
        let writing = scene.write(round);
        writing.until_some().await;
        scene.add_key().await;
        scene.activate(1).await;
        if round % 10 == 1 {
            // For longer than any statement may take, no standby acknowledges anything.
            scene.cluster.hold_replication(primary);
            writing.until_given_up().await;
        }
        scene.load.expect(ADDED);
        let ended = Instant::now();
        scene.cluster.end(primary, End::Killed);
        let (_, promoted) = scene.cluster.until_primary(Some(primary)).await;
        scene.load.settled().await;
        let names = writing.end().await;
        let kept = scene.projects().await;
        let lost: Vec<_> = names.iter().filter(|name| !kept.contains(*name)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        acknowledged += names.len();
        scene.restore(primary).await;
        figures.add(ended, promoted, scene.load.since_when());
        println!("synchronous, round {round}: {} acknowledged", names.len());
        scene.drop_key();
        scene.deactivate(1).await;
    }
    figures.print("synchronous, HAProxy", &scene);
    println!("  writes acknowledged while primaries were killed: {acknowledged}, lost: 0");
}
