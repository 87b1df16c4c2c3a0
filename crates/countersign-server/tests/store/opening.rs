//! Opening: the schema is made once, kept, and never guessed at.

use countersign_server::store::{
    Location, NewProject, PageRequest, Reach, Sources, Store, StoreError,
};
use countersign_types::{audit::Actor, history::HistoryPoint};

use crate::setting::{on_each_shared, organization};

#[test]
fn many_may_start_at_once_and_find_what_was_kept() {
    on_each_shared(async |setting| {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let (location, sources) = (setting.location.clone(), setting.sources());
                tokio::spawn(async move { Store::open(&location, sources).await.unwrap() })
            })
            .collect();
        let mut stores = Vec::new();
        for start in starts {
            stores.push(start.await.unwrap());
        }
        let organization = organization(&stores[0]).await;
        drop(stores);
        let again = setting.open().await;
        assert!(again.retrieve_organization(&organization).await.is_ok());
    });
}

#[test]
fn a_newer_database_is_refused() {
    on_each_shared(async |setting| {
        drop(setting.open().await);
        let newer = "INSERT INTO schema_migrations (version, applied_at) VALUES (999, 0)";
        setting.execute(newer).await;
        let refused = Store::open(&setting.location, setting.sources())
            .await
            .err()
            .unwrap();
        assert!(
            matches!(refused, StoreError::TooNew { found: 999, .. }),
            "{refused}"
        );
    });
}

#[test]
fn an_older_node_leaves_the_database_to_a_newer_one() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let begun = store.write(&organization, Actor::Operator).await;
        let mut begun = begun.unwrap();
        let change = begun.create_project(new_project("late")).await.unwrap();
        let newer = "INSERT INTO schema_migrations (version, applied_at) VALUES (999, 0)";
        if matches!(setting.location, Location::Sqlite(_)) {
            // There, nobody changes the schema while somebody writes.
            drop(begun);
            setting.execute(newer).await;
        } else {
            // Here it is begun, and finds the new version when it commits.
            setting.execute(newer).await;
            assert_too_new(begun.commit(change.events).await);
        }
        let mut write = store.write(&organization, Actor::Operator).await.unwrap();
        let change = write.create_project(new_project("later")).await.unwrap();
        assert_too_new(write.commit(change.events).await);
        // It is not ready, and tells gateways nothing.
        assert_too_new(store.revision().await);
        assert_too_new(store.bundle(HistoryPoint::START).await);
        assert_too_new(store.bundle_digests(&Reach::All).await);

        // As when an older backup is put in place: what was refused has left nothing.
        setting
            .execute("DELETE FROM schema_migrations WHERE version = 999")
            .await;
        let page = PageRequest::default();
        let projects = store.list_projects(&organization, &page, false).await;
        assert!(projects.unwrap().data.is_empty());
        let mut write = store.write(&organization, Actor::Operator).await.unwrap();
        let change = write.create_project(new_project("shop")).await.unwrap();
        assert!(write.commit(change.events).await.is_ok());
    });
}

fn new_project(name: &str) -> NewProject {
    NewProject {
        name: name.to_owned(),
        residency: None,
        external_key_id: None,
    }
}

fn assert_too_new<T>(done: Result<T, StoreError>) {
    let error = done.err().unwrap();
    assert!(
        matches!(error, StoreError::TooNew { found: 999, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    for (url, says) in [
        (
            "postgres://a/b?sslmode=prefer",
            "`sslmode=prefer` is not one of",
        ),
        (
            "postgres://a/b?sslmode=require&sslrootcert=/no/such",
            "`sslrootcert` cannot be used: cannot read `/no/such`",
        ),
        ("mysql://a/b", "the database URL cannot be read"),
        (
            "postgres://user:hunter2@a:port/b",
            "the database URL cannot be read",
        ),
    ] {
        let location = Location::postgres(url.to_owned());
        let error = Store::open(&location, Sources::system())
            .await
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(
            matches!(error, StoreError::Configuration(_)),
            "{url}: {text}"
        );
        assert!(text.contains(says), "{url}: {text}");
        assert!(!text.contains("hunter2") && !format!("{location:?}").contains("hunter2"));
    }
    let directory = tempfile::tempdir().unwrap();
    let missing = Location::Sqlite(directory.path().join("no/store.db"));
    let error = Store::open(&missing, Sources::system())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StoreError::Configuration(_)), "{error}");
    let other = directory.path().join("text.db");
    std::fs::write(
        &other,
        "this is not a database, it is a text of some length".repeat(20),
    )
    .unwrap();
    let error = Store::open(&Location::Sqlite(other), Sources::system())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

#[tokio::test]
async fn the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Store::open(&Location::Sqlite(path.clone()), Sources::system())
        .await
        .unwrap();
    store.create_organization("Acme").await.unwrap();
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let mode = std::fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}
