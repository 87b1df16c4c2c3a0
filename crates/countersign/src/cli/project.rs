//! `countersign project`.

use clap::{Args, Subcommand};
use countersign_client::{Client, ProjectListParams};
use countersign_types::{
    id::ProjectId,
    project::{Project as Entry, ProjectCreateRequest, ProjectUpdateRequest},
};

use super::api::{ApiOptions, ListOptions, block_on};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment, moment_or_dash, text_or_dash},
};

#[derive(Args)]
pub(crate) struct Project {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List projects
    List {
        /// Archived ones too
        #[arg(long)]
        include_archived: bool,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make a project
    Create {
        /// Its name
        #[arg(long)]
        name: String,
    },
    /// Show a project
    Retrieve {
        /// The project, `proj_...`
        id: ProjectId,
    },
    /// Rename a project
    Update {
        /// The project, `proj_...`
        id: ProjectId,
        /// The new name
        #[arg(long)]
        name: String,
    },
    /// Archive a project: its keys stop working, for good
    Archive {
        /// The project, `proj_...`
        id: ProjectId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Project {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let client = self.api.client()?;
        block_on(self.verb.call(&client, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, output: Output) -> Outcome {
        let projects = client.projects();
        let project = match self {
            Self::List {
                include_archived,
                list,
            } => {
                let entries = projects.stream(&ProjectListParams {
                    list: list.params(),
                    include_archived,
                });
                return output.list(&list.take(entries).await?);
            }
            Self::Create { name } => {
                let request = ProjectCreateRequest {
                    name,
                    residency: None,
                    external_key_id: None,
                };
                projects.create(&request).await?
            }
            Self::Retrieve { id } => projects.retrieve(&id).await?,
            Self::Update { id, name } => {
                let change = ProjectUpdateRequest {
                    name: Some(name),
                    external_key_id: None,
                };
                projects.update(&id, &change).await?
            }
            Self::Archive { id, yes } => {
                confirm(
                    &format!("archive {id}, so that its keys stop working?"),
                    yes,
                )?;
                projects.archive(&id).await?
            }
        };
        output.one(&project.value)
    }
}

impl Row for Entry {
    const HEAD: &'static [&'static str] = &["id", "name", "status", "created", "archived"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            text_or_dash(self.name.as_deref()),
            text_or_dash(self.status.as_deref()),
            moment(self.created_at),
            moment_or_dash(self.archived_at),
        ]
    }
}
