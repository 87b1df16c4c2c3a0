//! What expires is warned of once for each threshold, by one node; and a scope that begins to refuse,
//! once until it has been quiet.

use countersign_server::store::{ExpiryNotice, NewCertificate, NewWebhook, PageRequest, Store};
use countersign_testca::root;
use countersign_types::{
    certificate::Scope,
    error::ErrorCode,
    expiry::ExpiringKind,
    id::{CertificateId, OrganizationId, WebhookId},
    page::MAX_LIMIT,
    secret::Secret,
};

use crate::{
    observations::{Chain, Scene, chain},
    setting::{
        START, activate, anchor, commit, deactivate, on_each, on_each_shared, organization, write,
    },
};

const DAY: u64 = 24 * 60 * 60;

async fn upload_until(
    store: &Store,
    organization: &OrganizationId,
    expires_at: u64,
) -> CertificateId {
    let mut tx = write(store, organization).await;
    let new = NewCertificate {
        expires_at,
        ..anchor("a")
    };
    let change = tx.upload_certificate(new).await.unwrap();
    let id = commit(tx, change).await.id;
    let ids = std::slice::from_ref(&id);
    activate(store, organization, &Scope::Organization, ids)
        .await
        .unwrap();
    id
}

async fn webhook(store: &Store, organization: &OrganizationId) -> WebhookId {
    let mut tx = write(store, organization).await;
    let new = NewWebhook {
        url: Secret::new("https://example.com/"),
        host: "example.com".to_owned(),
    };
    let change = tx.create_webhook(new).await.unwrap();
    commit(tx, change).await.id
}

/// How many events of a type were put out to a webhook.
async fn events_sent(
    store: &Store,
    scope: (&OrganizationId, &WebhookId),
    event_type: &str,
) -> usize {
    let request = PageRequest {
        limit: MAX_LIMIT,
        ..PageRequest::default()
    };
    let page = store
        .list_webhook_deliveries(scope.0, scope.1, &request)
        .await
        .unwrap();
    page.data
        .iter()
        .filter(|each| each.event_type == event_type)
        .count()
}

fn thresholds(notices: &[ExpiryNotice]) -> Vec<u64> {
    notices.iter().map(|each| each.within_days).collect()
}

#[test]
fn an_active_anchor_is_warned_of_once_at_each_threshold_and_only_at_the_nearest() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let hook = webhook(&store, &organization).await;
        let end = START + 100 * DAY;
        let id = upload_until(&store, &organization, end).await;
        assert_eq!(store.send_expiry_notices().await.unwrap(), []);
        let mut all = Vec::new();
        for (before, wanted) in [
            (90 * DAY + 1, vec![]),
            (90 * DAY, vec![90]),
            (61 * DAY, vec![]),
            // Past 60 and 30 meanwhile, as after a long pause.
            (20 * DAY, vec![30]),
            (7 * DAY, vec![7]),
            (DAY, vec![1]),
            (1, vec![]),
            (0, vec![]),
        ] {
            setting.clock.set(end - before);
            for wanted in [wanted, vec![]] {
                let notices = store.send_expiry_notices().await.unwrap();
                assert_eq!(thresholds(&notices), wanted, "{before} seconds before");
                all.extend(notices);
            }
        }
        assert!(
            all.iter()
                .all(|notice| notice.expiring.id.as_ref() == Some(&id))
        );
        let scope = (&organization, &hook);
        assert_eq!(events_sent(&store, scope, "certificate.expiring").await, 4);
    });
}

#[test]
fn one_of_two_nodes_warns() {
    on_each_shared(async |setting| {
        let stores = [setting.open().await, setting.open().await];
        let organization = organization(&stores[0]).await;
        let hook = webhook(&stores[0], &organization).await;
        for _ in 0..20 {
            upload_until(&stores[0], &organization, START + DAY).await;
        }
        let (one, other) = tokio::join!(
            stores[0].send_expiry_notices(),
            stores[1].send_expiry_notices()
        );
        assert_eq!(one.unwrap().len() + other.unwrap().len(), 20);
        let scope = (&organization, &hook);
        assert_eq!(
            events_sent(&stores[0], scope, "certificate.expiring").await,
            20
        );
    });
}

#[test]
fn what_is_not_active_is_neither_warned_of_nor_listed() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let id = upload_until(&store, &organization, START + DAY).await;
        let listed = async |days| store.list_expiring(&organization, days).await.unwrap().data;
        assert_eq!(listed(1).await[0].id.as_ref(), Some(&id));
        assert_eq!(listed(0).await, []);
        let of_anchors = async || {
            let counts = store.count_expiring().await.unwrap();
            let counts = counts
                .iter()
                .filter(|each| each.kind == ExpiringKind::Anchor);
            counts.map(|each| each.count).collect::<Vec<_>>()
        };
        assert_eq!(of_anchors().await, [1, 1, 1, 1, 1]);
        setting.clock.set(START + 2 * DAY);
        assert_eq!(listed(1).await.len(), 1, "expired, and still active");
        setting.clock.set(START);
        deactivate(&store, &organization, &Scope::Organization, &[id])
            .await
            .unwrap();
        assert_eq!(listed(1).await, []);
        assert_eq!(of_anchors().await, [0; 5]);
        assert_eq!(store.send_expiry_notices().await.unwrap(), []);
    });
}

/// A leaf with its whole life.
fn leaf(name: &str, from: u64, to: u64) -> Chain {
    let seconds = |moment: u64| i64::try_from(moment).unwrap();
    let leaf = root("Client Root")
        .mint()
        .leaf(name)
        .valid(seconds(from), seconds(to))
        .mint();
    chain(vec![leaf.der().to_vec()])
}

#[test]
fn a_leaf_in_use_is_warned_of_unless_its_lifetime_is_shorter_than_the_threshold() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        // The scene's own anchor expires soon too.
        store.send_expiry_notices().await.unwrap();
        let hook = webhook(&store, &scene.organization).await;
        let long = leaf("long", START - 300 * DAY, START + 20 * DAY);
        let short = leaf("short", START, START + 3600);
        let chains = [long.clone(), short.clone()];
        let seen = [
            scene.seen(Some(long.digest)),
            scene.seen(Some(short.digest)),
        ];
        assert_eq!(scene.send(1, &chains, &seen).await.accepted, 2);
        let notices = store.send_expiry_notices().await.unwrap();
        assert_eq!(thresholds(&notices), [30]);
        let long_sha256 = notices[0].expiring.sha256;
        assert_eq!(store.send_expiry_notices().await.unwrap(), []);
        let scope = (&scene.organization, &hook);
        assert_eq!(events_sent(&store, scope, "certificate.expiring").await, 1);

        let listed = store.list_expiring(&scene.organization, 30).await.unwrap();
        let leaves: Vec<_> = listed
            .data
            .iter()
            .filter(|it| it.kind == ExpiringKind::Leaf)
            .collect();
        assert_eq!(leaves.len(), 2);
        assert_eq!(leaves[1].sha256, long_sha256);
        assert_eq!(
            (leaves[1].last_seen, leaves[1].requests),
            (Some(START), Some(10))
        );
        // Not seen for a week and more: nobody waits for it.
        setting.clock.set(START + 14 * DAY);
        assert_eq!(store.send_expiry_notices().await.unwrap(), []);
    });
}

#[test]
fn a_scope_that_starts_to_refuse_is_reported_once_until_it_was_quiet_for_an_hour() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let hook = webhook(&store, &scene.organization).await;
        let scope = (&scene.organization, &hook);
        let started = async || events_sent(&store, scope, "refusals.started").await;
        let mut number = 0;
        let mut send = async |at: u64, code: Option<ErrorCode>| {
            setting.clock.set(at);
            let mut seen = scene.seen(None);
            (seen.code, seen.first_seen, seen.last_seen) = (code, at - 5, at);
            number += 1;
            assert_eq!(scene.send(number, &[], &[seen]).await.accepted, 1);
        };
        let refused = Some(ErrorCode::CertificateRequired);
        send(START, None).await;
        assert_eq!(started().await, 0);
        for (at, count) in [
            (START + 10, 1),
            (START + 20, 1),
            (START + 3600, 1),
            // An hour after the latest, not after the first.
            (START + 2 * 3600 - 10, 1),
            (START + 4 * 3600, 2),
            (START + 4 * 3600 + 1, 2),
        ] {
            send(at, refused).await;
            assert_eq!(started().await, count, "at {}", at - START);
        }
    });
}
