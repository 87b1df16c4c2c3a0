//! Callers that go away, and databases that fail and come back.

use std::{future::Future, pin::pin, task::Poll};

use countersign_server::store::{
    AuditFilter, AuditPage, Location, Outage, Sources, Store, StoreError,
};
use countersign_types::{
    audit::Actor,
    certificate::{Enforcement, Scope},
    history::HistoryPoint,
};
use futures_util::{FutureExt, future::poll_fn};

use crate::setting::{
    activate, administer, anchor, on_each, on_each_shared, organization, upload, write,
};

/// Polls a future so many times, then drops it; whether it was done by then.
async fn poll_times<T>(times: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.poll_unpin(context).map(Some)
    })
    .await
}

#[test]
fn a_write_that_is_dropped_leaves_all_or_nothing() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut finished = 0;
        for times in 1..60 {
            let before = store.bundle(HistoryPoint::START).await.unwrap();
            let attempt = async {
                let mut tx = store.write(&organization, Actor::Operator).await?;
                let uploaded = tx.upload_certificate(anchor("c")).await?;
                let ids = [uploaded.answer.id.clone()];
                let activated = tx
                    .activate_certificates(&Scope::Organization, &ids, Enforcement::Enforce)
                    .await?;
                let events = [uploaded.events, activated.events].concat();
                tx.commit(events).await
            };
            let done = poll_times(times, attempt).await.transpose();
            // The next write waits for what was dropped, whichever way that went.
            drop(write(&store, &organization).await);
            let after = store.bundle(HistoryPoint::START).await.unwrap();
            let grew = after.organizations[0].certificates.len()
                - before.organizations[0].certificates.len();
            let steps = after.revision - before.revision;
            assert_eq!(u64::try_from(grew).unwrap(), steps, "at {times} polls");
            match done {
                Ok(None) => assert!(grew <= 1),
                Ok(Some(revision)) => {
                    finished += 1;
                    assert_eq!((grew, revision), (1, after.point()));
                }
                Err(StoreError::CertificateLimit) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(finished > 0, "some attempt must have had time enough");
        let active = &store
            .bundle(HistoryPoint::START)
            .await
            .unwrap()
            .organizations[0]
            .active;
        let filter = AuditFilter {
            event_types: vec!["certificates.activated".to_owned()],
            ..Default::default()
        };
        let page = AuditPage {
            limit: 100,
            ..Default::default()
        };
        let logged = store
            .list_audit_logs(&organization, &filter, &page)
            .await
            .unwrap();
        assert_eq!(logged.data.len(), active.len());
    });
}

#[test]
fn a_refused_write_leaves_nothing_behind() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let before = store.bundle(HistoryPoint::START).await.unwrap();
        let mut tx = write(&store, &organization).await;
        let change = tx.upload_certificate(anchor("c")).await.unwrap();
        drop(tx);
        assert_eq!(change.events.len(), 1);
        let tx = write(&store, &organization).await;
        assert_eq!(tx.commit(Vec::new()).await.unwrap(), before.point());
        assert_eq!(store.bundle(HistoryPoint::START).await.unwrap(), before);
        let gone = store
            .retrieve_certificate(&organization, &change.answer.id, false)
            .await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })));
    });
}

/// Cuts every connection, as a restart of the server does.
#[test]
fn a_lost_connection_heals() {
    on_each_shared(async |setting| {
        let Some(url) = setting.server_url() else {
            return;
        };
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut signal = store.subscribe();
        for round in 0..3 {
            let mut tx = write(&store, &organization).await;
            let change = tx.upload_certificate(anchor("c")).await.unwrap();
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            administer(url, cut).await;
            let lost = tx.commit(change.events).await.unwrap_err();
            assert!(
                matches!(lost, StoreError::Unavailable(Outage::Disconnected, _)),
                "round {round}: {lost}"
            );
            // Idle connections of the pool may each have to find out.
            let certificate = loop {
                match store.write(&organization, Actor::Operator).await {
                    Ok(mut tx) => {
                        let change = tx.upload_certificate(anchor("c")).await.unwrap();
                        tx.commit(change.events).await.unwrap();
                        break change.answer.id;
                    }
                    Err(StoreError::Unavailable(..)) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other}"),
                }
            };
            let scope = Scope::Organization;
            let now = activate(&store, &organization, &scope, &[certificate])
                .await
                .unwrap();
            signal
                .wait_for(|known| known.revision >= now)
                .await
                .unwrap();
        }
        let bundle = store.bundle(HistoryPoint::START).await.unwrap();
        assert_eq!(bundle.organizations[0].active.len(), 3);
    });
}

#[tokio::test]
async fn no_server_is_an_outage_and_not_a_hang() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("postgres://x@/x?host={}", directory.path().display());
    let opened = Store::open(&Location::postgres(url), Sources::system()).await;
    let error = opened.err().unwrap();
    assert!(
        matches!(error, StoreError::Unavailable(Outage::Disconnected, _)),
        "{error}"
    );
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Store::open(&Location::Sqlite(path.clone()), Sources::system())
        .await
        .unwrap();
    let organization = organization(&store).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = upload(&store, &organization, "c");
    let mut waiting = pin!(waiting);
    assert!(poll_times(1, waiting.as_mut()).await.is_none());
    // Reads go on meanwhile.
    assert!(store.retrieve_organization(&organization).await.is_ok());
    other.execute_batch("ROLLBACK").unwrap();
    waiting.await;
}
