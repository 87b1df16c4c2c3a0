//! Projects and service accounts.

use countersign_server::store::{NewProject, NewServiceAccount, PageRequest, StoreError};
use countersign_types::project::{
    ProjectUpdateRequest, Residency, ServiceAccountRole, ServiceAccountUpdateRequest,
};

use crate::setting::{START, activate, at, commit, on_each, organization, project, upload, write};

#[test]
fn a_project_keeps_what_it_was_given() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let mut tx = write(&store, &organization).await;
        let new = NewProject {
            name: "Paris".to_owned(),
            residency: Some(Residency::EuStorageProcessing),
            external_key_id: Some("ext".to_owned()),
        };
        let change = tx.create_project(new).await.unwrap();
        let made = commit(tx, change).await;
        assert_eq!(made.residency, Some(Residency::EuStorageProcessing.into()));
        let mut tx = write(&store, &organization).await;
        let update = ProjectUpdateRequest {
            name: Some("Lyon".to_owned()),
            external_key_id: None,
        };
        let change = tx.update_project(&made.id, update.clone()).await.unwrap();
        let updated = commit(tx, change).await;
        let read = store
            .retrieve_project(&organization, &made.id)
            .await
            .unwrap();
        assert_eq!(read, updated);
        assert_eq!(read.name.as_deref(), Some("Lyon"));
        assert_eq!(read.external_key_id.as_deref(), Some("ext"));
        let mut tx = write(&store, &organization).await;
        let change = tx.update_project(&made.id, update).await.unwrap();
        assert_eq!(change.events, []);
    });
}

#[test]
fn an_archived_project_hides_and_refuses() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let first = project(&store, &organization, "first").await.id;
        let second = project(&store, &organization, "second").await.id;
        let certificate = upload(&store, &organization, "a").await.id;
        let mut tx = write(&store, &organization).await;
        let change = tx.archive_project(&first).await.unwrap();
        let archived = commit(tx, change).await;
        assert_eq!(archived.archived_at, Some(START));
        assert_eq!(archived.status.as_deref(), Some("archived"));
        let mut tx = write(&store, &organization).await;
        assert_eq!(tx.archive_project(&first).await.unwrap().events, []);
        drop(tx);
        let refused = activate(&store, &organization, &at(&first), &[certificate]).await;
        assert!(matches!(refused, Err(StoreError::ProjectArchived)));

        let mut request = PageRequest::default();
        let shown = store
            .list_projects(&organization, &request, false)
            .await
            .unwrap();
        assert_eq!(shown.data.len(), 1);
        let shown = store
            .list_projects(&organization, &request, true)
            .await
            .unwrap();
        assert_eq!(shown.data.len(), 2);
        // One that was archived while a reader paged is still a place to go on from.
        request.after = Some(second.to_string());
        let shown = store
            .list_projects(&organization, &request, true)
            .await
            .unwrap();
        assert_eq!(shown.data.len(), 1);
        request.after = Some(first.to_string());
        let shown = store
            .list_projects(&organization, &request, false)
            .await
            .unwrap();
        assert_eq!(shown.data, []);
    });
}

#[test]
fn a_service_account_is_of_its_project_only() {
    on_each(async |setting| {
        let store = setting.open().await;
        let organization = organization(&store).await;
        let here = project(&store, &organization, "here").await.id;
        let there = project(&store, &organization, "there").await.id;
        let mut tx = write(&store, &organization).await;
        let new = NewServiceAccount {
            name: "bot".to_owned(),
            with_key: false,
        };
        let change = tx.create_service_account(&here, new).await.unwrap();
        let made = commit(tx, change).await;
        assert_eq!(made.api_key, None);
        let elsewhere = store
            .retrieve_service_account(&organization, &there, &made.id)
            .await;
        assert!(matches!(elsewhere, Err(StoreError::NotFound { .. })));
        let mut tx = write(&store, &organization).await;
        assert!(tx.delete_service_account(&there, &made.id).await.is_err());
        drop(tx);
        let mut tx = write(&store, &organization).await;
        let update = ServiceAccountUpdateRequest {
            name: None,
            role: Some(ServiceAccountRole::Owner),
        };
        let change = tx
            .update_service_account(&here, &made.id, update)
            .await
            .unwrap();
        let updated = commit(tx, change).await;
        assert_eq!(updated.role, ServiceAccountRole::Owner);
        let list = store
            .list_service_accounts(&organization, &here, &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(list.data, [updated]);
    });
}
