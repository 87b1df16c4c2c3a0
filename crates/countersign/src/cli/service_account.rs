//! `countersign service-account`: the accounts that call as a project.

use clap::Subcommand;
use countersign_client::ServiceAccounts;
use countersign_types::{
    id::ServiceAccountId,
    preview::TrustChange,
    project::{
        DeletedServiceAccount, ServiceAccount, ServiceAccountApiKey,
        ServiceAccountApiKeyCreateRequest, ServiceAccountCreateRequest, ServiceAccountCreated,
        ServiceAccountRole, ServiceAccountUpdateRequest,
    },
};

use super::{
    api::ListOptions,
    guard::{Ask, Guard},
    key_file::KeyFile,
    noun::{ProjectClient, Verb},
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum ServiceAccountVerb {
    /// List a project's service accounts
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create a service account and its first key, which is shown only once
    Create {
        /// Its name
        #[arg(long, value_parser = super::parse::name)]
        name: String,
        /// Create no key
        #[arg(long, conflicts_with = "key_file")]
        no_key: bool,
        #[command(flatten)]
        to: KeyFile,
    },
    /// Show a service account
    Retrieve {
        /// The service account: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ServiceAccountId>,
    },
    /// Change a service account
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["name", "role"])))]
    Update {
        /// The service account: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ServiceAccountId>,
        /// The new name
        #[arg(long, value_parser = super::parse::name)]
        name: Option<String>,
        /// The new role: owner, member or none
        #[arg(long, value_parser = role)]
        role: Option<ServiceAccountRole>,
    },
    /// Delete a service account and its keys
    Delete {
        /// The service account: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ServiceAccountId>,
        #[command(flatten)]
        guard: Guard,
    },
    /// Create another key; it is shown only once
    CreateKey {
        /// The service account: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<ServiceAccountId>,
        /// The key's name [default: the service account's]
        #[arg(long, value_parser = super::parse::name)]
        name: Option<String>,
        #[command(flatten)]
        to: KeyFile,
    },
}

fn role(text: &str) -> Result<ServiceAccountRole, String> {
    use ServiceAccountRole::{Member, None, Owner};
    [Owner, Member, None]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "a role is `owner`, `member` or `none`".to_owned())
}

impl Verb<ProjectClient> for ServiceAccountVerb {
    async fn run(self, on: &ProjectClient, output: Output) -> CommandResult {
        let accounts = on.client.service_accounts(&on.project);
        match self {
            Self::List { list } => {
                let entries = accounts.stream(&list.params());
                output.list_of(
                    "service accounts of this project",
                    &list.take(entries).await?,
                )
            }
            Self::Create { name, no_key, to } => {
                if !no_key {
                    to.prepare(output)?;
                }
                create(&accounts, name, no_key, &to, output).await
            }
            Self::Retrieve { id } => {
                output.one(&accounts.retrieve(&id.resolve(on).await?).await?.value)
            }
            Self::Update { id, name, role } => {
                let id = id.resolve(on).await?;
                let change = ServiceAccountUpdateRequest { name, role };
                output.one(&accounts.update(&id, &change).await?.value)
            }
            Self::Delete { id, guard } => {
                let question = format!("delete {id} and its keys?");
                let id = id.resolve(on).await?;
                let change = TrustChange::DeleteServiceAccount {
                    project_id: on.project.clone(),
                    service_account_id: id.clone(),
                };
                let asked = (question.as_str(), Ask::Always);
                if !guard.before(&on.client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&accounts.delete(&id).await?.value)
            }
            Self::CreateKey { id, name, to } => {
                to.prepare(output)?;
                let id = id.resolve(on).await?;
                let request = ServiceAccountApiKeyCreateRequest { name, scopes: None };
                let created = accounts.create_api_key(&id, &request).await?.value;
                let key = created.value.clone();
                to.show(created, Some(key), output)
            }
        }
    }
}

async fn create(
    accounts: &ServiceAccounts,
    name: String,
    no_key: bool,
    to: &KeyFile,
    output: Output,
) -> CommandResult {
    let request = ServiceAccountCreateRequest {
        name,
        create_service_account_only: no_key.then_some(true),
    };
    let created = accounts.create(&request).await?.value;
    let key = created.api_key.as_ref().map(|key| key.value.clone());
    to.show(created, key, output)
}

impl Row for ServiceAccount {
    const HEAD: &'static [&'static str] = &["name", "id", "role", "created"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.name.clone(),
            self.id.to_string(),
            self.role.to_string(),
            moment(self.created_at),
        ]
    }
}

impl Row for ServiceAccountCreated {
    const HEAD: &'static [&'static str] = &["name", "id", "role", "created", "key id", "key"];

    fn cells(&self) -> Vec<Cell> {
        let key = self.api_key.as_ref();
        row![
            self.name.clone(),
            self.id.to_string(),
            self.role.to_string(),
            moment(self.created_at),
            text_or_dash(key.map(|key| key.id.as_str())),
            text_or_dash(key.map(|key| key.value.reveal())),
        ]
    }
}

impl Row for ServiceAccountApiKey {
    const HEAD: &'static [&'static str] = &["name", "key id", "created", "key"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.name.clone(),
            self.id.to_string(),
            moment(self.created_at),
            self.value.reveal().to_owned(),
        ]
    }
}

impl Row for DeletedServiceAccount {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
