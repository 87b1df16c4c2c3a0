//! `countersign admin-key`: the keys that manage an organization.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::{
    api_key::{AdminApiKey, AdminApiKeyCreateRequest, DeletedAdminApiKey, Permission},
    id::ApiKeyId,
    preview::TrustChange,
};

use super::{
    api::ListOptions,
    guard::{Ask, Guard},
    key_file::KeyFile,
    noun::Verb,
    parse::{expires_in, permission},
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, expiry, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum AdminKeyVerb {
    /// List admin keys
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create an admin key; it is shown only once
    Create {
        /// Its name
        #[arg(long, value_parser = super::parse::name)]
        name: String,
        /// Its permissions, separated by commas [default: those of the key that creates it]
        #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
        scopes: Option<Vec<Permission>>,
        /// How long the key is valid, such as `12h` or `30d` [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = expires_in)]
        expires_in: Option<u32>,
        #[command(flatten)]
        to: KeyFile,
    },
    /// Show an admin key, without its value
    Retrieve {
        /// The key: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ApiKeyId>,
    },
    /// Delete an admin key; it stops working at once
    Delete {
        /// The key: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ApiKeyId>,
        #[command(flatten)]
        guard: Guard,
    },
}

impl Verb<Client> for AdminKeyVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let keys = client.admin_api_keys();
        match self {
            Self::List { list } => {
                let entries = keys.stream(&list.params());
                output.list_of("admin keys", &list.take(entries).await?)
            }
            Self::Create {
                name,
                scopes,
                expires_in,
                to,
            } => {
                to.prepare(output)?;
                let request = AdminApiKeyCreateRequest {
                    name,
                    expires_in_seconds: expires_in,
                    scopes,
                };
                let created = keys.create(&request).await?.value;
                let key = created.value.clone();
                to.show(created, key, output)
            }
            Self::Retrieve { id } => {
                output.one(&keys.retrieve(&id.resolve(client).await?).await?.value)
            }
            Self::Delete { id, guard } => {
                let question = format!("delete {id}? it stops working at once");
                let id = id.resolve(client).await?;
                let change = TrustChange::DeleteAdminApiKey { key_id: id.clone() };
                let asked = (question.as_str(), Ask::Always);
                if !guard.is_preview() {
                    warn_of_own(client, &id, &guard).await?;
                }
                if !guard.before(client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&keys.delete(&id).await?.value)
            }
        }
    }
}

/// Whoever deletes the key in use is shut out by it.
async fn warn_of_own(client: &Client, id: &ApiKeyId, guard: &Guard) -> CommandResult {
    let is_own = match client.admin_api_keys().retrieve(id).await {
        Ok(key) => client.may_use_key_shown_as(&key.value.redacted_value),
        // Deleting it says why it cannot be read.
        Err(_) => false,
    };
    if !is_own {
        return Ok(());
    }
    let what = format!("{id} is the key that this command uses: without it, it opens nothing");
    guard.answers().sure().permit_loss(
        &what,
        "make another with `countersign admin-key create`, and use that",
    )
}

impl Row for AdminApiKey {
    const HEAD: &'static [&'static str] =
        &["name", "id", "key", "permissions", "created", "expires"];

    fn cells(&self) -> Vec<Cell> {
        let shown = self
            .value
            .as_ref()
            .map(countersign_types::secret::Secret::reveal);
        let scopes = self.scopes.as_ref().map(|scopes| {
            let names: Vec<_> = scopes.iter().map(ToString::to_string).collect();
            names.join(",")
        });
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            shown.unwrap_or(&self.redacted_value).to_owned(),
            text_or_dash(scopes.as_deref()),
            moment(self.created_at),
            expiry(self.expires_at),
        ]
    }
}

impl Row for DeletedAdminApiKey {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
