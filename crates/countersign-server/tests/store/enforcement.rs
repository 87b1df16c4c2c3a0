//! Report-only activation: where it is kept, what a gateway gets, and what the log says.

use std::slice::from_ref;

use countersign_server::store::{AuditFilter, AuditPage, PageRequest, Store, StoreError};
use countersign_types::{
    bundle::OrganizationBundle,
    certificate::{Enforcement, Scope, ScopedCertificate},
    history::HistoryPoint,
    id::{CertificateId, OrganizationId},
};
use serde_json::{Value, json};

use crate::setting::{
    START, activate, activate_as, at, deactivate, delete, on_each, organization, project, upload,
};

const REPORT: Enforcement = Enforcement::Report;

/// What each certificate is at a scope, oldest first.
async fn listed(
    store: &Store,
    organization: &OrganizationId,
    scope: &Scope,
) -> Vec<(bool, Option<Enforcement>)> {
    let page = store
        .list_certificates(organization, scope, &PageRequest::default())
        .await
        .unwrap();
    let found = page.data.iter().rev();
    let known = |each: &ScopedCertificate| each.enforcement.as_ref()?.known();
    found.map(|each| (each.active, known(each))).collect()
}

async fn bundle(store: &Store) -> OrganizationBundle {
    store
        .bundle(HistoryPoint::START)
        .await
        .unwrap()
        .organizations
        .remove(0)
}

/// The details of the activations that the log holds, newest first.
async fn activations(store: &Store, organization: &OrganizationId) -> Vec<Value> {
    let page = store
        .list_audit_logs(organization, &AuditFilter::default(), &AuditPage::default())
        .await
        .unwrap();
    let events = page.data.into_iter();
    events
        .filter(|event| event.event_type == "certificates.activated")
        .map(|mut event| event.details.remove("certificates.activated").unwrap())
        .collect()
}

#[test]
fn a_gateway_that_knows_nothing_of_reports_sees_only_what_is_enforced() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let place = project(&store, &organization, "p").await.id;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(upload(&store, &organization, name).await.id);
        }
        let [a, b, c] = ids.as_slice() else {
            panic!("three were uploaded")
        };
        let here = Scope::Organization;
        activate_as(&store, &organization, &here, from_ref(a), REPORT)
            .await
            .unwrap();
        setting.clock.set(START + 1);
        activate(&store, &organization, &here, from_ref(b))
            .await
            .unwrap();
        activate(&store, &organization, &at(&place), &[a.clone(), c.clone()])
            .await
            .unwrap();

        let bundled = bundle(&store).await;
        assert_eq!(bundled.active, from_ref(b));
        assert_eq!(bundled.with_reported, [a.clone(), b.clone()]);
        assert_eq!(bundled.projects[0].active, [a.clone(), c.clone()]);
        assert_eq!(bundled.projects[0].with_reported, []);
        assert_eq!(
            bundled.certificates.len(),
            3,
            "what is reported is there to judge by"
        );
        let text = serde_json::to_value(&bundled).unwrap();
        assert_eq!(text["projects"][0].get("with_reported"), None);

        let report = (true, Some(REPORT));
        let (on, off) = ((true, None), (false, None));
        assert_eq!(
            listed(&store, &organization, &here).await,
            [report, on, off]
        );
        assert_eq!(
            listed(&store, &organization, &at(&place)).await,
            [on, off, on]
        );
    });
}

#[test]
fn a_promotion_keeps_the_place_and_is_a_change_of_its_own() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let a = upload(&store, &organization, "a").await.id;
        let b = upload(&store, &organization, "b").await.id;
        let here = Scope::Organization;
        let first = activate_as(&store, &organization, &here, from_ref(&a), REPORT)
            .await
            .unwrap();
        setting.clock.set(START + 1);
        activate(&store, &organization, &here, from_ref(&b))
            .await
            .unwrap();
        setting.clock.set(START + 2);
        let both = [a.clone(), b.clone()];
        let promoted = activate(&store, &organization, &here, &both).await.unwrap();
        assert_eq!(promoted, first + 2);
        let bundled = bundle(&store).await;
        assert_eq!(
            bundled.active, both,
            "as old as it was when it was only reported"
        );
        assert_eq!(bundled.with_reported, []);
        let again = activate(&store, &organization, &here, &both).await.unwrap();
        assert_eq!(again, promoted, "nothing changed");

        activate_as(&store, &organization, &here, from_ref(&a), REPORT)
            .await
            .unwrap();
        assert_eq!(bundle(&store).await.active, from_ref(&b));
        let named = |id: &CertificateId, name: &str| json!([{ "id": id, "name": name }]);
        assert_eq!(
            activations(&store, &organization).await,
            [
                json!({ "certificates": named(&a, "a"), "enforcement": "report" }),
                json!({ "certificates": named(&a, "a") }),
                json!({ "certificates": named(&b, "b") }),
                json!({ "certificates": named(&a, "a"), "enforcement": "report" }),
            ]
        );
    });
}

#[test]
fn what_is_only_reported_is_active() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let a = upload(&store, &organization, "a").await.id;
        let ids = [a.clone()];
        let here = Scope::Organization;
        activate_as(&store, &organization, &here, &ids, REPORT)
            .await
            .unwrap();
        let refused = delete(&store, &organization, &a).await;
        assert!(matches!(refused, Err(StoreError::CertificateInUse { .. })));
        assert_eq!(store.list_active_anchors(5).await.unwrap().len(), 1);
        deactivate(&store, &organization, &here, &ids)
            .await
            .unwrap();
        assert_eq!(listed(&store, &organization, &here).await, [(false, None)]);
        // What was reported once is enforced when it is activated again.
        activate(&store, &organization, &here, &ids).await.unwrap();
        assert_eq!(listed(&store, &organization, &here).await, [(true, None)]);
    });
}
