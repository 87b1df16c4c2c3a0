//! `countersign organization`: made by the operator, who needs no key.

use clap::{Args, Subcommand};
use countersign_server::store::{CreatedOrganization, NewAdminApiKey, Store};
use countersign_types::{
    api_key::{AdminApiKey, Permission},
    audit::Actor,
    id::OrganizationId,
    organization::Organization as Entry,
};
use serde::Serialize;

use super::{
    admin_key::permission,
    operator::{KeyFile, Missing, name, on_store},
    service_account::KEEP_IT,
};
use crate::{
    failure::Outcome,
    output::{Output, Row, moment, note},
    serve::StoreOptions,
};

#[derive(Args)]
pub(crate) struct Organization {
    #[command(flatten)]
    store: StoreOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make an organization, and its first admin key, which is shown this once
    Create {
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        #[command(flatten)]
        to: KeyFile,
    },
    /// List organizations
    List,
    /// Make another admin key for an organization: the way back in when every key is lost
    CreateKey {
        /// The organization, `org-...`
        id: OrganizationId,
        /// The key's name
        #[arg(long, value_parser = name)]
        name: String,
        /// What it may do, several separated by commas [default: everything]
        #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
        scopes: Option<Vec<Permission>>,
        /// Seconds until it stops working [default: never]
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
}

/// A new organization with its first key, as it is shown.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    organization: Entry,
    admin_key: AdminApiKey,
}

impl Organization {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let missing = match self.verb {
            Verb::Create { .. } => Missing::Make,
            _ => Missing::Fail,
        };
        on_store(&self.store, missing, async |store| {
            self.verb.call(&store, output).await
        })
    }
}

impl Verb {
    async fn call(self, store: &Store, output: Output) -> Outcome {
        match self {
            Self::Create { name, to } => {
                to.reserve()?;
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
            Self::List => output.list(&store.list_organizations().await?),
            Self::CreateKey {
                id,
                name,
                scopes,
                expires_in,
            } => {
                let new = NewAdminApiKey {
                    name,
                    expires_in_seconds: expires_in,
                    permissions: scopes.unwrap_or_else(|| Permission::ALL.to_vec()),
                };
                output.one(&create_key(store, &id, new).await?)?;
                note(KEEP_IT);
                Ok(())
            }
        }
    }
}

/// Makes an admin key as the operator.
pub(crate) async fn create_key(
    store: &Store,
    organization: &OrganizationId,
    new: NewAdminApiKey,
) -> Outcome<AdminApiKey> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let created = tx.create_admin_api_key(new).await?;
    tx.commit(created.events).await?;
    Ok(created.answer)
}

impl Row for Entry {
    const HEAD: &'static [&'static str] = &["id", "name", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            moment(self.created_at),
        ]
    }
}

impl Row for Created {
    const HEAD: &'static [&'static str] = &["id", "name", "created", "key id", "admin key"];

    fn cells(&self) -> Vec<String> {
        let mut cells = self.organization.cells();
        cells.push(self.admin_key.id.to_string());
        let value = self.admin_key.value.as_ref();
        cells.push(value.map_or_else(String::new, |value| value.reveal().to_owned()));
        cells
    }
}
