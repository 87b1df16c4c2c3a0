//! How long a change takes to every gateway, printed and not asserted: three gateways on one PostgreSQL,
//! from the start of an activation's request to the first response at each gateway that follows it.
//! `COUNTERSIGN_PROPAGATION_CHANGES` says how many changes, `--no-capture` shows the figures.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use countersign_gateway::Gateway;
use countersign_server::store::{Location, Sources, Store};
use tokio::time::timeout;

use crate::{
    client::{Connection, Tls},
    world::{LIMIT, World},
};

const GATEWAYS: u8 = 3;

/// A database of its own in the cluster that the variable names; none without it.
async fn store() -> Option<Store> {
    let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES_URL") else {
        eprintln!(
            "skipped: `COUNTERSIGN_TEST_POSTGRES_URL` is not set; `cargo xtask test` sets it"
        );
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let name = format!("propagation_{}", std::process::id());
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let url = url.replacen("/postgres?", &format!("/{name}?"), 1);
    Some(
        Store::open(&Location::postgres(url), Sources::system())
            .await
            .unwrap(),
    )
}

/// More gateways like the world's own.
async fn start_more(world: &World) -> Vec<Gateway> {
    let mut more = Vec::new();
    for number in 1..GATEWAYS {
        let mut options = world.options.clone();
        options.name = Some(format!("gateway {number}"));
        options.data_dir = world.options.data_dir.join(number.to_string());
        more.push(world.gateway_with(options, number));
    }
    for gateway in &more {
        timeout(LIMIT, gateway.ready())
            .await
            .expect("the gateway to pull its bundle");
    }
    more
}

/// A connection to a gateway, which is made again when a change cuts it.
struct Probe {
    tls: Tls,
    address: SocketAddr,
    connection: Connection,
}

impl Probe {
    async fn open(world: &World, address: SocketAddr) -> Self {
        let tls = world.tls(&[]);
        let connection = tls.connect(address).await;
        Self {
            tls,
            address,
            connection,
        }
    }

    /// Asks until the gateway responds as wanted.
    async fn until(&mut self, key: &str, wanted: &str) -> Instant {
        let asking = async {
            loop {
                match self.connection.try_get("/v1/echo", key, "").await {
                    Some(answer) if answer.code() == wanted => return Instant::now(),
                    Some(_) => {}
                    None => self.connection = self.tls.connect(self.address).await,
                }
            }
        };
        timeout(LIMIT, asking)
            .await
            .expect("the change to be enforced")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_activation_to_every_gateway() {
    let Some(store) = store().await else { return };
    let world = World::on(store, |_| {}).await;
    let id = world.upload(&world.ca, None).await;
    let more = start_more(&world).await;
    let mut probes = vec![Probe::open(&world, world.address()).await];
    for gateway in &more {
        probes.push(Probe::open(&world, gateway.address()).await);
    }
    let changes = std::env::var("COUNTERSIGN_PROPAGATION_CHANGES");
    let changes: usize = changes.map_or(60, |count| count.parse().unwrap());
    let mut times: Vec<Duration> = Vec::new();
    for change in 0..changes {
        let (certificates, scope, ids) = (world.api.certificates(), world.scope(), [id.clone()]);
        let start = Instant::now();
        let wanted = if change % 2 == 0 {
            certificates.activate(&scope, &ids).await.unwrap();
            "certificate_required"
        } else {
            certificates.deactivate(&scope, &ids).await.unwrap();
            ""
        };
        let asked = probes
            .iter_mut()
            .map(|probe| probe.until(&world.key, wanted));
        for end in futures_util::future::join_all(asked).await {
            times.push(end - start);
        }
    }
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{changes} changes at {} gateways: p50 {:?}, p99 {:?}, longest {:?}",
        probes.len(),
        at(50),
        at(99),
        at(100)
    );
    for gateway in more {
        gateway.stop();
    }
}
