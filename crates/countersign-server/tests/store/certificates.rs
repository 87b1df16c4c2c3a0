//! Certificates: kept as sent, listed without gaps, deleted only when active nowhere.

use countersign_server::store::{Kind, NewCertificate, PageRequest, StoreError};
use countersign_types::{
    certificate::{Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION, Scope, ScopedCertificateObject},
    id::CertificateId,
    page::Order,
};

use crate::setting::{
    START, activate, anchor, at, commit, deactivate, delete, on_each, organization, project,
    upload, write,
};

#[test]
fn the_pem_is_kept_byte_for_byte() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let made = upload(&store, &organization, "a").await;
        assert_eq!(made.certificate_details.content, None);
        let plain = store
            .retrieve_certificate(&organization, &made.id, false)
            .await
            .unwrap();
        assert_eq!(plain, made);
        let whole = store
            .retrieve_certificate(&organization, &made.id, true)
            .await
            .unwrap();
        assert_eq!(
            whole.certificate_details.content.as_deref(),
            Some(anchor("a").pem.as_str())
        );
        assert_eq!(whole.created_at, START);
        assert_eq!(whole.certificate_details.valid_at, Some(START - 1000));
        assert_eq!(whole.certificate_details.expires_at, Some(START + 1000));
    });
}

#[test]
fn another_organization_sees_nothing() {
    on_each(async |setting| {
        let store = setting.open().await;
        let mine = organization(&store).await;
        let theirs = organization(&store).await;
        let certificate = upload(&store, &mine, "a").await;
        let place = project(&store, &mine, "p").await;
        let missing = |error: StoreError| matches!(error, StoreError::NotFound { .. });

        let id = &certificate.id;
        let read = store.retrieve_certificate(&theirs, id, true).await;
        assert!(missing(read.unwrap_err()));
        let page = PageRequest::default();
        let list = store
            .list_certificates(&theirs, &Scope::Organization, &page)
            .await;
        assert_eq!(list.unwrap().data, []);
        let list = store
            .list_certificates(&theirs, &at(&place.id), &page)
            .await;
        assert!(missing(list.unwrap_err()));
        let after = PageRequest {
            after: Some(id.to_string()),
            ..page
        };
        let list = store
            .list_certificates(&theirs, &Scope::Organization, &after)
            .await;
        assert!(matches!(list, Err(StoreError::UnknownCursor(text)) if text == id.as_str()));
        assert!(missing(delete(&store, &theirs, id).await.unwrap_err()));
        let ids = [id.clone()];
        let toggled = activate(&store, &theirs, &Scope::Organization, &ids).await;
        assert!(missing(toggled.unwrap_err()));
        let mut tx = write(&store, &theirs).await;
        assert!(missing(
            tx.update_certificate(id, Some("x".to_owned()))
                .await
                .unwrap_err()
        ));
        assert!(missing(tx.update_policy(id, None).await.unwrap_err()));
        assert!(missing(tx.archive_project(&place.id).await.unwrap_err()));
        drop(tx);
        let still = store.retrieve_certificate(&mine, id, false).await.unwrap();
        assert_eq!(still, certificate);
    });
}

#[test]
fn a_name_changes_only_when_it_differs() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let made = upload(&store, &organization, "a").await;
        let before = store.revision().await.unwrap();
        for same in [None, Some("a".to_owned())] {
            let mut tx = write(&store, &organization).await;
            let change = tx.update_certificate(&made.id, same).await.unwrap();
            assert_eq!(change.events, []);
            assert_eq!(tx.commit(change.events).await.unwrap().revision, before);
        }
        let mut tx = write(&store, &organization).await;
        let change = tx
            .update_certificate(&made.id, Some("b".to_owned()))
            .await
            .unwrap();
        assert_eq!(commit(tx, change).await.name.as_deref(), Some("b"));
        assert_eq!(store.revision().await.unwrap(), before + 1);
        let mut tx = write(&store, &organization).await;
        let policy = Some("true".to_owned());
        let change = tx.update_policy(&made.id, policy.clone()).await.unwrap();
        assert_eq!(commit(tx, change).await.cel_policy, policy);
        let mut tx = write(&store, &organization).await;
        assert_eq!(tx.update_policy(&made.id, policy).await.unwrap().events, []);
    });
}

#[test]
fn pages_neither_skip_nor_repeat_while_rows_are_added() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut made = Vec::new();
        for number in 0..7 {
            // Some share a time, so that insertion breaks the tie.
            setting.clock.set(START + number / 3);
            made.push(
                upload(&store, &organization, &format!("c{number}"))
                    .await
                    .id,
            );
        }
        for order in [Order::Asc, Order::Desc] {
            let mut seen = Vec::new();
            let mut after = None;
            loop {
                let request = PageRequest {
                    limit: 3,
                    after,
                    order,
                };
                let page = store
                    .list_certificates(&organization, &Scope::Organization, &request)
                    .await
                    .unwrap();
                seen.extend(page.data.iter().map(|each| each.id.clone()));
                assert_eq!(
                    page.last_id.as_deref(),
                    seen.last().map(CertificateId::as_str)
                );
                if order == Order::Desc && seen.len() == 3 {
                    upload(&store, &organization, "newer").await;
                }
                if !page.has_more {
                    break;
                }
                after = page.last_id;
            }
            let mut expected = made.clone();
            if order == Order::Desc {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
        for unknown in ["cert_unknown", "", "x\0y"] {
            let request = PageRequest {
                after: Some(unknown.to_owned()),
                ..PageRequest::default()
            };
            let page = store
                .list_certificates(&organization, &Scope::Organization, &request)
                .await;
            assert!(matches!(page, Err(StoreError::UnknownCursor(text)) if text == unknown));
        }
    });
}

#[test]
fn active_is_of_the_scope_that_is_listed() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let place = project(&store, &organization, "p").await;
        let certificate = upload(&store, &organization, "a").await.id;
        let ids = [certificate.clone()];
        activate(&store, &organization, &at(&place.id), &ids)
            .await
            .unwrap();
        for (scope, active, object) in [
            (
                Scope::Organization,
                false,
                ScopedCertificateObject::Organization,
            ),
            (at(&place.id), true, ScopedCertificateObject::Project),
        ] {
            let page = store
                .list_certificates(&organization, &scope, &PageRequest::default())
                .await
                .unwrap();
            let found = page.data.iter();
            let found: Vec<_> = found.map(|c| (c.active, c.object.known())).collect();
            assert_eq!(found, [(active, Some(object))]);
        }
    });
}

#[test]
fn deleting_names_every_scope_that_is_in_the_way() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let place = project(&store, &organization, "p").await;
        let id = upload(&store, &organization, "a").await.id;
        let ids = [id.clone()];
        let scopes = [Scope::Organization, at(&place.id)];
        for scope in &scopes {
            activate(&store, &organization, scope, &ids).await.unwrap();
        }
        let mut tx = write(&store, &organization).await;
        let change = tx.archive_project(&place.id).await.unwrap();
        commit(tx, change).await;
        let refused = delete(&store, &organization, &id).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::CertificateInUse { scopes: found } if found == scopes)
        );
        deactivate(&store, &organization, &scopes[0], &ids)
            .await
            .unwrap();
        let refused = delete(&store, &organization, &id).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::CertificateInUse { scopes: found } if found == scopes[1..])
        );
        // An archived project still allows deactivation.
        deactivate(&store, &organization, &scopes[1], &ids)
            .await
            .unwrap();
        delete(&store, &organization, &id).await.unwrap();
        let gone = store.retrieve_certificate(&organization, &id, false).await;
        assert!(
            matches!(gone, Err(StoreError::NotFound { kind: Kind::Certificate, id: text }) if text == id.as_str())
        );
    });
}

#[test]
fn toggles_are_all_or_nothing_and_follow_the_request() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let a = upload(&store, &organization, "a").await.id;
        let b = upload(&store, &organization, "b").await.id;
        let mut tx = write(&store, &organization).await;
        let short = NewCertificate {
            expires_at: START + 1,
            ..anchor("short")
        };
        let change = tx.upload_certificate(short).await.unwrap();
        let short = commit(tx, change).await.id;
        setting.clock.set(START + 1);

        let scope = Scope::Organization;
        let ids = [b.clone(), b.clone(), short.clone(), a.clone()];
        let refused = activate(&store, &organization, &scope, &ids).await;
        assert!(matches!(refused, Err(StoreError::Expired { index: 2 })));
        let unknown: CertificateId = "cert_unknown".parse().unwrap();
        let refused = activate(&store, &organization, &scope, &[a.clone(), unknown.clone()]).await;
        assert!(matches!(refused, Err(StoreError::NotFound { id, .. }) if id == unknown.as_str()));
        let page = PageRequest::default();
        let listed = store
            .list_certificates(&organization, &scope, &page)
            .await
            .unwrap();
        assert!(listed.data.iter().all(|each| !each.active));

        activate(&store, &organization, &scope, std::slice::from_ref(&a))
            .await
            .unwrap();
        let mut tx = write(&store, &organization).await;
        let ids = [b.clone(), a.clone(), b.clone()];
        let change = tx
            .activate_certificates(&scope, &ids, Enforcement::Enforce)
            .await
            .unwrap();
        let order: Vec<_> = change
            .answer
            .iter()
            .map(|each| (&each.id, each.active))
            .collect();
        assert_eq!(order, [(&b, true), (&a, true)]);
        assert_eq!(
            change.events[0].resource_ids(),
            [b.as_str()],
            "only what really changed"
        );
        commit(tx, change).await;

        // An expired one can still be put out of use, and not put into use again.
        let before = store.revision().await.unwrap();
        let again = activate(&store, &organization, &scope, &[a.clone(), b.clone()]).await;
        assert_eq!(again.unwrap(), before);
        let harmless = deactivate(&store, &organization, &scope, &[short]).await;
        assert_eq!(harmless.unwrap(), before);
    });
}

#[test]
fn the_fifty_first_is_refused_until_one_goes() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut last = None;
        for number in 0..MAX_CERTIFICATES_PER_ORGANIZATION {
            last = Some(upload(&store, &organization, &number.to_string()).await.id);
        }
        let mut tx = write(&store, &organization).await;
        let refused = tx.upload_certificate(anchor("more")).await;
        assert!(matches!(refused, Err(StoreError::CertificateLimit)));
        drop(tx);
        delete(&store, &organization, &last.unwrap()).await.unwrap();
        upload(&store, &organization, "more").await;
    });
}
