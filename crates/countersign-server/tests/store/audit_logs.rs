//! The audit log: each change once, newest first, found by every filter.

use countersign_server::store::{AuditFilter, AuditPage, AuditRange, Store, StoreError};
use countersign_types::{
    certificate::Scope,
    id::{CertificateId, OrganizationId},
};
use serde_json::json;

use crate::setting::{
    START, Setting, activate, anchor, at, deactivate, delete, on_each, organization, project,
    upload,
};

#[test]
fn every_change_is_logged_once_with_what_it_was_about() {
    on_each(async |setting| {
        let store = setting.open().await;
        let made = store.create_organization("Acme").await.unwrap();
        let organization = made.organization.id;
        let place = project(&store, &organization, "p").await;
        let certificate = upload(&store, &organization, "a").await.id;
        let ids = [certificate.clone()];
        for _ in 0..2 {
            activate(&store, &organization, &at(&place.id), &ids)
                .await
                .unwrap();
        }
        for _ in 0..2 {
            deactivate(&store, &organization, &at(&place.id), &ids)
                .await
                .unwrap();
        }
        delete(&store, &organization, &certificate).await.unwrap();
        let log = store
            .list_audit_logs(
                &organization,
                &AuditFilter::default(),
                &AuditPage::default(),
            )
            .await
            .unwrap();
        let types: Vec<_> = log
            .data
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        assert_eq!(
            types,
            [
                "certificate.deleted",
                "certificates.deactivated",
                "certificates.activated",
                "certificate.created",
                "project.created",
                "api_key.created",
            ]
        );
        let deleted = &log.data[0].details["certificate.deleted"];
        assert_eq!(deleted["certificate"], json!(anchor("a").pem));
        let activated = &log.data[2];
        assert_eq!(
            activated.project.as_ref().unwrap().id.as_ref(),
            Some(&place.id)
        );
        assert_eq!(activated.effective_at, START);
    });
}

#[test]
fn filters_narrow() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let made = seven_events(&setting, &store, &organization).await;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let all = AuditFilter::default;
        let during = |effective_at| AuditFilter {
            effective_at,
            ..all()
        };
        let (mut resources, mut types, mut operator) = (all(), all(), all());
        resources.resource_ids = words(&[made[0].as_str(), made[4].as_str(), "x\0"]);
        types.event_types = words(&["certificates.activated", "api_key.created"]);
        operator.actor_ids = words(&["operator"]);
        let (mut other, mut hostile) = (all(), all());
        other.actor_ids = words(&["key_other", "\0"]);
        hostile.project_ids = words(&["", "'; DROP TABLE audit_logs; --"]);
        let inside = during(AuditRange {
            gt: Some(START),
            lte: Some(START + 2),
            ..AuditRange::default()
        });
        let never = during(AuditRange {
            gte: Some(u64::MAX),
            ..AuditRange::default()
        });
        for (filter, count) in [
            (all(), 7),
            (resources, 3),
            (types, 2),
            (operator, 7),
            (other, 0),
            (hostile, 0),
            (inside, 2),
            (never, 0),
        ] {
            let page = AuditPage::default();
            let found = store.list_audit_logs(&organization, &filter, &page).await;
            assert_eq!(found.unwrap().data.len(), count, "{filter:?}");
        }
    });
}

#[test]
fn pages_go_both_ways() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        seven_events(&setting, &store, &organization).await;
        let list = async |after: Option<&str>, before: Option<&str>| {
            let page = AuditPage {
                limit: 3,
                after: after.map(str::to_owned),
                before: before.map(str::to_owned),
            };
            let filter = AuditFilter::default();
            store.list_audit_logs(&organization, &filter, &page).await
        };
        let first = list(None, None).await.unwrap();
        assert!(first.has_more);
        let second = list(first.last_id.as_deref(), None).await.unwrap();
        let third = list(second.last_id.as_deref(), None).await.unwrap();
        assert_eq!(third.data.len(), 1);
        assert!(!third.has_more);
        let back = list(None, third.first_id.as_deref()).await.unwrap();
        assert_eq!(back, second);
        let between = list(first.first_id.as_deref(), second.first_id.as_deref()).await;
        assert_eq!(between.unwrap().data, first.data[1..]);
        for unknown in ["audit_log-unknown", "", "\0"] {
            let refused = list(Some(unknown), None).await;
            assert!(matches!(refused, Err(StoreError::UnknownCursor(text)) if text == unknown));
        }
    });
}

/// Besides the key's: five uploads, a second apart, and an activation of the first two.
async fn seven_events(
    setting: &Setting,
    store: &Store,
    organization: &OrganizationId,
) -> Vec<CertificateId> {
    let mut made = Vec::new();
    for number in 0..5 {
        setting.clock.set(START + number);
        made.push(upload(store, organization, &number.to_string()).await.id);
    }
    let scope = Scope::Organization;
    activate(store, organization, &scope, &made[..2])
        .await
        .unwrap();
    made
}

#[test]
fn time_never_runs_backwards_in_an_organization() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        setting.clock.set(START + 100);
        let late = upload(&store, &organization, "a").await;
        setting.clock.set(START - 100);
        let early = upload(&store, &organization, "b").await;
        assert_eq!(
            (late.created_at, early.created_at),
            (START + 100, START + 100)
        );
    });
}
