//! Webhooks: `/organization/webhooks` (an extension).

use countersign_types::{
    id::WebhookId,
    page::Page,
    webhook::{DeletedWebhook, Webhook, WebhookCreateRequest, WebhookDelivery},
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "webhooks"];

/// The webhooks of an organization: see [`Client::webhooks`].
#[derive(Debug, Clone)]
pub struct Webhooks {
    client: Client,
}

impl Webhooks {
    /// One page of the webhooks.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<Webhook>>>, Error> {
        let request = params.apply(Request::get(&PATH));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All webhooks.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Webhook>> {
        let request = params.apply(Request::get(&PATH));
        self.client.pages(request, params.after.clone())
    }

    /// Creates a webhook. Its secret is shown only once.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        webhook: &WebhookCreateRequest,
    ) -> Result<Response<Received<Webhook>>, Error> {
        self.client.send(Request::post(&PATH).json(webhook)?).await
    }

    /// One webhook, without its secret.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &WebhookId) -> Result<Response<Received<Webhook>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// Deletes a webhook and its pending deliveries.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &WebhookId,
    ) -> Result<Response<Received<DeletedWebhook>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }

    /// Sends a webhook the event `webhook.tested`.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn test(&self, id: &WebhookId) -> Result<Response<Received<Webhook>>, Error> {
        let [organization, webhooks] = PATH;
        let path = [organization, webhooks, id.as_str(), "test"];
        self.client.send(Request::post(&path)).await
    }

    /// The deliveries to a webhook, sent and pending.
    pub fn stream_deliveries(
        &self,
        id: &WebhookId,
        params: &ListParams,
    ) -> ItemStream<Received<WebhookDelivery>> {
        let [organization, webhooks] = PATH;
        let path = [organization, webhooks, id.as_str(), "deliveries"];
        let request = params.apply(Request::get(&path));
        self.client.pages(request, params.after.clone())
    }
}

fn one(id: &WebhookId) -> [&str; 3] {
    let [organization, webhooks] = PATH;
    [organization, webhooks, id.as_str()]
}

impl Client {
    /// The organization's webhooks.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        Webhooks {
            client: self.clone(),
        }
    }
}
