//! Denials: `/organization/denials` (an extension).

use countersign_types::{
    denial::{DeletedDenial, Denial, DenialCreateRequest},
    id::DenialId,
    page::Page,
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "denials"];

/// The denials of an organization: see [`Client::denials`].
#[derive(Debug, Clone)]
pub struct Denials {
    client: Client,
}

impl Denials {
    /// One page of the denials.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<Denial>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All denials.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Denial>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// All denials, each with what it refused in `usage`.
    pub fn stream_with_usage(&self, params: &ListParams) -> ItemStream<Received<Denial>> {
        let request = params.apply(Request::get(&PATH));
        let request = request.query("include[]", ["usage"]);
        self.client.pages(request, params.after.clone())
    }

    /// Creates a denial: what it matches is refused from then on.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        denial: &DenialCreateRequest,
    ) -> Result<Response<Received<Denial>>, Error> {
        self.client.send(Request::post(&PATH).json(denial)?).await
    }

    /// One denial.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &DenialId) -> Result<Response<Received<Denial>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// One denial, with what it refused in `usage`.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_with_usage(
        &self,
        id: &DenialId,
    ) -> Result<Response<Received<Denial>>, Error> {
        let request = Request::get(&one(id)).query("include[]", ["usage"]);
        self.client.send(request).await
    }

    /// Deletes a denial: what it refused is let in again.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(&self, id: &DenialId) -> Result<Response<Received<DeletedDenial>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }
}

fn one(id: &DenialId) -> [&str; 3] {
    let [organization, denials] = PATH;
    [organization, denials, id.as_str()]
}

impl Client {
    /// The organization's denials: certificates that are refused although they verify.
    #[must_use]
    pub fn denials(&self) -> Denials {
        Denials {
            client: self.clone(),
        }
    }
}
