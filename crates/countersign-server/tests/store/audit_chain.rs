//! The chain of audit events: whole whoever writes, and checked by a program that is not ours.

use countersign_server::store::{AuditFilter, AuditPage, Store};
use countersign_types::{
    audit::AuditLog,
    certificate::Scope,
    id::OrganizationId,
    page::{MAX_LIMIT, Page},
};
use countersign_verify::audit_chain::{ChainWalk, KeptHead};
use tokio::task::JoinSet;

use crate::setting::{activate, deactivate, on_each, on_each_shared, organization, upload, write};

/// The whole log, newest first.
pub(crate) async fn whole_log(store: &Store, organization: &OrganizationId) -> Vec<AuditLog> {
    let mut page = AuditPage {
        limit: MAX_LIMIT,
        ..AuditPage::default()
    };
    let mut events = Vec::new();
    loop {
        let filter = AuditFilter::default();
        let listed = store.list_audit_logs(organization, &filter, &page).await;
        let Page {
            data,
            last_id,
            has_more,
            ..
        } = listed.unwrap();
        events.extend(data);
        if !has_more {
            return events;
        }
        page.after = last_id;
    }
}

async fn assert_whole(store: &Store, organization: &OrganizationId) -> usize {
    let head = store.retrieve_audit_head(organization).await.unwrap();
    let mut walk = ChainWalk::new(vec![KeptHead {
        number: Some(head.number),
        sha256: head.sha256.to_string(),
    }]);
    let events = whole_log(store, organization).await;
    for event in &events {
        walk.step(serde_json::to_value(event).unwrap().as_object().unwrap());
    }
    assert_eq!(
        walk.newest().map(|(place, _)| place.number),
        Some(head.number)
    );
    assert_eq!(walk.finish(1), []);
    assert_eq!(events[0].effective_at, head.effective_at);
    events.len()
}

#[test]
fn writers_on_two_nodes_make_one_chain() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let organizations = [
            organization(&stores[0]).await,
            organization(&stores[0]).await,
        ];
        let mut writers = JoinSet::new();
        for number in 0..16 {
            let store = stores[number % 2].clone();
            let organization = organizations[number / 2 % 2].clone();
            let id = upload(&store, &organization, "c").await.id;
            writers.spawn(async move {
                let (scope, ids) = (Scope::Organization, [id]);
                for _ in 0..6 {
                    activate(&store, &organization, &scope, &ids).await.unwrap();
                    deactivate(&store, &organization, &scope, &ids)
                        .await
                        .unwrap();
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        for organization in &organizations {
            assert_eq!(assert_whole(&stores[1], organization).await, 1 + 8 * 13);
        }
    });
}

#[test]
fn several_events_of_one_write_and_none_of_a_dropped_one() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut tx = write(&store, &organization).await;
        let one = tx
            .upload_certificate(crate::setting::anchor("a"))
            .await
            .unwrap();
        let other = tx
            .upload_certificate(crate::setting::anchor("b"))
            .await
            .unwrap();
        tx.commit([one.events, other.events].concat())
            .await
            .unwrap();
        let mut tx = write(&store, &organization).await;
        let _ = tx
            .upload_certificate(crate::setting::anchor("c"))
            .await
            .unwrap();
        drop(tx);
        setting.clock.set(crate::setting::START + 7);
        upload(&store, &organization, "d").await;
        assert_eq!(assert_whole(&store, &organization).await, 4);
    });
}
