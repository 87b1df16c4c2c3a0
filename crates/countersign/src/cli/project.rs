//! `countersign project`: the projects of an organization.

use clap::Subcommand;
use countersign_client::{Client, ProjectListParams};
use countersign_types::{
    id::ProjectId,
    preview::TrustChange,
    project::{Project, ProjectCreateRequest, ProjectUpdateRequest},
};

use super::{
    api::ListOptions,
    directory::names,
    guard::{Ask, Guard},
    noun::Verb,
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, note, printable, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum ProjectVerb {
    /// List projects
    List {
        /// Include archived projects
        #[arg(long)]
        include_archived: bool,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create a project
    Create {
        /// Its name
        #[arg(long, value_parser = super::parse::name)]
        name: String,
    },
    /// Show a project
    Retrieve {
        /// The project: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ProjectId>,
    },
    /// Rename a project
    Update {
        /// The project: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ProjectId>,
        /// The new name
        #[arg(long, value_parser = super::parse::name)]
        name: String,
    },
    /// Archive a project; its keys stop working for good
    Archive {
        /// The project: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ProjectId>,
        #[command(flatten)]
        guard: Guard,
    },
}

/// By a name that several have, none of them is found.
async fn warn_of_same(client: &Client, name: &str) {
    // Who may not list projects is not told.
    let known = names::<ProjectId>(client).await.unwrap_or_default();
    if known.values().any(|other| other == name) {
        note(&format!(
            "warning: another project is called `{}` too, and is then found by its id alone",
            printable(name)
        ));
    }
}

impl Verb<Client> for ProjectVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
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
                return output.list_of("projects", &list.take(entries).await?);
            }
            Self::Create { name } => {
                warn_of_same(client, &name).await;
                let request = ProjectCreateRequest {
                    name,
                    residency: None,
                    external_key_id: None,
                };
                projects.create(&request).await?
            }
            Self::Retrieve { id } => projects.retrieve(&id.resolve(client).await?).await?,
            Self::Update { id, name } => {
                let change = ProjectUpdateRequest {
                    name: Some(name),
                    external_key_id: None,
                };
                projects.update(&id.resolve(client).await?, &change).await?
            }
            Self::Archive { id, guard } => {
                let question = format!("archive {id}? its keys stop working at once");
                let id = id.resolve(client).await?;
                let change = TrustChange::ArchiveProject {
                    project_id: id.clone(),
                };
                let asked = (question.as_str(), Ask::Always);
                if !guard.before(client, change, asked, output).await? {
                    return Ok(());
                }
                guard.client(client).projects().archive(&id).await?
            }
        };
        output.one(&project.value)
    }
}

impl Row for Project {
    const HEAD: &'static [&'static str] = &["name", "id", "status", "created", "archived"];

    fn cells(&self) -> Vec<Cell> {
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            text_or_dash(self.status.as_deref()),
            moment(self.created_at),
            moment(self.archived_at),
        ]
    }
}
