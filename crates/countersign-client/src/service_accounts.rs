//! Service accounts of a project: `/organization/projects/{project_id}/service_accounts`.

use countersign_types::{
    id::{ProjectId, ServiceAccountId},
    page::Page,
    project::{
        DeletedServiceAccount, ServiceAccount, ServiceAccountApiKey,
        ServiceAccountApiKeyCreateRequest, ServiceAccountCreateRequest, ServiceAccountCreated,
        ServiceAccountUpdateRequest,
    },
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

/// The service accounts of a project: see [`Client::service_accounts`].
#[derive(Debug, Clone)]
pub struct ServiceAccounts {
    client: Client,
    project: ProjectId,
}

impl ServiceAccounts {
    /// One page of the project's service accounts.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ServiceAccount>>>, Error> {
        let request = params.apply(Request::get(&self.all()));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All of the project's service accounts.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<ServiceAccount>> {
        let request = params.apply(Request::get(&self.all()));
        self.client.pages(request, params.after.clone())
    }

    /// Creates a service account and, unless asked not to, its first key, whose value is shown
    /// only once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        account: &ServiceAccountCreateRequest,
    ) -> Result<Response<Received<ServiceAccountCreated>>, Error> {
        let request = Request::post(&self.all()).json(account)?;
        self.client.send(request).await
    }

    /// One service account.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &ServiceAccountId,
    ) -> Result<Response<Received<ServiceAccount>>, Error> {
        self.client.send(Request::get(&self.one(id))).await
    }

    /// Changes a service account; what is absent stays as it is.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &ServiceAccountId,
        change: &ServiceAccountUpdateRequest,
    ) -> Result<Response<Received<ServiceAccount>>, Error> {
        let request = Request::post(&self.one(id)).json(change)?;
        self.client.send(request).await
    }

    /// Deletes a service account, and its keys with it.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &ServiceAccountId,
    ) -> Result<Response<Received<DeletedServiceAccount>>, Error> {
        self.client.send(Request::delete(&self.one(id))).await
    }

    /// Creates another key for a service account. Its value is shown only once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create_api_key(
        &self,
        id: &ServiceAccountId,
        key: &ServiceAccountApiKeyCreateRequest,
    ) -> Result<Response<Received<ServiceAccountApiKey>>, Error> {
        let mut path = self.one(id).to_vec();
        path.push("api_keys");
        self.client.send(Request::post(&path).json(key)?).await
    }

    fn all(&self) -> [&str; 4] {
        [
            "organization",
            "projects",
            self.project.as_str(),
            "service_accounts",
        ]
    }

    fn one<'a>(&'a self, id: &'a ServiceAccountId) -> [&'a str; 5] {
        let [organization, projects, project, accounts] = self.all();
        [organization, projects, project, accounts, id.as_str()]
    }
}

impl Client {
    /// The service accounts of a project.
    #[must_use]
    pub fn service_accounts(&self, project: &ProjectId) -> ServiceAccounts {
        ServiceAccounts {
            client: self.clone(),
            project: project.clone(),
        }
    }
}

/// The operations under the reference's names.
impl Client {
    /// [`ServiceAccounts::list`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_project_service_accounts(
        &self,
        project: &ProjectId,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ServiceAccount>>>, Error> {
        self.service_accounts(project).list(params).await
    }

    /// [`ServiceAccounts::create`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create_project_service_account(
        &self,
        project: &ProjectId,
        account: &ServiceAccountCreateRequest,
    ) -> Result<Response<Received<ServiceAccountCreated>>, Error> {
        self.service_accounts(project).create(account).await
    }

    /// [`ServiceAccounts::retrieve`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_project_service_account(
        &self,
        project: &ProjectId,
        id: &ServiceAccountId,
    ) -> Result<Response<Received<ServiceAccount>>, Error> {
        self.service_accounts(project).retrieve(id).await
    }

    /// [`ServiceAccounts::update`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update_project_service_account(
        &self,
        project: &ProjectId,
        id: &ServiceAccountId,
        change: &ServiceAccountUpdateRequest,
    ) -> Result<Response<Received<ServiceAccount>>, Error> {
        self.service_accounts(project).update(id, change).await
    }

    /// [`ServiceAccounts::delete`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete_project_service_account(
        &self,
        project: &ProjectId,
        id: &ServiceAccountId,
    ) -> Result<Response<Received<DeletedServiceAccount>>, Error> {
        self.service_accounts(project).delete(id).await
    }

    /// [`ServiceAccounts::create_api_key`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create_project_service_account_api_key(
        &self,
        project: &ProjectId,
        id: &ServiceAccountId,
        key: &ServiceAccountApiKeyCreateRequest,
    ) -> Result<Response<Received<ServiceAccountApiKey>>, Error> {
        self.service_accounts(project).create_api_key(id, key).await
    }
}
