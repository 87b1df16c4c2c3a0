//! `PgBouncer` in transaction mode: nodes share sessions that are theirs for a transaction only.

use std::env;

use countersign_server::store::{Location, Outage, PostgresUrls, Store, StoreError};
use countersign_types::{audit::Actor, certificate::Scope, history::HistoryPoint};

use crate::setting::{
    Setting, activate, administer, anchor, commit, organization, with_database,
    with_fresh_database, write,
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

/// Opens a store through a pooler that forgets options, over TLS.
async fn through_pooler(name: &str, listen: Option<String>) -> Option<(Setting, Store)> {
    let Ok(pooler) = env::var("COUNTERSIGN_TEST_PGBOUNCER_TLS_URL") else {
        println!("skipped: COUNTERSIGN_TEST_PGBOUNCER_TLS_URL is not set");
        return None;
    };
    let main = with_database(&pooler, name);
    let setting = Setting::at(Location::Postgres(PostgresUrls {
        main,
        listen,
        replica: None,
    }));
    let store = setting.open().await;
    Some((setting, store))
}

fn on_a_fresh_database(test: impl AsyncFnOnce(&str, &str)) {
    let Ok(server) = env::var("COUNTERSIGN_TEST_POSTGRES_URL") else {
        println!("skipped: COUNTERSIGN_TEST_POSTGRES_URL is not set");
        return;
    };
    runtime().block_on(with_fresh_database(&server, test));
}

/// Writes in eight organizations at once, each from either node in turn.
async fn write_in_all(one: &Store, other: &Store) {
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (one, other) = (one.clone(), other.clone());
        let organization = organization(&one).await;
        writers.spawn(async move {
            for round in 0..10 {
                let node = if round % 2 == 0 { &one } else { &other };
                let mut tx = node.write(&organization, Actor::Operator).await.unwrap();
                let change = tx.upload_certificate(anchor("c")).await.unwrap();
                let id = commit(tx, change).await.id;
                activate(node, &organization, &Scope::Organization, &[id])
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
}

#[test]
fn nodes_that_share_sessions_write_and_notice_each_other() {
    on_a_fresh_database(async |name, server| {
        for listen in [None, Some(server.to_owned())] {
            let Some((setting, one)) = through_pooler(name, listen).await else {
                return;
            };
            let other = setting.open().await;
            let mut signal = other.subscribe();
            write_in_all(&one, &other).await;
            let organization = organization(&one).await;
            let mut tx = write(&one, &organization).await;
            let change = tx.upload_certificate(anchor("last")).await.unwrap();
            let id = commit(tx, change).await.id;
            let scope = Scope::Organization;
            let now = activate(&one, &organization, &scope, &[id]).await.unwrap();
            signal
                .wait_for(|point| point.revision >= now)
                .await
                .unwrap();
            let bundle = other.bundle(HistoryPoint::START).await.unwrap();
            let tens = bundle.organizations.iter();
            let tens = tens.filter(|organization| organization.active.len() == 10);
            assert_eq!(tens.count() % 8, 0);
            assert!(one.check_writes().await.is_ok() && other.check_writes().await.is_ok());
        }
    });
}

#[test]
fn who_cannot_write_is_not_ready() {
    on_a_fresh_database(async |name, server| {
        let setting = Setting::at(Location::postgres(server.to_owned()));
        let store = setting.open().await;
        assert!(store.check_writes().await.is_ok());
        let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        administer(server, &format!("{read_only}; {cut}")).await;
        let error = loop {
            match store.check_writes().await {
                Err(StoreError::Unavailable(Outage::Disconnected, _)) => {}
                other => break other.unwrap_err(),
            }
        };
        assert!(
            matches!(error, StoreError::Unavailable(Outage::ReadOnly, _)),
            "{error}"
        );
        // From another database, since this one's sessions cannot.
        let elsewhere = env::var("COUNTERSIGN_TEST_POSTGRES_URL").unwrap();
        let writable = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
        administer(&elsewhere, &writable).await;
        while store.check_writes().await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}
