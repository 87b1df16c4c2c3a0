//! The keys of a project. They are made through its service accounts.

use countersign_types::{
    api_key::{DeletedProjectApiKey, ProjectApiKey},
    id::{ApiKeyId, ProjectId},
    page::Page,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    caller::Admin,
    paging::Paging,
    path::Path,
    query::Query,
};

/// Which keys are listed.
#[derive(Deserialize, IntoParams)]
pub(super) struct KeyQuery {
    /// Whether the owner has access to the project; every owner has, unless it is archived.
    #[param(inline, nullable = false)]
    owner_project_access: Option<Access>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Access {
    Active,
    Inactive,
    Any,
}

impl Access {
    fn includes(self, key: &ProjectApiKey) -> bool {
        let access = key.owner_project_access.as_deref();
        match self {
            Self::Active => access == Some("active"),
            Self::Inactive => access == Some("inactive"),
            Self::Any => true,
        }
    }
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    page: Paging<ApiKeyId>,
    Query(query): Query<KeyQuery>,
) -> PageAnswer<ProjectApiKey> {
    let store = app.store();
    let page = store
        .list_project_api_keys(&admin.organization, &project, &page.request)
        .await?;
    let access = query.owner_project_access.unwrap_or(Access::Any);
    // Every owner has access, or none when the project is archived: all are wanted, or none.
    if !page.data.iter().all(|key| access.includes(key)) {
        return answer::page(&Page::new(Vec::new(), false));
    }
    answer::page(&page)
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ApiKeyId>,
) -> Answer<ProjectApiKey> {
    let store = app.store();
    let key = store.retrieve_project_api_key(&admin.organization, &project, &id);
    answer::read(&key.await?)
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Path(id): Path<ApiKeyId>,
) -> Answer<DeletedProjectApiKey> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_project_api_key(&project, &id).await?;
    answer::commit(tx, change).await
}
