//! `countersign organization`: managed by the operator, who needs no key.

use clap::Subcommand;
use countersign_server::store::{CreatedOrganization, NewAdminApiKey, Store};
use countersign_types::{
    api_key::{AdminApiKey, Permission},
    id::OrganizationId,
    organization::Organization,
    secret::Secret,
};
use serde::Serialize;

use super::{
    key_file::KeyFile,
    noun::{OperatorVerb, Verb},
    parse::{expires_in, name, permission},
    reference::Reference,
};
use crate::{
    database::create_admin_key,
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row},
};

#[derive(Subcommand)]
pub(crate) enum OrganizationVerb {
    /// Create an organization and its first admin key, which is shown only once
    Create {
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        #[command(flatten)]
        to: KeyFile,
    },
    /// List organizations
    List,
    /// Create another admin key for an organization, to get back in after losing every key
    CreateKey {
        /// The organization: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<OrganizationId>,
        /// The key's name
        #[arg(long, value_parser = name)]
        name: String,
        /// Its permissions, separated by commas [default: all]
        #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
        scopes: Option<Vec<Permission>>,
        /// How long the key is valid, such as `12h` or `30d` [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = expires_in)]
        expires_in: Option<u32>,
        #[command(flatten)]
        to: KeyFile,
    },
}

/// A new organization with its first key, as it is shown.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    organization: Organization,
    admin_key: AdminApiKey,
}

impl Verb<Store> for OrganizationVerb {
    async fn run(self, store: &Store, output: Output) -> CommandResult {
        match self {
            Self::Create { name, to } => {
                to.prepare(output)?;
                let CreatedOrganization {
                    organization,
                    key: mut admin_key,
                } = store.create_organization(&name).await?;
                if let Some(value) = admin_key.value.take() {
                    admin_key.value = to.keep(value)?;
                }
                output.one(&Created {
                    organization,
                    admin_key,
                })?;
                to.remind();
                Ok(())
            }
            Self::List => output.list_of("organizations", &store.list_organizations().await?),
            Self::CreateKey {
                id,
                name,
                scopes,
                expires_in,
                to,
            } => {
                to.prepare(output)?;
                let new = NewAdminApiKey {
                    name,
                    expires_in_seconds: expires_in,
                    permissions: scopes.unwrap_or_else(|| Permission::ALL.to_vec()),
                };
                let id = id.resolve(store).await?;
                let mut created = create_admin_key(store, &id, new).await?;
                if let Some(value) = created.value.take() {
                    created.value = to.keep(value)?;
                }
                output.one(&created)?;
                to.remind();
                Ok(())
            }
        }
    }
}

impl OperatorVerb for OrganizationVerb {
    fn creates_database(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

impl Row for Organization {
    const HEAD: &'static [&'static str] = &["name", "id", "created"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.name.clone(),
            self.id.to_string(),
            moment(self.created_at),
        ]
    }
}

impl Row for Created {
    const HEAD: &'static [&'static str] = &["name", "id", "created", "key id", "admin key"];

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.organization.cells();
        cells.push(self.admin_key.id.to_string().into());
        let value = self.admin_key.value.as_ref();
        cells.push(value.map_or("", Secret::reveal).into());
        cells
    }
}
