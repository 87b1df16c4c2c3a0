//! Gateways: what they reported, and when they are missed.

use countersign_server::store::{GatewayFilter, GatewayReport, Kind, Store, StoreError};
use countersign_types::{
    bundle::{Gateway, GatewayState},
    capability::Capability,
    history::{HistoryPoint, RevisionToken},
    id::{ApiKeyId, GatewayId},
};

use crate::setting::{START, latest, on_each, on_each_shared, organization, upload};

const ALL: GatewayFilter = GatewayFilter {
    kept_since: 0,
    live_since: 0,
};

fn key() -> ApiKeyId {
    ApiKeyId::opaque("key_edge")
}

async fn report(store: &Store, id: &GatewayId, enforced: HistoryPoint, durable: bool) {
    let name = "edge";
    let report = GatewayReport {
        id,
        name,
        key: &key(),
        enforced,
        durable,
        understands: &Capability::ALL,
    };
    store.record_gateway(report, 0).await.unwrap();
}

async fn only(store: &Store, filter: GatewayFilter) -> Gateway {
    let mut listed = store.list_gateways(filter).await.unwrap().gateways;
    assert_eq!(listed.len(), 1);
    listed.remove(0)
}

#[test]
fn a_gateway_is_live_then_missing_then_forgotten() {
    on_each(async |setting| {
        let store = setting.open().await;
        organization(&store).await;
        let id = GatewayId::from_random(1);
        let at = latest(&store).await;
        report(&store, &id, at, true).await;
        let filter = |kept_since, live_since| GatewayFilter {
            kept_since,
            live_since,
        };
        let live = only(&store, filter(START, START)).await;
        assert_eq!(live.state, GatewayState::Live);
        assert_eq!(live.seen_at, START);
        assert_eq!((live.revision, live.durable), (at.revision, true));
        let missing = only(&store, filter(START, START + 1)).await;
        assert_eq!(missing.state, GatewayState::Missing);
        let listed = store.list_gateways(filter(START + 1, START + 1)).await;
        assert_eq!(listed.unwrap().gateways, []);
        // The next to write removes it.
        setting.clock.set(START + 100);
        let other = GatewayId::from_random(2);
        let said = GatewayReport {
            id: &other,
            name: "other",
            key: &key(),
            enforced: at,
            durable: true,
            understands: &Capability::ALL,
        };
        store.record_gateway(said, START + 1).await.unwrap();
        assert_eq!(only(&store, ALL).await.id, other);
        store.forget_gateway(&other).await.unwrap();
        assert_eq!(store.list_gateways(ALL).await.unwrap().gateways, []);
        let unknown = store.forget_gateway(&other).await.unwrap_err();
        let is_gateway = matches!(
            &unknown,
            StoreError::NotFound {
                kind: Kind::Gateway,
                ..
            }
        );
        assert!(is_gateway, "{unknown}");
    });
}

#[test]
fn what_would_not_survive_a_restart_is_not_taken_as_enforced() {
    on_each(async |setting| {
        let store = setting.open().await;
        let one = organization(&store).await;
        let id = GatewayId::from_random(1);
        let first = latest(&store).await;
        report(&store, &id, first, true).await;
        upload(&store, &one, "a").await;
        let second = latest(&store).await;
        report(&store, &id, second, false).await;
        let listed = only(&store, ALL).await;
        assert_eq!((listed.revision, listed.durable), (first.revision, false));
        report(&store, &id, second, true).await;
        let listed = only(&store, ALL).await;
        assert_eq!((listed.revision, listed.durable), (second.revision, true));
        let never = GatewayId::from_random(2);
        report(&store, &never, second, false).await;
        let listed = store.list_gateways(ALL).await.unwrap().gateways;
        let never = listed.iter().find(|each| each.id == never).unwrap();
        assert_eq!((never.revision, never.durable), (0, false));
    });
}

#[test]
fn a_point_of_another_history_counts_for_nothing() {
    on_each(async |setting| {
        let store = setting.open().await;
        organization(&store).await;
        let lost = HistoryPoint {
            token: RevisionToken::from_random(5),
            ..latest(&store).await
        };
        report(&store, &GatewayId::from_random(1), lost, true).await;
        assert_eq!(only(&store, ALL).await.revision, 0);
    });
}

/// Each node looks at what is recorded, and not at what it recorded itself.
#[test]
fn nothing_is_written_when_nothing_is_new() {
    on_each_shared(async |setting| {
        let (here, there) = (setting.open().await, setting.open().await);
        organization(&here).await;
        let id = GatewayId::from_random(1);
        let at = latest(&here).await;
        report(&here, &id, at, true).await;
        setting.clock.set(START + 14);
        for node in [&here, &there] {
            report(node, &id, at, true).await;
            assert_eq!(only(node, ALL).await.seen_at, START);
        }
        // Said goodbye to one node, and asks the other again.
        there.forget_gateway(&id).await.unwrap();
        report(&here, &id, at, true).await;
        assert_eq!(only(&there, ALL).await.seen_at, START + 14);
        setting.clock.set(START + 29);
        report(&here, &id, at, true).await;
        assert_eq!(only(&there, ALL).await.seen_at, START + 29);
    });
}

#[test]
fn an_organization_receives_only_its_own_events() {
    on_each(async |setting| {
        let store = setting.open().await;
        let one = organization(&store).await;
        let own = latest(&store).await;
        report(&store, &GatewayId::from_random(1), own, true).await;
        let listed = store.list_gateways_of(&one, ALL).await.unwrap();
        assert_eq!(listed.revision, own.revision);
        assert_eq!(listed.gateways[0].name, "edge", "it is alone here");

        organization(&store).await;
        let all = latest(&store).await;
        report(&store, &GatewayId::from_random(1), all, true).await;
        let listed = store.list_gateways_of(&one, ALL).await.unwrap();
        assert_eq!(listed.revision, own.revision);
        assert_eq!(listed.gateways[0].revision, own.revision);
        assert_eq!(listed.gateways[0].name, "");
    });
}

#[test]
fn the_key_that_a_gateway_asks_with_is_known() {
    on_each(async |setting| {
        let store = setting.open().await;
        organization(&store).await;
        let id = GatewayId::from_random(1);
        let at = latest(&store).await;
        report(&store, &id, at, true).await;
        let other = ApiKeyId::opaque("key_other");
        for used in [key(), other] {
            let report = GatewayReport {
                id: &id,
                name: "edge",
                key: &used,
                enforced: at,
                durable: true,
                understands: &Capability::ALL,
            };
            store.record_gateway(report, 0).await.unwrap();
            let uses = store.gateway_key_uses().await.unwrap();
            let uses: Vec<_> = uses.iter().map(|one| (&one.key, &one.gateway)).collect();
            assert_eq!(uses, [(&used, &id)]);
        }
    });
}
