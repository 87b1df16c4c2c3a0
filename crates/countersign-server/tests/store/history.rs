//! A revision is nothing without its token: readers of a history that was lost are sent everything,
//! and wake whichever way the numbers went.

use std::time::Duration;

use countersign_server::store::{Reach, Store};
use countersign_types::{
    certificate::Scope,
    history::{HistoryPoint, RevisionToken},
};
use tokio::time::timeout;

use crate::setting::{
    START, Setting, activate, latest, on_each, on_each_shared, organization, project, upload,
};

/// A gateway enforced an activation that the restored database knows nothing of, and other
/// organizations bring the restored one past the gateway's revision.
#[test]
fn a_restored_backup_that_is_overtaken_is_not_taken_for_the_same_history() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let (a, b) = (organization(&store).await, organization(&store).await);
        let before = latest(&store).await;
        project(&store, &b, "kept").await;
        drop(store);
        let backup = setting.copy().await;

        let store = setting.open().await;
        let lost = upload(&store, &a, "lost").await.id;
        activate(&store, &a, &Scope::Organization, &[lost])
            .await
            .unwrap();
        let enforced = latest(&store).await;
        drop(store);

        let store = Store::open(&backup, setting.sources()).await.unwrap();
        for number in 0..6 {
            let answer = store.bundle(enforced).await.unwrap();
            assert!(answer.complete, "after {number} writes");
            let found = answer.organizations.iter().find(|each| each.id == a);
            assert_eq!(found.unwrap().active, [], "after {number} writes");
            // What both histories have in common is still the way it was.
            let since = store.bundle(before).await.unwrap();
            assert!(!since.complete);
            assert_eq!(since.organizations.len(), 1);
            project(&store, &b, &format!("p{number}")).await;
        }
        assert!(store.revision().await.unwrap() > enforced.revision);
        // Whoever waits for a change learns that it is lost, and of none that is kept.
        assert_eq!(store.has_lost(enforced).await.unwrap(), Some(true));
        for kept in [before, latest(&store).await] {
            assert_eq!(store.has_lost(kept).await.unwrap(), Some(false));
        }
        let future = HistoryPoint {
            revision: 1_000_000,
            ..enforced
        };
        assert_eq!(store.has_lost(future).await.unwrap(), Some(true));
        // Of what is older than the history, nobody can tell.
        let forget = "DELETE FROM history WHERE revision < 3";
        Setting::execute_on(&backup, forget).await;
        let old = HistoryPoint {
            revision: 2,
            ..enforced
        };
        assert_eq!(store.has_lost(old).await.unwrap(), None);
    });
}

#[test]
fn a_point_is_known_by_its_token_alone() {
    on_each(async |setting| {
        let store = setting.open().await;
        let one = organization(&store).await;
        let at = latest(&store).await;
        assert!(!at.token.is_none());
        let none = store.bundle(at).await.unwrap();
        assert_eq!((none.complete, none.organizations.len()), (false, 0));
        assert_eq!(none.point(), at);
        for token in [RevisionToken::NONE, RevisionToken::from_random(7)] {
            for revision in [1, at.revision, at.revision + 1] {
                let answer = store
                    .bundle(HistoryPoint { revision, token })
                    .await
                    .unwrap();
                assert!(answer.complete);
                assert_eq!(answer.organizations.len(), 1);
            }
        }
        upload(&store, &one, "a").await;
        assert_ne!(latest(&store).await.token, at.token);
        assert!(!store.bundle(at).await.unwrap().complete);
    });
}

#[test]
fn every_node_knows_every_other_nodes_points() {
    on_each_shared(async |setting| {
        let (here, there) = (setting.open().await, setting.open().await);
        let one = organization(&here).await;
        let mut waiting = there.subscribe();
        for name in ["a", "b", "c"] {
            let at = latest(&here).await;
            upload(&here, &one, name).await;
            let bundle = there.bundle(at).await.unwrap();
            assert_eq!((bundle.complete, bundle.organizations.len()), (false, 1));
            let now = latest(&here).await;
            assert_eq!(bundle.point(), now);
            waiting.wait_for(|known| *known == now).await.unwrap();
        }
    });
}

/// The database goes back under a running node, which nothing announces.
#[test]
fn going_back_wakes_who_waits() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let one = organization(&store).await;
        let back = latest(&store).await;
        upload(&store, &one, "a").await;
        let mut waiting = store.subscribe();
        let now = latest(&store).await;
        waiting.wait_for(|known| *known == now).await.unwrap();
        let (revision, token) = (back.revision, back.token);
        setting
            .execute(&format!(
                "UPDATE deployment SET revision = {revision}, token = '{token}'; \
                 DELETE FROM history WHERE revision > {revision}; \
                 UPDATE organizations SET revision = {revision};"
            ))
            .await;
        let woken = waiting.wait_for(|known| *known == back);
        // Every second it is looked for; the rest is for a busy machine.
        timeout(Duration::from_secs(10), woken)
            .await
            .unwrap()
            .unwrap();
        assert!(store.bundle(now).await.unwrap().complete);
    });
}

#[test]
fn digests_are_those_of_the_bundles() {
    on_each(async |setting| {
        let store = setting.open().await;
        let (a, b) = (organization(&store).await, organization(&store).await);
        let whole = store.bundle(HistoryPoint::START).await.unwrap();
        let digests = store.bundle_digests(&Reach::All).await.unwrap();
        assert_eq!(
            (digests.revision, digests.token),
            (whole.revision, whole.token)
        );
        let listed = digests.organizations.iter();
        let listed: Vec<_> = listed.map(|each| (&each.id, Some(each.digest))).collect();
        let sent = whole.organizations.iter();
        let mut sent: Vec<_> = sent.map(|each| (&each.id, each.digest)).collect();
        sent.sort();
        assert_eq!(listed, sent);

        upload(&store, &b, "anchor").await;
        let changed = store.bundle_digests(&Reach::All).await.unwrap();
        let of = |digests: &countersign_types::bundle::BundleDigests, id| {
            let mut all = digests.organizations.iter();
            all.find(|each| each.id == id).unwrap().digest
        };
        assert_eq!(of(&changed, a.clone()), of(&digests, a.clone()));
        assert_ne!(of(&changed, b.clone()), of(&digests, b.clone()));
        let unknown = countersign_types::id::OrganizationId::from_random(9);
        let some = store.organization_bundles(&[b.clone(), unknown]).await;
        let some = some.unwrap();
        assert!(!some.complete);
        assert_eq!(some.organizations.len(), 1);
        assert_eq!(some.organizations[0].digest, Some(of(&changed, b)));
    });
}

#[test]
fn a_digest_is_computed_again_after_a_change_after_an_hour_and_in_another_history() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let id = organization(&store).await;
        upload(&store, &id, "anchor").await;
        let digest = async || {
            let digests = store.bundle_digests(&Reach::All).await.unwrap();
            digests.organizations[0].digest
        };
        let put_project = async |name: &str| {
            setting
                .execute(&format!(
                    "INSERT INTO projects (id, organization_id, name, created_at) \
                     VALUES ('proj_{name}', '{id}', '{name}', 1)"
                ))
                .await;
        };
        let first = digest().await;
        put_project("unnoticed").await;
        assert_eq!(digest().await, first, "its revision is the same");
        setting.clock.set(START + 3_600);
        let second = digest().await;
        assert_ne!(second, first);
        put_project("restored").await;
        assert_eq!(digest().await, second);
        let token = "5".repeat(32);
        setting
            .execute(&format!(
                "DELETE FROM history; UPDATE deployment SET token = '{token}'"
            ))
            .await;
        assert_ne!(digest().await, second);
    });
}
