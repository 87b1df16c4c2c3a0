//! A database that goes back to a backup, and then takes the same numbers for other changes.

use std::{fs, path::Path};

use countersign_server::store::{Location, Sources, Store};
use tokio::time::timeout;

use crate::{
    plane_proxy::{Proxy, plane_of},
    world::{LIMIT, World, start_plane},
};

async fn open(directory: &Path) -> Store {
    let location = Location::Sqlite(directory.join("countersign.db"));
    Store::open(&location, Sources::system()).await.unwrap()
}

/// Copies a database, which may be in use, as it was after its latest commit.
fn copy(from: &Path, to: &Path) {
    let database = rusqlite::Connection::open(from.join("countersign.db")).unwrap();
    let target = to.join("countersign.db");
    let copied = database.execute("VACUUM INTO ?1", [target.to_str().unwrap()]);
    copied.unwrap();
    assert!(fs::metadata(target).unwrap().len() > 0);
}

/// The backup lacks an activation. As many changes later as `changes` says, all of another
/// organization, nothing of it may be left in force.
async fn assert_followed(changes: usize) {
    let (kept, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut proxy = None;
    let world = World::on(open(kept.path()).await, |options| {
        let through = Proxy::before(plane_of(options));
        options.control_plane = format!("http://{}/v1", through.address);
        proxy = Some(through);
    })
    .await;
    let proxy = proxy.unwrap();
    let id = world.upload(&world.ca, None).await;
    copy(kept.path(), backup.path());
    let certificates = world.api.certificates();
    let scope = world.scope();
    let made = certificates.activate(&scope, std::slice::from_ref(&id));
    let change = made.await.unwrap().change().unwrap();
    world.enforced(change.revision).await;
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    let lost = async || {
        let countersign = world.api.countersign();
        let asked = countersign.gateways_and_whether_lost(change).await;
        asked.unwrap().value.lost
    };
    assert_eq!(lost().await, Some(false));

    let restored = open(backup.path()).await;
    for number in 0..changes {
        let name = format!("other {number}");
        restored.create_organization(&name).await.unwrap();
    }
    let plane = start_plane(&restored).await;
    assert_eq!(restored.has_lost(change).await.unwrap(), Some(true));
    proxy.turn_to(plane);
    let opened = async { while !world.code(&[], &world.key).await.is_empty() {} };
    timeout(LIMIT, opened)
        .await
        .expect("the activation that never was to go");
}

#[tokio::test]
async fn a_restored_database_that_stays_behind_is_followed() {
    assert_followed(0).await;
}

#[tokio::test]
async fn a_restored_database_that_reaches_the_same_number_is_followed() {
    assert_followed(1).await;
}

#[tokio::test]
async fn a_restored_database_that_overtakes_is_followed() {
    assert_followed(7).await;
}
