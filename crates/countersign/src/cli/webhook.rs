//! `countersign webhook`: who is told of every event.

use clap::{Args, Subcommand};
use countersign_client::Client;
use countersign_types::{
    id::WebhookId,
    secret::Secret,
    webhook::{DeletedWebhook, Webhook as Entry, WebhookCreateRequest, WebhookDelivery},
};

use super::api::{ApiOptions, ListOptions, block_on};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment, moment_or_dash, note, text_or_dash},
};

#[derive(Args)]
pub(crate) struct Webhook {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List webhooks
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make a webhook, whose secret is shown this once
    Create {
        /// Where events are sent: `https://...`
        url: String,
    },
    /// Show a webhook, without its secret
    Retrieve {
        /// The webhook, `wh_...`
        id: WebhookId,
    },
    /// Delete a webhook, and what is on its way to it
    Delete {
        /// The webhook, `wh_...`
        id: WebhookId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Send a webhook the event `webhook.tested`
    Test {
        /// The webhook, `wh_...`
        id: WebhookId,
    },
    /// List what was sent to a webhook, or is to be
    Deliveries {
        /// The webhook, `wh_...`
        id: WebhookId,
        #[command(flatten)]
        list: ListOptions,
    },
}

impl Webhook {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let client = self.api.client()?;
        block_on(self.verb.call(&client, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, output: Output) -> Outcome {
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
                note("keep the secret now: it is not shown again");
                Ok(())
            }
            Self::Retrieve { id } => output.one(&webhooks.retrieve(&id).await?.value),
            Self::Delete { id, yes } => {
                let question = format!("delete {id}, and what is on its way to it?");
                confirm(&question, yes)?;
                output.one(&webhooks.delete(&id).await?.value)
            }
            Self::Test { id } => {
                output.one(&webhooks.test(&id).await?.value)?;
                note(&format!(
                    "it is on its way; `countersign webhook deliveries {id}` tells whether it came"
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

impl Row for Entry {
    const HEAD: &'static [&'static str] = &["id", "url", "created", "secret"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.url.reveal().to_owned(),
            moment(self.created_at),
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
            moment(self.created_at),
            self.status.as_str().to_owned(),
            self.attempts.to_string(),
            moment_or_dash(self.last_attempt_at),
            text_or_dash(self.last_result.as_deref()),
            moment_or_dash(self.next_attempt_at),
        ]
    }
}
