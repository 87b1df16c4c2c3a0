//! PostgreSQL that stops as in a power cut, under load, and comes back.

use std::process::Command;

use countersign_testca::root;
use tokio::{
    sync::mpsc::unbounded_channel,
    task::{spawn, spawn_blocking},
};

use crate::{
    ledger,
    node::{Node, Storage},
    writers::{AtWork, Writer, seen},
};

const RESTARTS: usize = 5;

/// A database of our own in the cluster that a variable names; none without the variable.
pub(crate) async fn database(variable: &str, name: &str) -> Option<String> {
    let Ok(url) = std::env::var(variable) else {
        eprintln!("skipped: `{variable}` is not set; `cargo xtask test` sets it");
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = spawn(connection);
    let name = format!("faults_{name}_{}", std::process::id());
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    Some(url.replacen("/postgres?", &format!("/{name}?"), 1))
}

#[tokio::test]
async fn a_restart_under_load_loses_nothing_and_needs_no_help() {
    let Some(url) = database("COUNTERSIGN_TEST_POSTGRES_CRASH_URL", "restart").await else {
        return;
    };
    let restart = std::env::var("COUNTERSIGN_TEST_POSTGRES_CRASH_COMMAND").unwrap();
    let storage = Storage::Url(url);
    let key = storage.organization();
    let node = Node::start(&storage);
    let mut writers = Writer::some(&node.client(&key, 0), &root("Faults").mint().pem()).await;
    for _ in 0..RESTARTS {
        let (done, mut finished) = unbounded_channel();
        let work = AtWork::start(writers, &node.client(&key, 0), done);
        for _ in 0..25 {
            finished.recv().await.unwrap();
        }
        let restart = restart.clone();
        let restarted = spawn_blocking(move || Command::new("sh").arg("-c").arg(restart).status());
        // The restart fails every writer; those that it misses stop here.
        assert!(restarted.await.unwrap().unwrap().success());
        drop(finished);
        // The same process answers again, within the repeats of an ordinary client.
        writers = work.settle(seen(&node.client(&key, 5))).await;
    }
    ledger::assert_agrees(&node.client(&key, 5)).await;
}
