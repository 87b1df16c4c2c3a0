//! What only Countersign has: bundles for gateways, and which gateways there are.

use std::time::Duration;

use countersign_types::{
    bundle::{Bundle, Gateways},
    extension::Extensions,
    id::GatewayId,
    observation::{ObservationBatch, ObservationReceipt},
};

use crate::{Client, Error, Response, request::Request};

/// Countersign's own operations: see [`Client::countersign`].
#[derive(Debug, Clone)]
pub struct Countersign {
    client: Client,
}

impl Countersign {
    /// The organizations that changed after a revision, each whole; 0 asks for all. The server
    /// holds the request open until there is one, for `wait` at the longest (whole seconds, 60 at
    /// the most), and the client's timeout counts from there. The gateway, its id and its name
    /// (empty for none), is then listed as enforcing revision `after`. Needs a gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn bundle(
        &self,
        (gateway, name): (&GatewayId, &str),
        after: u64,
        wait: Duration,
    ) -> Result<Response<Bundle>, Error> {
        let request = Request::get(&["countersign", "bundle"])
            .query("gateway", [gateway])
            .query("name", Some(name).filter(|name| !name.is_empty()))
            .query("after", [after])
            .query("wait", [wait.as_secs()])
            .held_open(wait);
        self.client.send(request).await
    }

    /// What the server can do beyond the reference; none for another server than Countersign.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn extensions(&self) -> Result<Vec<String>, Error> {
        let request = Request::get(&["countersign", "extensions"]);
        match self.client.send::<Extensions>(request).await {
            Ok(known) => Ok(known.value.extensions),
            // Nothing is there, or something else.
            Err(Error::Decode { .. }) => Ok(Vec::new()),
            Err(error) if matches!(error.status(), Some(404 | 405)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Fails unless the server says that it has an extension.
    pub(crate) async fn require(&self, extension: &'static str) -> Result<(), Error> {
        if self.extensions().await?.iter().any(|one| one == extension) {
            return Ok(());
        }
        Err(Error::Unsupported {
            origin: self.client.inner.origin(),
            extension,
        })
    }

    /// Hands over what a gateway saw. A batch may be sent again, under its number, until it is
    /// answered: it is applied once. Where the receipt names unknown chains, nothing was applied.
    /// Needs a gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn record_observations(
        &self,
        batch: &ObservationBatch,
    ) -> Result<Response<ObservationReceipt>, Error> {
        let request = Request::post(&["countersign", "observations"]).json(batch)?;
        self.client.send(request).await
    }

    /// The gateways that are alive, and the revision that each enforces.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn gateways(&self) -> Result<Response<Gateways>, Error> {
        self.client
            .send(Request::get(&["countersign", "gateways"]))
            .await
    }
}

impl Client {
    /// What only Countersign has.
    #[must_use]
    pub fn countersign(&self) -> Countersign {
        Countersign {
            client: self.clone(),
        }
    }
}
