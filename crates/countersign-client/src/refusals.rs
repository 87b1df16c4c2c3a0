//! Refused requests: `/organization/refusals`, an extension of Countersign.

use countersign_types::{page::Page, refusal::Refusal};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "refusals"];

/// The refused requests of an organization: see [`Client::refusals`].
#[derive(Debug, Clone)]
pub struct Refusals {
    client: Client,
}

impl Refusals {
    /// One page of them, by caller, leaf and code.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<Refusal>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All of them.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Refusal>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }
}

impl Client {
    /// The organization's refused requests.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        Refusals {
            client: self.clone(),
        }
    }
}
