//! Admin keys: `/organization/admin_api_keys`.

use countersign_types::{
    api_key::{AdminApiKey, AdminApiKeyCreateRequest, DeletedAdminApiKey},
    id::ApiKeyId,
    page::Page,
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "admin_api_keys"];

/// The admin keys of an organization: see [`Client::admin_api_keys`].
#[derive(Debug, Clone)]
pub struct AdminApiKeys {
    client: Client,
}

impl AdminApiKeys {
    /// One page of the admin keys.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<AdminApiKey>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All admin keys.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<AdminApiKey>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Creates an admin key. Its value is shown only once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        key: &AdminApiKeyCreateRequest,
    ) -> Result<Response<Received<AdminApiKey>>, Error> {
        self.client.send(Request::post(&PATH).json(key)?).await
    }

    /// One admin key, without its value.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &ApiKeyId) -> Result<Response<Received<AdminApiKey>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// Deletes an admin key: it stops working at once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &ApiKeyId,
    ) -> Result<Response<Received<DeletedAdminApiKey>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }
}

fn one(id: &ApiKeyId) -> [&str; 3] {
    let [organization, keys] = PATH;
    [organization, keys, id.as_str()]
}

impl Client {
    /// The organization's admin keys.
    #[must_use]
    pub fn admin_api_keys(&self) -> AdminApiKeys {
        AdminApiKeys {
            client: self.clone(),
        }
    }
}

/// The operations under the reference's names.
impl Client {
    /// [`AdminApiKeys::list`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn admin_api_keys_list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<AdminApiKey>>>, Error> {
        self.admin_api_keys().list(params).await
    }

    /// [`AdminApiKeys::create`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn admin_api_keys_create(
        &self,
        key: &AdminApiKeyCreateRequest,
    ) -> Result<Response<Received<AdminApiKey>>, Error> {
        self.admin_api_keys().create(key).await
    }

    /// [`AdminApiKeys::retrieve`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn admin_api_keys_get(
        &self,
        id: &ApiKeyId,
    ) -> Result<Response<Received<AdminApiKey>>, Error> {
        self.admin_api_keys().retrieve(id).await
    }

    /// [`AdminApiKeys::delete`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn admin_api_keys_delete(
        &self,
        id: &ApiKeyId,
    ) -> Result<Response<Received<DeletedAdminApiKey>>, Error> {
        self.admin_api_keys().delete(id).await
    }
}
