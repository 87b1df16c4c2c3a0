//! Workload identity providers: `/organization/workload_identity_providers`.

use countersign_types::{
    id::WorkloadIdentityProviderId,
    page::Page,
    workload_identity_provider::{
        DeletedWorkloadIdentityProvider, WorkloadIdentityProvider,
        WorkloadIdentityProviderCreateRequest, WorkloadIdentityProviderUpdateRequest,
    },
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

pub(crate) const PATH: [&str; 2] = ["organization", "workload_identity_providers"];

/// The workload identity providers of an organization: see [`Client::workload_identity_providers`].
#[derive(Debug, Clone)]
pub struct WorkloadIdentityProviders {
    client: Client,
}

impl WorkloadIdentityProviders {
    /// One page of the providers.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<WorkloadIdentityProvider>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All providers.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<WorkloadIdentityProvider>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Creates a provider.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        provider: &WorkloadIdentityProviderCreateRequest,
    ) -> Result<Response<Received<WorkloadIdentityProvider>>, Error> {
        let request = Request::post(&PATH).json(provider)?;
        self.client.send(request).await
    }

    /// One provider.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &WorkloadIdentityProviderId,
    ) -> Result<Response<Received<WorkloadIdentityProvider>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// Changes a provider; what is absent stays as it is.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &WorkloadIdentityProviderId,
        change: &WorkloadIdentityProviderUpdateRequest,
    ) -> Result<Response<Received<WorkloadIdentityProvider>>, Error> {
        let request = Request::post(&one(id)).json(change)?;
        self.client.send(request).await
    }

    /// Deletes a provider, and its federation rules with it.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &WorkloadIdentityProviderId,
    ) -> Result<Response<Received<DeletedWorkloadIdentityProvider>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }
}

fn one(id: &WorkloadIdentityProviderId) -> [&str; 3] {
    let [organization, providers] = PATH;
    [organization, providers, id.as_str()]
}

impl Client {
    /// The organization's workload identity providers.
    #[must_use]
    pub fn workload_identity_providers(&self) -> WorkloadIdentityProviders {
        WorkloadIdentityProviders {
            client: self.clone(),
        }
    }
}
