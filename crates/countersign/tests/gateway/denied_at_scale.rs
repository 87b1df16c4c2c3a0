//! Many clients with streams through two gateways, of which one after another is denied and let in again:
//! only its own stream ends, and how long that takes is printed. `COUNTERSIGN_DENIAL_CLIENTS` says how many clients
//! there are, `COUNTERSIGN_DENIALS` how many denials, `--no-capture` shows the figures.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_testca::Minted;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    changes::{open_events, open_socket},
    denied::{of_leaf, request},
    world::{LIMIT, World},
};

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |count| count.parse().unwrap())
}

/// Opens a stream of a client, of one of three kinds, and tells when it ends.
async fn open(
    world: &World,
    (number, leaf): (usize, &Minted),
    address: SocketAddr,
    ended: &mpsc::UnboundedSender<(usize, Instant)>,
) {
    let tls = world.tls(&[leaf]);
    let ended = ended.clone();
    let end = move || ended.send((number, Instant::now())).unwrap_or_default();
    if number % 3 == 2 {
        let request = Request::get("https://localhost/v1/events")
            .header("authorization", format!("Bearer {}", world.key))
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
    if number.is_multiple_of(3) {
        open_events(world, &mut connection).await;
    } else {
        open_socket(world, &mut connection).await;
    }
    tokio::spawn(async move {
        connection.rest().await;
        end();
    });
}

/// Asks with a client until it is let in.
async fn let_in(world: &World, leaf: &Minted, address: SocketAddr) -> Instant {
    let tls = world.tls(&[leaf]);
    let asking = async {
        loop {
            let code = tls.try_code(address, &world.key).await;
            if code.is_some_and(|code| code.is_empty()) {
                return Instant::now();
            }
        }
    };
    timeout(LIMIT, asking).await.expect("to be let in again")
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what a longer run is for"
)]
fn print(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what}, {} times: p50 {:?}, p99 {:?}, longest {:?}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_the_one_that_is_denied_is_cut() {
    let world = World::new().await;
    world.with_active_ca().await;
    let mut options = world.options.clone();
    options.name = Some("second".to_owned());
    options.data_dir = world.options.data_dir.join("second");
    let second = world.gateway_with(options, 1);
    timeout(LIMIT, second.ready()).await.expect("the bundle");
    let addresses = [world.address(), second.address()];
    let at = |number: usize| addresses[number % 2];
    let clients = setting("COUNTERSIGN_DENIAL_CLIENTS", 12);
    let leaves: Vec<Minted> = (0..clients)
        .map(|number| world.ca.leaf(&format!("client {number}")).mint())
        .collect();
    let (sender, mut ended) = mpsc::unbounded_channel();
    for (number, leaf) in leaves.iter().enumerate() {
        open(&world, (number, leaf), at(number), &sender).await;
    }
    let (mut cut, mut back) = (Vec::new(), Vec::new());
    for number in (0..setting("COUNTERSIGN_DENIALS", 12)).map(|denial| denial * 7 % clients) {
        let leaf = &leaves[number];
        let start = Instant::now();
        let (denials, asked) = (world.api.denials(), request(of_leaf(leaf)));
        let id = denials.create(&asked).await.unwrap().value.id.clone();
        let end = timeout(LIMIT, ended.recv()).await.expect("to be cut");
        let (of, end) = end.unwrap();
        assert_eq!(of, number, "another client's stream ended");
        cut.push(end - start);
        let start = Instant::now();
        denials.delete(&id).await.unwrap();
        back.push(let_in(&world, leaf, at(number)).await - start);
        open(&world, (number, leaf), at(number), &sender).await;
    }
    assert!(ended.try_recv().is_err(), "another client's stream ended");
    print("cut", &mut cut);
    print("let in again", &mut back);
    second.stop();
}
