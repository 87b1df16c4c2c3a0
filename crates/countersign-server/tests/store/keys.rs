//! Keys: found by digest only, of one kind only, and gone at once.

use countersign_server::store::{Kind, NewAdminApiKey, NewServiceAccount, PageRequest, StoreError};
use countersign_types::{
    api_key::{KeyKind, Permission},
    audit::Actor,
    digest::{KeyDigest, Sha256},
    id::OrganizationId,
    secret::Secret,
};

use crate::setting::{START, commit, on_each, organization, project, write};

fn new_key(permissions: &[Permission]) -> NewAdminApiKey {
    NewAdminApiKey {
        name: "k".to_owned(),
        expires_in_seconds: Some(60),
        permissions: permissions.to_vec(),
    }
}

#[test]
fn the_first_key_has_every_permission_and_is_kept_as_a_digest() {
    on_each(async |setting| {
        let store = setting.open().await;
        let made = store.create_organization("Acme").await.unwrap();
        let value = made.key.value.unwrap();
        let random = value
            .reveal()
            .strip_prefix(KeyKind::Admin.prefix())
            .unwrap();
        assert_eq!(random.len(), 40, "200 bits in base 32");
        let caller = store
            .caller(KeyDigest::of(value.reveal()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(caller.organization, Some(made.organization.id.clone()));
        assert_eq!(caller.kind, KeyKind::Admin);
        assert_eq!(caller.permissions, Permission::ALL);
        assert_eq!(caller.project, None);
        assert_eq!(caller.expires_at, None);
        let stored = store
            .retrieve_admin_api_key(&made.organization.id, &made.key.id)
            .await
            .unwrap();
        assert_eq!(stored.value, None);
        assert_eq!(stored.redacted_value, value.redacted());
        assert_eq!(
            store.caller(KeyDigest::new(Sha256::ZERO)).await.unwrap(),
            None
        );
        let organizations = store.list_organizations().await.unwrap();
        assert_eq!(organizations, [made.organization]);
    });
}

#[test]
fn a_deleted_or_expired_key_writes_nothing_more() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut tx = write(&store, &organization).await;
        let change = tx
            .create_admin_api_key(new_key(&[Permission::MtlsRead]))
            .await
            .unwrap();
        let key = commit(tx, change).await;
        assert_eq!(key.expires_at, Some(START + 60));
        let digest = KeyDigest::of(key.value.as_ref().unwrap().reveal());
        let caller = store.caller(digest).await.unwrap().unwrap();
        assert_eq!(caller.permissions, [Permission::MtlsRead]);
        assert_eq!(caller.expires_at, Some(START + 60));

        let actor = Actor::ApiKey(key.id.clone());
        assert!(store.write(&organization, actor.clone()).await.is_ok());
        setting.clock.set(START + 60);
        let expired = store.write(&organization, actor.clone()).await;
        assert!(matches!(expired, Err(StoreError::KeyRevoked)));
        setting.clock.set(START);
        let mut tx = write(&store, &organization).await;
        let change = tx.delete_admin_api_key(&key.id).await.unwrap();
        commit(tx, change).await;
        assert_eq!(store.caller(digest).await.unwrap(), None);
        assert!(matches!(
            store.write(&organization, actor).await,
            Err(StoreError::KeyRevoked)
        ));
    });
}

#[test]
fn a_key_of_another_organization_does_not_write_here() {
    on_each(async |setting| {
        let store = setting.open().await;
        let mine = organization(&store).await;
        let theirs = store.create_organization("Other").await.unwrap();
        let written = store
            .write(&mine, Actor::ApiKey(theirs.key.id.clone()))
            .await;
        assert!(matches!(written, Err(StoreError::KeyRevoked)));
        let mut tx = write(&store, &mine).await;
        let deleted = tx.delete_admin_api_key(&theirs.key.id).await;
        assert!(matches!(
            deleted,
            Err(StoreError::NotFound {
                kind: Kind::ApiKey,
                ..
            })
        ));
        drop(tx);
        let unknown: OrganizationId = "org-unknown".parse().unwrap();
        let written = store.write(&unknown, Actor::Operator).await;
        assert!(matches!(
            written,
            Err(StoreError::NotFound {
                kind: Kind::Organization,
                ..
            })
        ));
    });
}

#[test]
fn a_service_account_takes_its_keys_with_it() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let place = project(&store, &organization, "p").await.id;
        let mut tx = write(&store, &organization).await;
        let new = NewServiceAccount {
            name: "bot".to_owned(),
            with_key: true,
        };
        let change = tx.create_service_account(&place, new).await.unwrap();
        assert_eq!(change.events.len(), 2);
        let account = commit(tx, change).await;
        let first = account.api_key.unwrap();
        let mut tx = write(&store, &organization).await;
        let change = tx
            .create_service_account_api_key(&place, &account.id, None, vec!["x".to_owned()])
            .await
            .unwrap();
        let second = commit(tx, change).await;
        assert_eq!(second.name, "bot");
        let digest = |secret: &Secret| KeyDigest::of(secret.reveal());
        let caller = store.caller(digest(&second.value)).await.unwrap().unwrap();
        assert_eq!(caller.kind, KeyKind::Project);
        assert_eq!(caller.project, Some(place.clone()));
        assert_eq!(caller.permissions, []);
        assert!(!caller.project_archived);
        // A project's key is no admin key, and writes nothing.
        let written = store
            .write(&organization, Actor::ApiKey(second.id.clone()))
            .await;
        assert!(matches!(written, Err(StoreError::KeyRevoked)));

        let page = store
            .list_project_api_keys(&organization, &place, &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(page.data.len(), 2);
        let mut tx = write(&store, &organization).await;
        let change = tx.archive_project(&place).await.unwrap();
        commit(tx, change).await;
        let caller = store.caller(digest(&first.value)).await.unwrap().unwrap();
        assert!(caller.project_archived);
        let mut tx = write(&store, &organization).await;
        let refused = tx
            .create_service_account_api_key(&place, &account.id, None, Vec::new())
            .await;
        assert!(matches!(refused, Err(StoreError::ProjectArchived)));
        drop(tx);

        let mut tx = write(&store, &organization).await;
        let change = tx
            .delete_service_account(&place, &account.id)
            .await
            .unwrap();
        assert_eq!(change.events.len(), 3, "two keys and the account");
        commit(tx, change).await;
        for key in [&first.value, &second.value] {
            assert_eq!(store.caller(digest(key)).await.unwrap(), None);
        }
    });
}

#[test]
fn gateway_keys_belong_to_no_organization() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let made = store.create_gateway_key("edge").await.unwrap();
        let caller = store
            .caller(KeyDigest::of(made.value.reveal()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(caller.kind, KeyKind::Gateway);
        assert_eq!(caller.organization, None);
        assert_eq!(
            store.list_gateway_keys().await.unwrap(),
            std::slice::from_ref(&made.key)
        );
        let written = store
            .write(&organization, Actor::ApiKey(made.key.id.clone()))
            .await;
        assert!(matches!(written, Err(StoreError::KeyRevoked)));
        store.delete_gateway_key(&made.key.id).await.unwrap();
        let again = store.delete_gateway_key(&made.key.id).await;
        assert!(matches!(again, Err(StoreError::NotFound { .. })));
    });
}

#[test]
fn an_admin_key_cannot_be_deleted_as_a_gateway_key() {
    on_each(async |setting| {
        let store = setting.open().await;
        let made = store.create_organization("Acme").await.unwrap();
        assert!(store.delete_gateway_key(&made.key.id).await.is_err());
        let organization = &made.organization.id;
        assert!(
            store
                .retrieve_admin_api_key(organization, &made.key.id)
                .await
                .is_ok()
        );
    });
}
