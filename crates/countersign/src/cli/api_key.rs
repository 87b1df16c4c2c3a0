//! `countersign api-key`: the keys of a project.

use clap::{Args, Subcommand};
use countersign_client::Client;
use countersign_types::{
    api_key::{DeletedProjectApiKey, ProjectApiKey},
    id::{ApiKeyId, ProjectId},
};

use super::api::{ApiOptions, ListOptions, block_on, needed_project};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment, moment_or_dash, text_or_dash},
};

#[derive(Args)]
pub(crate) struct ApiKey {
    /// The project, `proj_...` [env: OPENAI_PROJECT_ID]
    #[arg(long, global = true, value_name = "ID")]
    project: Option<ProjectId>,
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List a project's keys
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a key, without its value
    Retrieve {
        /// The key, `key_...`
        id: ApiKeyId,
    },
    /// Delete a key: it stops working at once
    Delete {
        /// The key, `key_...`
        id: ApiKeyId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl ApiKey {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let project = needed_project(self.project)?;
        let client = self.api.client()?;
        block_on(self.verb.call(&client, &project, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, project: &ProjectId, output: Output) -> Outcome {
        let keys = client.api_keys(project);
        match self {
            Self::List { list } => {
                let entries = keys.stream(&list.params());
                output.list(&list.take(entries).await?)
            }
            Self::Retrieve { id } => output.one(&keys.retrieve(&id).await?.value),
            Self::Delete { id, yes } => {
                confirm(&format!("delete {id}, so that it stops working?"), yes)?;
                output.one(&keys.delete(&id).await?.value)
            }
        }
    }
}

impl Row for ProjectApiKey {
    const HEAD: &'static [&'static str] = &["id", "name", "key", "owner", "created", "last used"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner.service_account.as_ref();
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.redacted_value.clone(),
            text_or_dash(owner.map(|account| account.id.as_str())),
            moment(self.created_at),
            moment_or_dash(self.last_used_at),
        ]
    }
}

impl Row for DeletedProjectApiKey {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
