//! Keys that gateways sign receipts with: `/organization/receipt_keys` (an extension).

use countersign_types::{id::ReceiptKeyId, page::Page, receipt::ReceiptKey};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "receipt_keys"];

/// The receipt keys of an organization: see [`Client::receipt_keys`].
#[derive(Debug, Clone)]
pub struct ReceiptKeys {
    client: Client,
}

impl ReceiptKeys {
    /// One page of the keys.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ReceiptKey>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All keys.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<ReceiptKey>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Withdraws a key for good.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn withdraw(
        &self,
        id: &ReceiptKeyId,
    ) -> Result<Response<Received<ReceiptKey>>, Error> {
        let [organization, keys] = PATH;
        let request = Request::post(&[organization, keys, id.as_str(), "withdraw"]);
        self.client.send(request).await
    }
}

impl Client {
    /// The keys that gateways sign the organization's receipts with.
    #[must_use]
    pub fn receipt_keys(&self) -> ReceiptKeys {
        ReceiptKeys {
            client: self.clone(),
        }
    }
}
