//! Of keys, a gateway is sent what changed, and asks for all of them where that does not fit those that it has.

use countersign_server::store::{Location, Sources, Store};

use crate::world::{World, make_project};

#[tokio::test]
async fn a_gateway_that_misses_keys_asks_for_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.db");
    let location = Location::Sqlite(file.clone());
    let store = Store::open(&location, Sources::system()).await.unwrap();
    let world = World::on(store, |_| {}).await;
    let enforced = async || {
        let revision = world.store.revision().await.unwrap();
        world.enforced(revision).await;
    };
    // A sum that is right, and one to which no gateway comes.
    for sum in [None, Some("ab".repeat(32))] {
        if let Some(sum) = sum {
            let database = rusqlite::Connection::open(&file).unwrap();
            let sql = "UPDATE organizations SET keys_sum = ?1";
            assert_eq!(database.execute(sql, [sum]).unwrap(), 1);
        }
        let (project, key) = make_project(&world.api, "beta").await;
        enforced().await;
        for known in [&key, &world.key] {
            assert_eq!(world.code(&[], known).await, "");
        }
        let keys = world.api.api_keys(&project);
        let listed = keys.list(&Default::default()).await.unwrap();
        keys.delete(&listed.data[0].id).await.unwrap();
        enforced().await;
        assert_eq!(world.code(&[], &key).await, "invalid_api_key");
        assert_eq!(world.code(&[], &world.key).await, "");
    }
}
