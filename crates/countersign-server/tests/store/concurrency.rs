//! Many writers at once, from two stores on one database, as two processes would be.

use std::collections::{BTreeSet, HashMap};

use countersign_server::store::{AuditFilter, AuditPage, PageRequest, Store, StoreError};
use countersign_types::{
    audit::Actor,
    certificate::{MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    history::HistoryPoint,
    id::{CertificateId, OrganizationId},
    page::{MAX_LIMIT, Order},
};
use tokio::task::JoinSet;

use crate::setting::{
    activate, anchor, at, deactivate, delete, on_each_shared, organization, project, upload,
};

async fn try_upload(store: &Store, organization: &OrganizationId) -> Result<u64, StoreError> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let change = tx.upload_certificate(anchor("c")).await?;
    Ok(tx.commit(change.events).await?.revision)
}

async fn all(store: &Store, organization: &OrganizationId) -> Vec<(CertificateId, bool)> {
    let request = PageRequest {
        limit: MAX_LIMIT,
        after: None,
        order: Order::Asc,
    };
    let page = store
        .list_certificates(organization, &Scope::Organization, &request)
        .await
        .unwrap();
    page.data
        .into_iter()
        .map(|each| (each.id, each.active))
        .collect()
}

async fn logged(store: &Store, organization: &OrganizationId, event_type: &str) -> usize {
    let filter = AuditFilter {
        event_types: vec![event_type.to_owned()],
        ..AuditFilter::default()
    };
    let mut count = 0;
    let mut page = AuditPage {
        limit: MAX_LIMIT,
        ..AuditPage::default()
    };
    loop {
        let events = store
            .list_audit_logs(organization, &filter, &page)
            .await
            .unwrap();
        count += events.data.len();
        if !events.has_more {
            return count;
        }
        page.after = events.last_id;
    }
}

#[test]
fn the_limit_is_exact_and_revisions_are_unique() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let organizations = [
            organization(&stores[0]).await,
            organization(&stores[0]).await,
        ];
        let before = stores[0].revision().await.unwrap();
        let mut writers = JoinSet::new();
        for number in 0..160 {
            let store = stores[number % 2].clone();
            let organization = organizations[number / 2 % 2].clone();
            writers.spawn(async move { try_upload(&store, &organization).await });
        }
        let mut revisions = BTreeSet::new();
        let mut refused = 0;
        while let Some(done) = writers.join_next().await {
            match done.unwrap() {
                Ok(revision) => assert!(revisions.insert(revision), "{revision} came twice"),
                Err(StoreError::CertificateLimit) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(revisions.len(), 2 * MAX_CERTIFICATES_PER_ORGANIZATION);
        assert_eq!(refused, 60);
        assert_eq!(revisions.first().copied(), Some(before + 1));
        assert_eq!(
            revisions.last().copied(),
            Some(before + 100),
            "no number is left out"
        );
        for organization in &organizations {
            assert_eq!(all(&stores[1], organization).await.len(), 50);
            let created = logged(&stores[0], organization, "certificate.created").await;
            assert_eq!(created, 50);
        }
    });
}

#[test]
fn nothing_is_active_and_deleted() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let organization = organization(&stores[0]).await;
        let place = at(&project(&stores[0], &organization, "p").await.id);
        for round in 0..25 {
            let id = upload(&stores[0], &organization, "c").await.id;
            let ids = [id.clone()];
            let (activated, deleted) = tokio::join!(
                activate(&stores[round % 2], &organization, &place, &ids),
                delete(&stores[(round + 1) % 2], &organization, &id),
            );
            match (activated, deleted) {
                (Ok(_), Err(StoreError::CertificateInUse { scopes })) => {
                    assert_eq!(scopes, std::slice::from_ref(&place));
                    deactivate(&stores[0], &organization, &place, &ids)
                        .await
                        .unwrap();
                    delete(&stores[1], &organization, &id).await.unwrap();
                }
                (Err(StoreError::NotFound { .. }), Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(all(&stores[0], &organization).await, []);
        let bundle = stores[1].bundle(HistoryPoint::START).await.unwrap();
        assert_eq!(bundle.organizations[0].projects[0].active, []);
    });
}

async fn toggle(store: Store, organization: OrganizationId, ids: [CertificateId; 1], on: bool) {
    let scope = Scope::Organization;
    let done = if on {
        activate(&store, &organization, &scope, &ids).await
    } else {
        deactivate(&store, &organization, &scope, &ids).await
    };
    done.unwrap();
}

#[test]
fn a_toggle_is_logged_once_per_real_change() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let organization = organization(&stores[0]).await;
        let ids = [upload(&stores[0], &organization, "c").await.id];
        for round in 1..=5 {
            for on in [true, false] {
                let writers: JoinSet<_> = (0..12)
                    .map(|number| stores[number % 2].clone())
                    .map(|store| toggle(store, organization.clone(), ids.clone(), on))
                    .collect();
                writers.join_all().await;
                let event_type = if on {
                    "certificates.activated"
                } else {
                    "certificates.deactivated"
                };
                assert_eq!(logged(&stores[0], &organization, event_type).await, round);
            }
        }
    });
}

/// A reader that only ever follows what it is told, as a gateway does, ends with the truth.
#[test]
fn a_follower_misses_nothing() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let mut organizations = Vec::new();
        for _ in 0..4 {
            let organization = organization(&stores[0]).await;
            let id = upload(&stores[0], &organization, "c").await.id;
            organizations.push((organization, id));
        }
        let mut writers = JoinSet::new();
        for number in 0..8 {
            let store = stores[number % 2].clone();
            let (organization, id) = organizations[number / 2].clone();
            writers.spawn(async move {
                for round in 0..20 {
                    let (scope, ids) = (Scope::Organization, [id.clone()]);
                    let toggled = if (round + number) % 3 == 0 {
                        deactivate(&store, &organization, &scope, &ids).await
                    } else {
                        activate(&store, &organization, &scope, &ids).await
                    };
                    toggled.unwrap();
                }
            });
        }
        let follower = stores[1].clone();
        let following = tokio::spawn(async move {
            let mut known = HashMap::new();
            let mut signal = follower.subscribe();
            let mut at = HistoryPoint::START;
            loop {
                let bundle = follower.bundle(at).await.unwrap();
                assert!(bundle.revision >= at.revision);
                at = bundle.point();
                for organization in bundle.organizations {
                    assert!(organization.revision <= at.revision);
                    known.insert(organization.id.clone(), organization);
                }
                if known.len() == 5 {
                    return known;
                }
                signal.wait_for(|announced| *announced != at).await.unwrap();
            }
        });
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        // A fifth organization tells the follower that it has seen everything before it.
        organization(&stores[0]).await;
        let known = following.await.unwrap();
        let truth = stores[0].bundle(HistoryPoint::START).await.unwrap();
        for organization in truth.organizations {
            assert_eq!(known.get(&organization.id), Some(&organization));
        }
    });
}
