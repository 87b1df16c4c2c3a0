//! Assertions: `/organization/assertions` (an extension).

use countersign_types::{
    assertion::{
        Assertion, AssertionCreateRequest, AssertionRun, AssertionUpdateRequest, DeletedAssertion,
    },
    id::AssertionId,
    page::Page,
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "assertions"];

/// The assertions of an organization: see [`Client::assertions`].
#[derive(Debug, Clone)]
pub struct Assertions {
    client: Client,
}

impl Assertions {
    /// One page of the assertions.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<Assertion>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All assertions.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Assertion>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Creates an assertion. It may be one that does not hold yet.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        assertion: &AssertionCreateRequest,
    ) -> Result<Response<Received<Assertion>>, Error> {
        self.client
            .send(Request::post(&PATH).json(assertion)?)
            .await
    }

    /// One assertion.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &AssertionId) -> Result<Response<Received<Assertion>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// Changes an assertion's name or reason; what is absent stays as it is.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &AssertionId,
        change: &AssertionUpdateRequest,
    ) -> Result<Response<Received<Assertion>>, Error> {
        self.client
            .send(Request::post(&one(id)).json(change)?)
            .await
    }

    /// Deletes an assertion.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &AssertionId,
    ) -> Result<Response<Received<DeletedAssertion>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }

    /// Which assertions hold by what is in force now. Nothing is changed.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn run(&self) -> Result<Response<Received<AssertionRun>>, Error> {
        let [organization, assertions] = PATH;
        let path = [organization, assertions, "run"];
        self.client.send(Request::post(&path)).await
    }
}

fn one(id: &AssertionId) -> [&str; 3] {
    let [organization, assertions] = PATH;
    [organization, assertions, id.as_str()]
}

impl Client {
    /// The organization's assertions.
    #[must_use]
    pub fn assertions(&self) -> Assertions {
        Assertions {
            client: self.clone(),
        }
    }
}
