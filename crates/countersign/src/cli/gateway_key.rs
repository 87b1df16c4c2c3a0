//! `countersign gateway-key`: what gateways read their bundles with.

use clap::{Args, Subcommand};
use countersign_server::store::{GatewayKey as Entry, Store};
use countersign_types::{UnixSeconds, id::ApiKeyId, secret::Secret};
use serde::Serialize;

use super::operator::{KeyFile, Missing, name, on_store};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment},
    serve::StoreOptions,
};

#[derive(Args)]
pub(crate) struct GatewayKey {
    #[command(flatten)]
    store: StoreOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a gateway key, which is shown this once
    Create {
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        #[command(flatten)]
        to: KeyFile,
    },
    /// List gateway keys
    List,
    /// Delete a gateway key: gateways that have it get no more bundles
    Delete {
        /// The key, `key_...`
        id: ApiKeyId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// A key as it is shown; `value` only when it was just made.
#[derive(Serialize)]
struct Shown {
    id: ApiKeyId,
    name: String,
    redacted_value: String,
    created_at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Secret>,
}

/// What was deleted.
#[derive(Serialize)]
struct Deleted {
    id: ApiKeyId,
    deleted: bool,
}

impl GatewayKey {
    pub(crate) fn run(self, output: Output) -> Outcome {
        on_store(&self.store, Missing::Fail, async |store| {
            self.verb.call(&store, output).await
        })
    }
}

impl Verb {
    async fn call(self, store: &Store, output: Output) -> Outcome {
        match self {
            Self::Create { name, to } => {
                to.reserve()?;
                let created = store.create_gateway_key(&name).await?;
                let shown = to.keep(created.value)?;
                output.one(&Shown::new(created.key, shown))?;
                to.remind();
                Ok(())
            }
            Self::List => {
                let keys = store.list_gateway_keys().await?;
                let shown = keys.into_iter().map(|key| Shown::new(key, None));
                output.list(&shown.collect::<Vec<_>>())
            }
            Self::Delete { id, yes } => {
                confirm(&format!("delete {id}, so that it stops working?"), yes)?;
                store.delete_gateway_key(&id).await?;
                output.one(&Deleted { id, deleted: true })
            }
        }
    }
}

impl Shown {
    fn new(key: Entry, value: Option<Secret>) -> Self {
        Self {
            id: key.id,
            name: key.name,
            redacted_value: key.redacted_value,
            created_at: key.created_at,
            value,
        }
    }
}

impl Row for Shown {
    const HEAD: &'static [&'static str] = &["id", "name", "key", "created"];

    fn cells(&self) -> Vec<String> {
        let shown = self.value.as_ref().map(Secret::reveal);
        vec![
            self.id.to_string(),
            self.name.clone(),
            shown.unwrap_or(&self.redacted_value).to_owned(),
            moment(self.created_at),
        ]
    }
}

impl Row for Deleted {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
