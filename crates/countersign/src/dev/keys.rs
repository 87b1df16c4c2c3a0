//! The keys of a `dev` directory. The database holds only digests, so the values are kept in a
//! private file beside it; if that file is lost or outdated, new keys are made.

use std::{fs, path::Path};

use countersign_server::store::{
    NewAdminApiKey, NewProject, NewServiceAccount, PageRequest, Store,
};
use countersign_types::{
    api_key::{KeyKind, Permission},
    audit::Actor,
    digest::KeyDigest,
    id::{OrganizationId, ProjectId},
    project::ServiceAccountCreated,
    secret::Secret,
};
use serde::{Deserialize, Serialize};

use crate::{
    database::create_admin_key,
    failure::{CommandResult, Doing, Failure},
    files::write_private,
};

/// The name of everything that `dev` creates.
const NAME: &str = "dev";

/// The keys, and the project that they are for.
#[derive(Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) admin_key: Secret,
    pub(super) project_id: ProjectId,
    pub(super) api_key: Secret,
}

/// The keys in the file if the database knows them; else new ones, which are saved in the file.
pub(super) async fn find_or_make(store: &Store, file: &Path) -> CommandResult<Keys> {
    let kept = fs::read_to_string(file).ok();
    let kept: Option<Keys> = kept.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(keys) = kept
        && keys.are_valid(store).await?
    {
        return Ok(keys);
    }
    let keys = make(store).await?;
    let text = serde_json::to_string_pretty(&keys).doing("write the keys")?;
    write_private(file, &(text + "\n"))?;
    Ok(keys)
}

impl Keys {
    /// Whether the database still knows both keys, and the project is not archived.
    async fn are_valid(&self, store: &Store) -> CommandResult<bool> {
        let admin = store.caller(KeyDigest::of(self.admin_key.reveal())).await?;
        let project = store.caller(KeyDigest::of(self.api_key.reveal())).await?;
        let (Some(admin), Some(project)) = (admin, project) else {
            return Ok(false);
        };
        Ok(admin.kind == KeyKind::Admin
            && admin.organization == project.organization
            && project.project.as_ref() == Some(&self.project_id)
            && !project.project_archived)
    }
}

/// Makes new keys, in the existing organization and project if there are any.
pub(super) async fn make(store: &Store) -> CommandResult<Keys> {
    let (organization, admin_key) = organization(store).await?;
    let project_id = project(store, &organization).await?;
    let account = service_account(store, &organization, &project_id).await?;
    let api_key = account.api_key.map(|key| key.value);
    Ok(Keys {
        admin_key: admin_key.ok_or_else(no_value)?,
        project_id,
        api_key: api_key.ok_or_else(no_value)?,
    })
}

/// The first organization with a new key, or a new organization.
async fn organization(store: &Store) -> CommandResult<(OrganizationId, Option<Secret>)> {
    let Some(first) = store.list_organizations().await?.into_iter().next() else {
        let created = store.create_organization(NAME).await?;
        return Ok((created.organization.id, created.key.value));
    };
    let new = NewAdminApiKey {
        name: NAME.to_owned(),
        expires_in_seconds: None,
        permissions: Permission::ALL.to_vec(),
    };
    let key = create_admin_key(store, &first.id, new).await?;
    Ok((first.id, key.value))
}

/// The newest project with that name, or a new one.
async fn project(store: &Store, organization: &OrganizationId) -> CommandResult<ProjectId> {
    let page = store
        .list_projects(organization, &PageRequest::default(), false)
        .await?;
    let mut projects = page.data.into_iter();
    if let Some(project) = projects.find(|project| project.name.as_deref() == Some(NAME)) {
        return Ok(project.id);
    }
    let mut tx = store.write(organization, Actor::Operator).await?;
    let created = tx
        .create_project(NewProject {
            name: NAME.to_owned(),
            residency: None,
            external_key_id: None,
        })
        .await?;
    tx.commit(created.events).await?;
    Ok(created.answer.id)
}

async fn service_account(
    store: &Store,
    organization: &OrganizationId,
    project: &ProjectId,
) -> CommandResult<ServiceAccountCreated> {
    let new = NewServiceAccount {
        name: NAME.to_owned(),
        with_key: true,
    };
    let mut tx = store.write(organization, Actor::Operator).await?;
    let created = tx.create_service_account(project, new).await?;
    tx.commit(created.events).await?;
    Ok(created.answer)
}

fn no_value() -> Failure {
    Failure::new("the database created a key without returning it")
}
