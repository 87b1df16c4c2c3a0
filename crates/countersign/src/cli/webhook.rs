//! `countersign webhook`: the addresses that receive every event.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::{
    id::WebhookId,
    secret::Secret,
    webhook::{DeletedWebhook, Webhook, WebhookCreateRequest, WebhookDelivery},
};

use super::{api::ListOptions, noun::Verb};
use crate::{
    failure::CommandResult,
    output::{Output, Row, confirm, note, text_or_dash, timestamp, timestamp_or_dash},
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
    },
    /// Show a webhook, without its secret
    Retrieve {
        /// The webhook, `wh_...`
        id: WebhookId,
    },
    /// Delete a webhook and its pending deliveries
    Delete {
        /// The webhook, `wh_...`
        id: WebhookId,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Send a webhook the event `webhook.tested`
    Test {
        /// The webhook, `wh_...`
        id: WebhookId,
    },
    /// List a webhook's past and pending deliveries
    Deliveries {
        /// The webhook, `wh_...`
        id: WebhookId,
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
                output.list(&list.take(entries).await?)
            }
            Self::Create { url } => {
                let url = Secret::new(url);
                let made = webhooks.create(&WebhookCreateRequest { url }).await?;
                output.one(&made.value)?;
                note("note: the secret is shown only once; keep it in a safe place");
                Ok(())
            }
            Self::Retrieve { id } => output.one(&webhooks.retrieve(&id).await?.value),
            Self::Delete { id, yes } => {
                let question = format!("delete {id} and its pending deliveries?");
                confirm(&question, yes)?;
                output.one(&webhooks.delete(&id).await?.value)
            }
            Self::Test { id } => {
                output.one(&webhooks.test(&id).await?.value)?;
                note(&format!(
                    "the test event was queued; `countersign webhook deliveries {id}` shows whether it arrived"
                ));
                Ok(())
            }
            Self::Deliveries { id, list } => {
                let entries = webhooks.stream_deliveries(&id, &list.params());
                output.list(&list.take(entries).await?)
            }
        }
    }
}

impl Row for Webhook {
    const HEAD: &'static [&'static str] = &["id", "url", "created", "paused until", "secret"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.url.reveal().to_owned(),
            timestamp(self.created_at),
            timestamp_or_dash(self.paused_until),
            text_or_dash(self.secret.as_ref().map(Secret::reveal)),
        ]
    }
}

impl Row for DeletedWebhook {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

impl Row for WebhookDelivery {
    const HEAD: &'static [&'static str] = &[
        "id", "type", "at", "status", "attempts", "last", "result", "next",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.event_type.clone(),
            timestamp(self.created_at),
            self.status.to_string(),
            self.attempts.to_string(),
            timestamp_or_dash(self.last_attempt_at),
            text_or_dash(self.last_result.as_deref()),
            timestamp_or_dash(self.next_attempt_at),
        ]
    }
}
