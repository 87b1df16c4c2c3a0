//! `countersign admin-key`: the keys that manage an organization.

use clap::{Args, Subcommand};
use countersign_client::{AdminApiKeys, Client};
use countersign_types::{
    api_key::{AdminApiKey, AdminApiKeyCreateRequest, DeletedAdminApiKey, Permission},
    id::ApiKeyId,
};

use super::{
    api::{ApiOptions, ListOptions, block_on},
    service_account::KEEP_IT,
};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment, moment_or_dash, note, text_or_dash},
};

#[derive(Args)]
pub(crate) struct AdminKey {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List admin keys
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make an admin key, which is shown this once
    Create {
        /// Its name
        #[arg(long)]
        name: String,
        /// What it may do, several separated by commas [default: as much as the key that makes it]
        #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
        scopes: Option<Vec<Permission>>,
        /// Seconds until it stops working [default: never]
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
    /// Show an admin key, without its value
    Retrieve {
        /// The key, `key_...`
        id: ApiKeyId,
    },
    /// Delete an admin key: it stops working at once
    Delete {
        /// The key, `key_...`
        id: ApiKeyId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Reads a permission; shared with the operator's command that makes such keys.
pub(super) fn permission(text: &str) -> Result<Permission, String> {
    Permission::from_name(text).ok_or_else(|| {
        let known: Vec<_> = Permission::ALL.iter().map(|each| each.as_str()).collect();
        format!("a permission is one of {}", known.join(", "))
    })
}

impl AdminKey {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let client = self.api.client()?;
        block_on(self.verb.call(&client, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, output: Output) -> Outcome {
        let keys = client.admin_api_keys();
        match self {
            Self::List { list } => {
                let entries = keys.stream(&list.params());
                output.list(&list.take(entries).await?)
            }
            Self::Create {
                name,
                scopes,
                expires_in,
            } => {
                let request = AdminApiKeyCreateRequest {
                    name,
                    expires_in_seconds: expires_in,
                    scopes,
                };
                create(&keys, &request, output).await
            }
            Self::Retrieve { id } => output.one(&keys.retrieve(&id).await?.value),
            Self::Delete { id, yes } => {
                confirm(&format!("delete {id}, so that it stops working?"), yes)?;
                output.one(&keys.delete(&id).await?.value)
            }
        }
    }
}

async fn create(
    keys: &AdminApiKeys,
    request: &AdminApiKeyCreateRequest,
    output: Output,
) -> Outcome {
    let created = keys.create(request).await?.value;
    output.one(&created)?;
    note(KEEP_IT);
    Ok(())
}

impl Row for AdminApiKey {
    const HEAD: &'static [&'static str] =
        &["id", "name", "key", "permissions", "created", "expires"];

    fn cells(&self) -> Vec<String> {
        let shown = self
            .value
            .as_ref()
            .map(countersign_types::secret::Secret::reveal);
        let scopes = self.scopes.as_ref().map(|scopes| {
            let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            names.join(",")
        });
        vec![
            self.id.to_string(),
            text_or_dash(self.name.as_deref()),
            shown.unwrap_or(&self.redacted_value).to_owned(),
            text_or_dash(scopes.as_deref()),
            moment(self.created_at),
            moment_or_dash(self.expires_at),
        ]
    }
}

impl Row for DeletedAdminApiKey {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
