//! The scope that a command works at, as a flag.

use clap::Args;
use countersign_types::{certificate::Scope, id::ProjectId};

/// The scope of a command. It is never taken from the environment: an activation must not go to
/// another scope because of a variable that nobody looked at.
#[derive(Debug, Args)]
pub(super) struct AtScope {
    /// The project, `proj_...` [default: the organization]
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
}

impl From<AtScope> for Scope {
    fn from(at: AtScope) -> Self {
        at.project.map_or(Self::Organization, Self::Project)
    }
}
