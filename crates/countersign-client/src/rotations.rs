//! Rotations of trust anchors, which only Countersign has: `/organization/rotations`.

use std::time::Duration;

use countersign_types::{
    id::RotationId,
    page::Page,
    rotation::{EndRotationRequest, Rotation, StartRotationRequest},
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "rotations"];

/// The rotations of an organization: see [`Client::rotations`].
#[derive(Debug, Clone)]
pub struct Rotations {
    client: Client,
}

impl Rotations {
    /// One page of the rotations.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<Rotation>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All rotations.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Rotation>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Activates a new anchor in addition to an old one.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn start(
        &self,
        rotation: &StartRotationRequest,
    ) -> Result<Response<Received<Rotation>>, Error> {
        self.client.send(Request::post(&PATH).json(rotation)?).await
    }

    /// One rotation, with which of the recently seen workloads have moved: by default of those seen
    /// within 30 days.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &RotationId,
        seen_within: Option<Duration>,
    ) -> Result<Response<Received<Rotation>>, Error> {
        let [organization, rotations] = PATH;
        let request = Request::get(&[organization, rotations, id.as_str()])
            .query("seen_within", seen_within.map(|within| within.as_secs()));
        self.client.send(request).await
    }

    /// Deactivates the old anchor, if no recently seen workload would be refused.
    ///
    /// # Errors
    /// `rotation_not_ready` if a workload would be refused; those of every call: see [`Error`].
    pub async fn finish(
        &self,
        id: &RotationId,
        how: &EndRotationRequest,
    ) -> Result<Response<Received<Rotation>>, Error> {
        self.end(id, "finish", how).await
    }

    /// Deactivates what the rotation activated, if no recently seen workload would be refused.
    ///
    /// # Errors
    /// `rotation_not_ready` if a workload would be refused; those of every call: see [`Error`].
    pub async fn abort(
        &self,
        id: &RotationId,
        how: &EndRotationRequest,
    ) -> Result<Response<Received<Rotation>>, Error> {
        self.end(id, "abort", how).await
    }

    async fn end(
        &self,
        id: &RotationId,
        verb: &str,
        how: &EndRotationRequest,
    ) -> Result<Response<Received<Rotation>>, Error> {
        let [organization, rotations] = PATH;
        let request = Request::post(&[organization, rotations, id.as_str(), verb]);
        self.client.send(request.json(how)?).await
    }
}

impl Client {
    /// The organization's rotations.
    #[must_use]
    pub fn rotations(&self) -> Rotations {
        Rotations {
            client: self.clone(),
        }
    }
}
