//! `countersign webhook`: the addresses that receive every event.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::{
    id::WebhookId,
    secret::Secret,
    webhook::{DeletedWebhook, Webhook, WebhookCreateRequest, WebhookDelivery},
};

use super::{api::ListOptions, key_file::KeyFile, noun::Verb, reference::Reference};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, confirm, moment, note, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum WebhookVerb {
    /// List webhooks
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create a webhook; its secret is shown only once
    Create {
        /// The URL that events are sent to, `https://...`
        url: String,
        #[command(flatten)]
        to: KeyFile,
    },
    /// Show a webhook, without its secret
    Retrieve {
        /// The webhook: id or URL
        #[arg(value_name = "ID|URL")]
        id: Reference<WebhookId>,
    },
    /// Delete a webhook and its pending deliveries
    Delete {
        /// The webhook: id or URL
        #[arg(value_name = "ID|URL")]
        id: Reference<WebhookId>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Send a webhook the event `webhook.tested`
    Test {
        /// The webhook: id or URL
        #[arg(value_name = "ID|URL")]
        id: Reference<WebhookId>,
    },
    /// List a webhook's past and pending deliveries
    Deliveries {
        /// The webhook: id or URL
        #[arg(value_name = "ID|URL")]
        id: Reference<WebhookId>,
        #[command(flatten)]
        list: ListOptions,
    },
}

impl Verb<Client> for WebhookVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let webhooks = client.webhooks();
        match self {
            Self::List { list } => {
                let entries = webhooks.stream(&list.params());
                output.list_of("webhooks", &list.take(entries).await?)
            }
            Self::Create { url, to } => {
                to.prepare(output)?;
                let url = Secret::new(url);
                let made = webhooks.create(&WebhookCreateRequest { url }).await?;
                let secret = made.value.secret.clone();
                to.show(made.value, secret, output)
            }
            Self::Retrieve { id } => {
                output.one(&webhooks.retrieve(&id.resolve(client).await?).await?.value)
            }
            Self::Delete { id, yes } => {
                let question = format!("delete {id} and its pending deliveries?");
                let id = id.resolve(client).await?;
                confirm(&question, yes)?;
                output.one(&webhooks.delete(&id).await?.value)
            }
            Self::Test { id } => {
                let id = id.resolve(client).await?;
                output.one(&webhooks.test(&id).await?.value)?;
                note(&format!(
                    "the test event was queued; `countersign webhook deliveries {id}` shows whether it arrived"
                ));
                Ok(())
            }
            Self::Deliveries { id, list } => {
                let id = id.resolve(client).await?;
                let entries = webhooks.stream_deliveries(&id, &list.params());
                output.list_of("deliveries", &list.take(entries).await?)
            }
        }
    }
}

impl Row for Webhook {
    const HEAD: &'static [&'static str] = &["url", "id", "created", "paused until", "secret"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.url.reveal().to_owned(),
            self.id.to_string(),
            moment(self.created_at),
            moment(self.paused_until),
            text_or_dash(self.secret.as_ref().map(Secret::reveal)),
        ]
    }
}

impl Row for DeletedWebhook {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}

impl Row for WebhookDelivery {
    const HEAD: &'static [&'static str] = &[
        "id", "type", "at", "status", "attempts", "last", "result", "next",
    ];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.id.to_string(),
            self.event_type.clone(),
            moment(self.created_at),
            self.status.to_string(),
            self.attempts.to_string(),
            moment(self.last_attempt_at),
            text_or_dash(self.last_result.as_deref()),
            moment(self.next_attempt_at),
        ]
    }
}
