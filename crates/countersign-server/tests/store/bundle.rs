//! Bundles: whole organizations, and nothing that changed is missed.

use std::slice;

use countersign_server::store::NewServiceAccount;
use countersign_types::{certificate::Scope, history::HistoryPoint};

use crate::setting::{
    START, activate, anchor, at, commit, deactivate, on_each, on_each_shared, organization,
    project, upload, write,
};

#[test]
fn a_bundle_has_what_judging_needs_and_no_more() {
    on_each(async |setting| {
        let store = setting.open().await;
        let first = organization(&store).await;
        let place = project(&store, &first, "p").await.id;
        let mut tx = write(&store, &first).await;
        let new = NewServiceAccount {
            name: "bot".to_owned(),
            with_key: true,
        };
        let change = tx.create_service_account(&place, new).await.unwrap();
        commit(tx, change).await;
        let a = upload(&store, &first, "a").await.id;
        let b = upload(&store, &first, "b").await.id;
        upload(&store, &first, "idle").await;
        activate(&store, &first, &Scope::Organization, slice::from_ref(&b))
            .await
            .unwrap();
        activate(&store, &first, &at(&place), &[a.clone(), b.clone()])
            .await
            .unwrap();
        let second = organization(&store).await;

        let whole = store.bundle(HistoryPoint::START).await.unwrap();
        assert!(whole.complete);
        assert_eq!(whole.revision, store.revision().await.unwrap());
        let ids: Vec<_> = whole.organizations.iter().map(|each| &each.id).collect();
        assert_eq!(ids, [&first, &second]);
        let bundle = &whole.organizations[0];
        let found: Vec<_> = bundle
            .certificates
            .iter()
            .map(|c| (&c.id, c.pem.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (&a, anchor("a").pem.as_str()),
                (&b, anchor("b").pem.as_str())
            ]
        );
        assert_eq!(bundle.active, slice::from_ref(&b));
        assert_eq!(bundle.projects[0].active, [a.clone(), b.clone()]);
        assert_eq!(bundle.keys.len(), 2);
        for key in &bundle.keys {
            let caller = store.caller(key.sha256).await.unwrap().unwrap();
            assert_eq!(caller.key, key.id);
        }
        assert_eq!(bundle.keys[1].project, Some(place.clone()));
    });
}

#[test]
fn a_bundle_has_only_what_changed() {
    on_each(async |setting| {
        let store = setting.open().await;
        let first = organization(&store).await;
        let b = upload(&store, &first, "b").await.id;
        activate(&store, &first, &Scope::Organization, slice::from_ref(&b))
            .await
            .unwrap();
        organization(&store).await;
        let anchors = store.list_active_anchors(10).await.unwrap();
        assert_eq!(anchors.len(), 1);
        assert_eq!(anchors[0].expires_at, START + 1000);
        let whole = store.bundle(HistoryPoint::START).await.unwrap();
        let none = store.bundle(whole.point()).await.unwrap();
        assert!(!none.complete);
        assert_eq!(none.organizations, []);
        deactivate(&store, &first, &Scope::Organization, slice::from_ref(&b))
            .await
            .unwrap();
        let some = store.bundle(whole.point()).await.unwrap();
        assert_eq!(some.organizations.len(), 1);
        assert_eq!(some.organizations[0].active, []);
        assert_eq!(store.list_active_anchors(10).await.unwrap(), []);
    });
}

#[test]
fn a_reader_wakes_for_a_change_here_and_in_another_process() {
    on_each_shared(async |setting| {
        let (here, there) = (setting.open().await, setting.open().await);
        let organization = organization(&here).await;
        let mut waiting = [here.subscribe(), there.subscribe()];
        upload(&here, &organization, "a").await;
        let now = here.revision().await.unwrap();
        for reader in &mut waiting {
            reader
                .wait_for(|known| known.revision >= now)
                .await
                .unwrap();
        }
    });
}
