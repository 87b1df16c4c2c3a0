//! The stores that a test runs on: SQLite always, PostgreSQL where there is one.

use countersign_server::store::{Location, Store};
use tokio_postgres::NoTls;

use super::{Server, sources};

/// Runs a test on a fresh server over each store.
pub(crate) async fn on_each_store(test: impl AsyncFn(&mut Server)) {
    let directory = tempfile::tempdir().unwrap();
    run(
        &Location::Sqlite(directory.path().join("countersign.db")),
        &test,
    )
    .await;
    let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES_URL") else {
        return;
    };
    let database = format!("countersign_it_{:032x}", random());
    execute(&url, &format!("CREATE DATABASE {database}")).await;
    run(&Location::postgres(with_database(&url, &database)), &test).await;
    execute(&url, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
}

async fn run(location: &Location, test: &impl AsyncFn(&mut Server)) {
    let (sources, clock) = sources();
    let store = Store::open(location, sources.clone()).await.unwrap();
    let mut server = Server::start(store, &sources, clock).await;
    test(&mut server).await;
    server.stop().await;
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    (sources().0.random)(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}

async fn execute(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// The URL with another database in it.
fn with_database(url: &str, database: &str) -> String {
    let (address, query) = url
        .split_once('?')
        .map_or((url, None), |(a, q)| (a, Some(q)));
    let scheme_end = address.find("//").map_or(0, |at| at + 2);
    let end = address[scheme_end..]
        .find('/')
        .map_or(address.len(), |at| scheme_end + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &address[..end])
}
