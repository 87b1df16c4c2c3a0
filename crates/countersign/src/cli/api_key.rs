//! `countersign api-key`: the keys of a project.

use clap::Subcommand;
use countersign_types::{
    api_key::{DeletedProjectApiKey, ProjectApiKey},
    id::ApiKeyId,
    preview::TrustChange,
};

use super::{
    api::ListOptions,
    guard::{Ask, Guard},
    noun::{ProjectClient, Verb},
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum ApiKeyVerb {
    /// List a project's keys
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a key, without its value
    Retrieve {
        /// The key: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ApiKeyId>,
    },
    /// Delete a key; it stops working at once
    Delete {
        /// The key: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ApiKeyId>,
        #[command(flatten)]
        guard: Guard,
    },
}

impl Verb<ProjectClient> for ApiKeyVerb {
    async fn run(self, on: &ProjectClient, output: Output) -> CommandResult {
        let keys = on.client.api_keys(&on.project);
        match self {
            Self::List { list } => {
                let entries = keys.stream(&list.params());
                output.list_of("keys of this project", &list.take(entries).await?)
            }
            Self::Retrieve { id } => {
                output.one(&keys.retrieve(&id.resolve(on).await?).await?.value)
            }
            Self::Delete { id, guard } => {
                let question = format!("delete {id}? it stops working at once");
                let id = id.resolve(on).await?;
                let change = TrustChange::DeleteProjectApiKey {
                    project_id: on.project.clone(),
                    key_id: id.clone(),
                };
                let asked = (question.as_str(), Ask::Always);
                if !guard.before(&on.client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&keys.delete(&id).await?.value)
            }
        }
    }
}

impl Row for ProjectApiKey {
    const HEAD: &'static [&'static str] = &["name", "id", "key", "owner", "created", "last used"];

    fn cells(&self) -> Vec<Cell> {
        let owner = self.owner.service_account.as_ref();
        row![
            self.name.clone(),
            self.id.to_string(),
            self.redacted_value.clone(),
            text_or_dash(owner.map(|account| account.name.as_str())),
            moment(self.created_at),
            moment(self.last_used_at),
        ]
    }
}

impl Row for DeletedProjectApiKey {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
