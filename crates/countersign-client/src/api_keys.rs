//! Keys of a project: `/organization/projects/{project_id}/api_keys`.

use countersign_types::{
    api_key::{DeletedProjectApiKey, ProjectApiKey},
    id::{ApiKeyId, ProjectId},
    page::Page,
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

/// The keys of a project: see [`Client::api_keys`].
#[derive(Debug, Clone)]
pub struct ApiKeys {
    client: Client,
    project: ProjectId,
}

impl ApiKeys {
    /// One page of the project's keys.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ProjectApiKey>>>, Error> {
        let request = params.apply(Request::get(&self.all()));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All of the project's keys.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<ProjectApiKey>> {
        let request = params.apply(Request::get(&self.all()));
        self.client.pages(request, params.after.clone())
    }

    /// One key, without its value.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &ApiKeyId,
    ) -> Result<Response<Received<ProjectApiKey>>, Error> {
        self.client.send(Request::get(&self.one(id))).await
    }

    /// Deletes a key: it stops working at once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &ApiKeyId,
    ) -> Result<Response<Received<DeletedProjectApiKey>>, Error> {
        self.client.send(Request::delete(&self.one(id))).await
    }

    fn all(&self) -> [&str; 4] {
        [
            "organization",
            "projects",
            self.project.as_str(),
            "api_keys",
        ]
    }

    fn one<'a>(&'a self, id: &'a ApiKeyId) -> [&'a str; 5] {
        let [organization, projects, project, keys] = self.all();
        [organization, projects, project, keys, id.as_str()]
    }
}

impl Client {
    /// The keys of a project.
    #[must_use]
    pub fn api_keys(&self, project: &ProjectId) -> ApiKeys {
        ApiKeys {
            client: self.clone(),
            project: project.clone(),
        }
    }
}

/// The operations under the reference's names.
impl Client {
    /// [`ApiKeys::list`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_project_api_keys(
        &self,
        project: &ProjectId,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ProjectApiKey>>>, Error> {
        self.api_keys(project).list(params).await
    }

    /// [`ApiKeys::retrieve`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_project_api_key(
        &self,
        project: &ProjectId,
        id: &ApiKeyId,
    ) -> Result<Response<Received<ProjectApiKey>>, Error> {
        self.api_keys(project).retrieve(id).await
    }

    /// [`ApiKeys::delete`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete_project_api_key(
        &self,
        project: &ProjectId,
        id: &ApiKeyId,
    ) -> Result<Response<Received<DeletedProjectApiKey>>, Error> {
        self.api_keys(project).delete(id).await
    }
}
