//! Keys that tokens of workloads are signed with: `/organization/token_keys` (an extension).

use countersign_types::{
    page::Page,
    token_key::{TokenKey, TokenKeyRotateRequest},
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "token_keys"];

/// The token keys of an organization: see [`Client::token_keys`].
#[derive(Debug, Clone)]
pub struct TokenKeys {
    client: Client,
}

impl TokenKeys {
    /// One page of the keys.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<TokenKey>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All keys.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<TokenKey>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Puts a new key in place of the newest.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn rotate(
        &self,
        how: &TokenKeyRotateRequest,
    ) -> Result<Response<Received<TokenKey>>, Error> {
        let [organization, keys] = PATH;
        let request = Request::post(&[organization, keys, "rotate"]).json(how)?;
        self.client.send(request).await
    }
}

impl Client {
    /// The keys that the organization's tokens are signed with.
    #[must_use]
    pub fn token_keys(&self) -> TokenKeys {
        TokenKeys {
            client: self.clone(),
        }
    }
}
