//! Kill -9 in the middle of writes, hundreds of times.

use countersign_testca::root;
use tempfile::tempdir;
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    ledger,
    node::{Node, Storage},
    postgres,
    writers::{AtWork, Writer, seen},
};

/// How often each database is killed under.
const KILLS: usize = 200;

#[tokio::test]
async fn sqlite_keeps_what_was_acknowledged() {
    let directory = tempdir().unwrap();
    kill_again_and_again(&Storage::Directory(directory.path().to_owned())).await;
}

#[tokio::test]
async fn postgresql_keeps_what_was_acknowledged() {
    let Some(url) = postgres::database("COUNTERSIGN_TEST_POSTGRES_URL", "kill").await else {
        return;
    };
    kill_again_and_again(&Storage::Url(url)).await;
}

async fn kill_again_and_again(storage: &Storage) {
    let key = storage.organization();
    let mut node = Node::start(storage);
    let mut writers = Writer::some(&node.client(&key, 0), &root("Faults").mint().pem()).await;
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let (done, mut finished) = unbounded_channel();
        let work = AtWork::start(writers, &node.client(&key, 0), done);
        // So many acknowledgements later the others are somewhere in the middle of theirs.
        for _ in 0..=round * 7 % 23 {
            finished.recv().await.unwrap();
            acknowledged += 1;
        }
        node.kill();
        node = Node::start(storage);
        writers = work.settle(seen(&node.client(&key, 0))).await;
    }
    let events = ledger::assert_agrees(&node.client(&key, 0)).await;
    assert!(
        events >= acknowledged,
        "{events} events of {acknowledged} acknowledged changes"
    );
}
