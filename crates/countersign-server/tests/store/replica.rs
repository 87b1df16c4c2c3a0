//! A replica: pages of lists come from it while it has every change, and from the primary otherwise.

use std::{env, path::Path};

use countersign_server::store::{Location, PageRequest, PostgresUrls, Store};
use countersign_types::{certificate::Scope, id::OrganizationId};
use tokio_postgres::NoTls;

use crate::setting::{
    Setting, administer, organization, upload, with_database, with_fresh_database,
};

async fn names(store: &Store, organization: &OrganizationId) -> usize {
    let page = store
        .list_certificates(organization, &Scope::Organization, &PageRequest::default())
        .await
        .unwrap();
    page.data.len()
}

/// Whether the replica was asked for certificates of that database.
async fn was_asked(replica: &str, database: &str) -> bool {
    let (client, connection) = tokio_postgres::connect(replica, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = format!(
        "SELECT 1 FROM pg_stat_activity WHERE datname = '{database}' \
         AND query LIKE '%FROM certificates%'"
    );
    !client.simple_query(&sql).await.unwrap().is_empty()
        && client.query(&sql, &[]).await.unwrap().len() == 1
}

#[test]
fn lists_come_from_a_replica_that_has_every_change() {
    let variable = |name| env::var(format!("COUNTERSIGN_TEST_POSTGRES_{name}")).ok();
    let (Some(server), Some(replica), Some(socket)) = (
        variable("URL"),
        variable("REPLICA_URL"),
        variable("REPLICA_SOCKET"),
    ) else {
        println!("skipped: the variables of `cargo xtask test` are not set");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(with_fresh_database(&server, async |name, own| {
        let with_replica = |replica: String| {
            Setting::at(Location::Postgres(PostgresUrls {
                main: own.to_owned(),
                listen: None,
                replica: Some(replica),
            }))
        };
        let setting = with_replica(with_database(&replica, name));
        let store = setting.open().await;
        let organization = organization(&store).await;
        upload(&store, &organization, "one").await;
        assert_eq!(names(&store, &organization).await, 1);
        while !was_asked(&socket, name).await {
            assert_eq!(names(&store, &organization).await, 1);
        }
        // It stands still: what it does not have is read from the primary.
        administer(&socket, "SELECT pg_wal_replay_pause()").await;
        upload(&store, &organization, "two").await;
        assert_eq!(names(&store, &organization).await, 2);
        administer(&socket, "SELECT pg_wal_replay_resume()").await;
        // One that is not there, and one whose certificate is of another name.
        let nobody = "postgres://postgres@127.0.0.1:1/postgres".to_owned();
        let misnamed = with_database(&replica, name).replace("@localhost", "@127.0.0.1");
        assert!(Path::new(misnamed.split("sslrootcert=").nth(1).unwrap()).exists());
        for replica in [nobody, misnamed] {
            let store = with_replica(replica).open().await;
            assert_eq!(names(&store, &organization).await, 2);
        }
    }));
}
