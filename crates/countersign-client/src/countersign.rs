//! What only Countersign has: bundles for gateways, and which gateways there are.

use std::time::Duration;

use countersign_types::{
    bundle::{Bundle, BundleDigests, Gateways},
    extension::Extensions,
    history::HistoryPoint,
    id::{GatewayId, OrganizationId},
    observation::{ObservationBatch, ObservationReceipt},
};

use crate::{Client, Error, Response, request::Request};

/// Who asks for bundles, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleReader {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its name; empty for none.
    pub name: String,
    /// Whether what it enforces would survive its restart.
    pub durable: bool,
}

/// Countersign's own operations: see [`Client::countersign`].
#[derive(Debug, Clone)]
pub struct Countersign {
    client: Client,
}

impl Countersign {
    /// The organizations that changed after a point of the history, each whole; all of them when
    /// the server does not know that point. The server holds the request open until there is
    /// something else than that point, for `wait` at the longest (whole seconds, 60 at the most), and the
    /// client's timeout counts from there. With a reader, the gateway is then listed as enforcing
    /// that point. Needs a gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn bundle(
        &self,
        reader: Option<&BundleReader>,
        after: HistoryPoint,
        wait: Duration,
    ) -> Result<Response<Bundle>, Error> {
        let name = reader.map(|reader| &reader.name);
        let request = Request::get(&["countersign", "bundle"])
            .query("gateway", reader.map(|reader| &reader.gateway))
            .query("name", name.filter(|name| !name.is_empty()))
            .query("durable", reader.map(|reader| reader.durable))
            .query("after", [after.revision])
            .query("token", Some(after.token).filter(|token| !token.is_none()))
            .query("wait", [wait.as_secs()])
            .held_open(wait);
        self.client.send(request).await
    }

    /// What every organization's bundle should be. Needs a gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn bundle_digests(&self) -> Result<Response<BundleDigests>, Error> {
        let request = Request::get(&["countersign", "bundle", "digests"]);
        self.client.send(request).await
    }

    /// The bundles of these organizations as they are now; none for one that is not there. Needs a
    /// gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn organization_bundles(
        &self,
        ids: &[OrganizationId],
    ) -> Result<Response<Bundle>, Error> {
        let request = Request::get(&["countersign", "bundle"]).query("organizations[]", ids);
        self.client.send(request).await
    }

    /// Takes a gateway from the list: it has ended, and enforces nothing any more. Needs a gateway
    /// key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn forget_gateway(&self, gateway: &GatewayId) -> Result<(), Error> {
        let request = Request::delete(&["countersign", "gateways", gateway.as_str()]);
        self.client.send::<serde_json::Value>(request).await?;
        Ok(())
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

    /// The gateways that are known, and the revision that each enforces.
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
