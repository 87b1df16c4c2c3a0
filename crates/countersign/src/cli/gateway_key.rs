//! `countersign gateway-key`: the keys that gateways fetch their bundles with.

use clap::Subcommand;
use countersign_server::{
    GATEWAY_LIVE_SECONDS,
    store::{GatewayKey, GatewayKeyOrganization, GatewayKeyUse, Store},
};
use countersign_types::{
    UnixSeconds,
    id::{ApiKeyId, OrganizationId},
    secret::Secret,
};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{
    guard::Sure,
    key_file::KeyFile,
    noun::{OperatorVerb, Verb},
    parse::name,
    reference::Reference,
};
use crate::{
    clock,
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash, timestamp},
};

#[derive(Subcommand)]
pub(crate) enum GatewayKeyVerb {
    /// Create a gateway key; it is shown only once
    Create {
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        /// Limit it to this organization: its gateways get nothing of others. Repeat it for several
        #[arg(long = "organization", value_name = "ID|NAME")]
        organizations: Vec<Reference<OrganizationId>>,
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
        #[command(flatten)]
        sure: Sure,
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
    /// The organizations that it is limited to; absent if it reaches all.
    organizations: Option<Vec<GatewayKeyOrganization>>,
    /// The gateways that asked with it last; absent where they were not looked for.
    used_by: Option<Vec<String>>,
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
            Self::Create {
                name,
                organizations,
                to,
            } => {
                let mut only = Vec::with_capacity(organizations.len());
                for organization in organizations {
                    only.push(organization.resolve(store).await?);
                }
                to.prepare(output)?;
                let only = (!only.is_empty()).then_some(only.as_slice());
                let created = store.create_gateway_key_for(&name, only).await?;
                let shown = to.keep(created.value)?;
                output.one(&ShownKey::new(created.key, shown))?;
                to.remind();
                Ok(())
            }
            Self::List => {
                let keys = store.list_gateway_keys().await?;
                let uses = store.gateway_key_uses().await?;
                let shown = keys.into_iter().map(|key| {
                    let used_by = uses.iter().filter(|each| each.key == key.id);
                    let used_by = used_by.map(|each| each.name.clone()).collect();
                    ShownKey {
                        used_by: Some(used_by),
                        ..ShownKey::new(key, None)
                    }
                });
                output.list_of("gateway keys", &shown.collect::<Vec<_>>())
            }
            Self::Delete { id, sure } => {
                let question = format!("delete {id}? it stops working at once");
                let id = id.resolve(store).await?;
                if let Some(lost) = lost(&store.gateway_key_uses().await?, &id) {
                    let instead = "give them another key first: `countersign gateway-key create`";
                    sure.permit_loss(&lost, instead)?;
                }
                sure.ask(&question, "this cannot be undone")?;
                store.delete_gateway_key(&id).await?;
                output.one(&Deleted { id, deleted: true })
            }
        }
    }
}

/// Which gateways lose contact without a key; `None` if none is known to use it. They go on with what they
/// have until it is too old, and refuse everything then.
fn lost(uses: &[GatewayKeyUse], id: &ApiKeyId) -> Option<String> {
    let now = clock::unix_seconds();
    let shown = |one: &GatewayKeyUse| {
        let is_live = now.saturating_sub(one.seen_at) <= GATEWAY_LIVE_SECONDS;
        let state = if is_live { "live" } else { "missing" };
        format!(
            "{} ({state}, last seen {})",
            one.name,
            timestamp(one.seen_at)
        )
    };
    let used = uses.iter().filter(|one| one.key == *id);
    let used: Vec<String> = used.map(shown).collect();
    (!used.is_empty()).then(|| {
        format!(
            "gateways use this key: {}; without it they get no changes, and refuse everything once what they have is too old",
            used.join(", ")
        )
    })
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
            organizations: key.organizations,
            used_by: None,
        }
    }
}

impl Row for ShownKey {
    const HEAD: &'static [&'static str] =
        &["name", "id", "key", "organizations", "used by", "created"];

    fn cells(&self) -> Vec<Cell> {
        let shown = self.value.as_ref().map(Secret::reveal);
        let used_by = self.used_by.as_ref().filter(|all| !all.is_empty());
        let used_by = used_by.map(|all| all.join(", "));
        let organizations = self.organizations.as_ref().map(|all| {
            let names: Vec<&str> = all.iter().map(|each| each.name.as_str()).collect();
            names.join(", ")
        });
        row![
            self.name.clone(),
            self.id.to_string(),
            shown.unwrap_or(&self.redacted_value).to_owned(),
            organizations.unwrap_or_else(|| "all".to_owned()),
            text_or_dash(used_by.as_deref()),
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
