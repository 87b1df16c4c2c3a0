//! What only Countersign has: bundles for gateways, and the list of gateways.

use std::time::Duration;

use countersign_types::{
    bundle::{Bundle, BundleDigests, Gateway, Gateways},
    capability::Capability,
    extension::Extensions,
    history::HistoryPoint,
    id::{GatewayId, OrganizationId},
    observation::{ObservationBatch, ObservationReceipt},
    receipt::{ReceiptKeyRegistration, RegisteredReceiptKey},
    token::{TokenExchange, TokenExchangeRequest},
};

use crate::{Client, Error, Received, Response, request::Request};

/// Who asks for bundles, and what it reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleReader {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its name; empty for none.
    pub name: String,
    /// Whether what it enforces would survive its restart.
    pub durable: bool,
    /// What it understands of bundles.
    pub understands: Vec<Capability>,
}

/// Countersign's own operations: see [`Client::countersign`].
#[derive(Debug, Clone)]
pub struct Countersign {
    pub(crate) client: Client,
}

impl Countersign {
    /// The organizations that changed after a point in the history, each whole; all of them if the
    /// server does not know that point. The server holds the request open until something changes,
    /// for `wait` at most (whole seconds, up to 60); the client's timeout is added to that. With a
    /// reader, the gateway is then listed as enforcing that point. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn bundle(
        &self,
        reader: Option<&BundleReader>,
        after: HistoryPoint,
        wait: Duration,
    ) -> Result<Response<Bundle>, Error> {
        self.client.send(changes(reader, after, wait)).await
    }

    /// The same, where the server may answer with the first page of all organizations: its `next` is then
    /// what [`Self::bundle_page`] takes. What changed after the point of the first page makes all pages
    /// of one time. With `key_changes`, what changed of an organization's keys may be sent instead of all of
    /// them. Servers that know neither answer as to [`Self::bundle`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn bundle_in_pages(
        &self,
        reader: Option<&BundleReader>,
        after: HistoryPoint,
        wait: Duration,
        key_changes: bool,
    ) -> Result<Response<Bundle>, Error> {
        let request = changes(reader, after, wait)
            .query("paged", [true])
            .query("key_changes", key_changes.then_some(true));
        self.client.send(request).await
    }

    /// The page of all organizations that comes after this one. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn bundle_page(&self, from: &OrganizationId) -> Result<Response<Bundle>, Error> {
        let request = Request::get(&["countersign", "bundle"])
            .query("paged", [true])
            .query("from", [from]);
        self.client.send(request).await
    }

    /// The digest of every organization's bundle. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn bundle_digests(&self) -> Result<Response<BundleDigests>, Error> {
        let request = Request::get(&["countersign", "bundle", "digests"]);
        self.client.send(request).await
    }

    /// The page of digests that comes after an organization, or the first: `next` of each answer is what this
    /// takes for the next page. Servers that know no pages answer as to [`Self::bundle_digests`]. Needs a
    /// gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn bundle_digests_page(
        &self,
        from: Option<&OrganizationId>,
    ) -> Result<Response<BundleDigests>, Error> {
        let request = Request::get(&["countersign", "bundle", "digests"])
            .query("paged", [true])
            .query("from", from);
        self.client.send(request).await
    }

    /// The current bundles of these organizations, without those that do not exist. Needs a gateway
    /// key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn organization_bundles(
        &self,
        ids: &[OrganizationId],
    ) -> Result<Response<Bundle>, Error> {
        let request = Request::get(&["countersign", "bundle"]).query("organizations[]", ids);
        self.client.send(request).await
    }

    /// Removes a gateway from the list after it has stopped. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn forget_gateway(&self, gateway: &GatewayId) -> Result<(), Error> {
        let request = Request::delete(&["countersign", "gateways", gateway.as_str()]);
        self.client.send::<serde_json::Value>(request).await?;
        Ok(())
    }

    /// Whether the server can answer and write (`GET /readyz`, beside the base URL).
    ///
    /// # Errors
    /// [`Error::Api`] that says why it cannot, and whatever a call may fail with.
    pub async fn readiness(&self) -> Result<(), Error> {
        let request = Request::get(&["readyz"]).at_root();
        self.client.send::<serde_json::Value>(request).await?;
        Ok(())
    }

    /// The extensions that the server supports; none for a server other than Countersign.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn extensions(&self) -> Result<Vec<String>, Error> {
        let request = Request::get(&["countersign", "extensions"]);
        match self.client.send::<Extensions>(request).await {
            Ok(known) => Ok(known.value.extensions),
            // There is nothing at that path, or something else.
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

    /// Sends what a gateway observed. A batch may be sent again with its number until there is an
    /// answer: it is applied only once. If the receipt lists unknown chains, nothing was applied.
    /// Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn record_observations(
        &self,
        batch: &ObservationBatch,
    ) -> Result<Response<ObservationReceipt>, Error> {
        let request = Request::post(&["countersign", "observations"]).json(batch)?;
        self.client.send(request).await
    }

    /// Registers the key that a gateway signs receipts with, for some organizations. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn register_receipt_key(
        &self,
        registration: &ReceiptKeyRegistration,
    ) -> Result<Response<RegisteredReceiptKey>, Error> {
        let request = Request::post(&["countersign", "receipt-keys"]).json(registration)?;
        self.client.send(request).await
    }

    /// Asks for a token in exchange for a chain whose leaf's key the workload proved to hold. Needs a
    /// gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`]. A refusal is an answer.
    pub async fn exchange_token(
        &self,
        exchange: &TokenExchangeRequest,
    ) -> Result<Response<TokenExchange>, Error> {
        let request = Request::post(&["countersign", "token-exchange"]).json(exchange)?;
        self.client.send(request).await
    }

    /// The gateways that are known, and the revision that each enforces.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn gateways(&self) -> Result<Response<Gateways<Received<Gateway>>>, Error> {
        self.client
            .send(Request::get(&["countersign", "gateways"]))
            .await
    }

    /// The same, with whether a change is lost, where that can be told.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn gateways_and_whether_lost(
        &self,
        change: HistoryPoint,
    ) -> Result<Response<Gateways<Received<Gateway>>>, Error> {
        let token = Some(change.token).filter(|token| !token.is_none());
        let request = Request::get(&["countersign", "gateways"])
            .query("revision", token.map(|_| change.revision))
            .query("token", token);
        self.client.send(request).await
    }
}

/// The request for what changed after a point.
fn changes(reader: Option<&BundleReader>, after: HistoryPoint, wait: Duration) -> Request {
    let name = reader.map(|reader| &reader.name);
    let understands = reader.into_iter().flat_map(|reader| &reader.understands);
    Request::get(&["countersign", "bundle"])
        .query("gateway", reader.map(|reader| &reader.gateway))
        .query("name", name.filter(|name| !name.is_empty()))
        .query("durable", reader.map(|reader| reader.durable))
        .query("understands[]", understands.map(|each| each.as_str()))
        .query("after", [after.revision])
        .query("token", Some(after.token).filter(|token| !token.is_none()))
        .query("wait", [wait.as_secs()])
        .held_open(wait)
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
