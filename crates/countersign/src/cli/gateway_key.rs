//! `countersign gateway-key`: the keys that gateways fetch their bundles with.

use clap::Subcommand;
use countersign_server::store::{GatewayKey, Store};
use countersign_types::{UnixSeconds, id::ApiKeyId, secret::Secret};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{
    key_file::KeyFile,
    noun::{OperatorVerb, Verb},
    parse::name,
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, confirm, moment, row},
};

#[derive(Subcommand)]
pub(crate) enum GatewayKeyVerb {
    /// Create a gateway key; it is shown only once
    Create {
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        #[command(flatten)]
        to: KeyFile,
    },
    /// List gateway keys
    List,
    /// Delete a gateway key; gateways that use it get no more bundles
    Delete {
        /// The key: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ApiKeyId>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// A key as it is shown, with its `value` only when it was just created.
#[skip_serializing_none]
#[derive(Serialize)]
struct ShownKey {
    id: ApiKeyId,
    name: String,
    redacted_value: String,
    created_at: UnixSeconds,
    value: Option<Secret>,
}

/// What was deleted.
#[derive(Serialize)]
struct Deleted {
    id: ApiKeyId,
    deleted: bool,
}

impl Verb<Store> for GatewayKeyVerb {
    async fn run(self, store: &Store, output: Output) -> CommandResult {
        match self {
            Self::Create { name, to } => {
                to.prepare(output)?;
                let created = store.create_gateway_key(&name).await?;
                let shown = to.keep(created.value)?;
                output.one(&ShownKey::new(created.key, shown))?;
                to.remind();
                Ok(())
            }
            Self::List => {
                let keys = store.list_gateway_keys().await?;
                let shown = keys.into_iter().map(|key| ShownKey::new(key, None));
                output.list(&shown.collect::<Vec<_>>())
            }
            Self::Delete { id, yes } => {
                let question = format!("delete {id}? it stops working at once");
                let id = id.resolve(store).await?;
                confirm(&question, yes)?;
                store.delete_gateway_key(&id).await?;
                output.one(&Deleted { id, deleted: true })
            }
        }
    }
}

impl OperatorVerb for GatewayKeyVerb {}

impl ShownKey {
    fn new(key: GatewayKey, value: Option<Secret>) -> Self {
        Self {
            id: key.id,
            name: key.name,
            redacted_value: key.redacted_value,
            created_at: key.created_at,
            value,
        }
    }
}

impl Row for ShownKey {
    const HEAD: &'static [&'static str] = &["name", "id", "key", "created"];

    fn cells(&self) -> Vec<Cell> {
        let shown = self.value.as_ref().map(Secret::reveal);
        row![
            self.name.clone(),
            self.id.to_string(),
            shown.unwrap_or(&self.redacted_value).to_owned(),
            moment(self.created_at),
        ]
    }
}

impl Row for Deleted {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
