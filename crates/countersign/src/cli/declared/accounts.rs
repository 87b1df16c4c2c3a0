//! The service accounts that a file names, by id or by name.

use std::collections::HashMap;

use countersign_client::Client;
use countersign_types::id::{ProjectId, ServiceAccountId};

use super::wanted_providers::WantedRule;
use crate::{
    cli::{
        noun::ProjectClient,
        reference::{Directory, Listing, Reference},
    },
    failure::{CommandResult, Failure},
};

/// The service accounts of the projects that the file names. Each project's are listed once.
pub(super) struct Accounts<'a> {
    client: &'a Client,
    listed: HashMap<ProjectId, Listing<ServiceAccountId>>,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            listed: HashMap::new(),
        }
    }

    /// The account that a rule names, in its project.
    pub(super) async fn id(
        &mut self,
        rule: &WantedRule,
        project: &ProjectId,
    ) -> CommandResult<ServiceAccountId> {
        let at_line = |failure: &Failure| {
            let found = Failure::new(format_args!("{}: {}", rule.line, failure.message()));
            match failure.advice() {
                Some(hint) => found.hint(hint),
                None => found,
            }
        };
        let reference: Reference<ServiceAccountId> = rule
            .service_account
            .parse()
            .map_err(|error| at_line(&Failure::new(error)))?;
        if !self.listed.contains_key(project) {
            let on = ProjectClient {
                client: self.client.clone(),
                project: project.clone(),
            };
            let listing = Directory::<ServiceAccountId>::entries(&on).await?;
            self.listed.insert(project.clone(), listing);
        }
        let listing = self.listed.get(project).unwrap_or(&Listing::None);
        reference
            .among(listing)
            .map_err(|failure| at_line(&failure))
    }
}
