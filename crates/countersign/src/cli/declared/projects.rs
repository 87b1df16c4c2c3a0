//! The projects that a file names, by id or by name.

use countersign_client::{Client, Received};
use countersign_types::{id::ProjectId, project::Project};

use super::server;
use crate::failure::{CommandResult, Failure};

/// The server's projects. They are listed only if the file has names: listing needs another
/// permission.
pub(super) struct Projects<'a> {
    client: &'a Client,
    listed: Option<Vec<Received<Project>>>,
}

impl<'a> Projects<'a> {
    pub(super) const fn new(client: &'a Client) -> Self {
        Self {
            client,
            listed: None,
        }
    }

    /// The project that is meant at a line.
    pub(super) async fn id(&mut self, line: &str, name: &str) -> CommandResult<ProjectId> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let projects = match self.listed.take() {
            Some(projects) => projects,
            None => server::projects(self.client, false).await?,
        };
        let found = named(&projects, line, name);
        self.listed = Some(projects);
        found
    }
}

fn named(projects: &[Received<Project>], line: &str, name: &str) -> CommandResult<ProjectId> {
    let named = projects
        .iter()
        .filter(|each| each.name.as_deref() == Some(name) || each.id.as_str() == name);
    let found: Vec<&ProjectId> = named.map(|each| &each.id).collect();
    match found.as_slice() {
        [id] => Ok((*id).clone()),
        [] => {
            let message = format!("{line}: no project is named `{name}`");
            Err(Failure::new(message).hint(
                "run `countersign project list` to see them; refer to an archived one by its id",
            ))
        }
        several => {
            let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            let message = format!(
                "{line}: {} projects are named `{name}`: {}",
                several.len(),
                several.join(", ")
            );
            Err(Failure::new(message).hint("refer to the project by its id"))
        }
    }
}
