//! `countersign service-account`: who calls as a project.

use clap::{Args, Subcommand};
use countersign_client::{Client, ServiceAccounts};
use countersign_types::{
    id::{ProjectId, ServiceAccountId},
    project::{
        DeletedServiceAccount, ServiceAccount as Entry, ServiceAccountApiKey,
        ServiceAccountApiKeyCreateRequest, ServiceAccountCreateRequest, ServiceAccountCreated,
        ServiceAccountRole, ServiceAccountUpdateRequest,
    },
};

use super::api::{ApiOptions, ListOptions, block_on};
use crate::{
    failure::Outcome,
    output::{Output, Row, confirm, moment, note, text_or_dash},
};

#[derive(Args)]
pub(crate) struct ServiceAccount {
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
    /// List a project's service accounts
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Make a service account, and its first key, which is shown this once
    Create {
        /// Its name
        #[arg(long)]
        name: String,
        /// Make no key
        #[arg(long)]
        no_key: bool,
    },
    /// Show a service account
    Retrieve {
        /// The service account, `svc_acct_...`
        id: ServiceAccountId,
    },
    /// Change a service account
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["name", "role"])))]
    Update {
        /// The service account, `svc_acct_...`
        id: ServiceAccountId,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// The new role: owner, member or none
        #[arg(long, value_parser = role)]
        role: Option<ServiceAccountRole>,
    },
    /// Delete a service account and its keys
    Delete {
        /// The service account, `svc_acct_...`
        id: ServiceAccountId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make another key, which is shown this once
    CreateKey {
        /// The service account, `svc_acct_...`
        id: ServiceAccountId,
        /// The key's name [default: the service account's]
        #[arg(long)]
        name: Option<String>,
    },
}

fn role(text: &str) -> Result<ServiceAccountRole, String> {
    use ServiceAccountRole::{Member, None, Owner};
    [Owner, Member, None]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "a role is `owner`, `member` or `none`".to_owned())
}

impl ServiceAccount {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let project = super::api::needed_project(self.project)?;
        let client = self.api.client()?;
        block_on(self.verb.call(&client, &project, output))
    }
}

impl Verb {
    async fn call(self, client: &Client, project: &ProjectId, output: Output) -> Outcome {
        let accounts = client.service_accounts(project);
        match self {
            Self::List { list } => {
                let entries = accounts.stream(&list.params());
                output.list(&list.take(entries).await?)
            }
            Self::Create { name, no_key } => create(&accounts, name, no_key, output).await,
            Self::Retrieve { id } => output.one(&accounts.retrieve(&id).await?.value),
            Self::Update { id, name, role } => {
                let change = ServiceAccountUpdateRequest { name, role };
                output.one(&accounts.update(&id, &change).await?.value)
            }
            Self::Delete { id, yes } => {
                confirm(&format!("delete {id} and its keys?"), yes)?;
                output.one(&accounts.delete(&id).await?.value)
            }
            Self::CreateKey { id, name } => {
                let request = ServiceAccountApiKeyCreateRequest { name, scopes: None };
                output.one(&accounts.create_api_key(&id, &request).await?.value)?;
                note(KEEP_IT);
                Ok(())
            }
        }
    }
}

/// Said whenever a key was shown.
pub(super) const KEEP_IT: &str = "note: the key is shown this once; keep it in a safe place";

async fn create(accounts: &ServiceAccounts, name: String, no_key: bool, output: Output) -> Outcome {
    let request = ServiceAccountCreateRequest {
        name,
        create_service_account_only: no_key.then_some(true),
    };
    let created = accounts.create(&request).await?.value;
    output.one(&created)?;
    if created.api_key.is_some() {
        note(KEEP_IT);
    }
    Ok(())
}

impl Row for Entry {
    const HEAD: &'static [&'static str] = &["id", "name", "role", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.role.as_str().to_owned(),
            moment(self.created_at),
        ]
    }
}

impl Row for ServiceAccountCreated {
    const HEAD: &'static [&'static str] = &["id", "name", "role", "created", "key id", "key"];

    fn cells(&self) -> Vec<String> {
        let key = self.api_key.as_ref();
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.role.as_str().to_owned(),
            moment(self.created_at),
            text_or_dash(key.map(|key| key.id.as_str())),
            text_or_dash(key.map(|key| key.value.reveal())),
        ]
    }
}

impl Row for ServiceAccountApiKey {
    const HEAD: &'static [&'static str] = &["key id", "name", "created", "key"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            moment(self.created_at),
            self.value.reveal().to_owned(),
        ]
    }
}

impl Row for DeletedServiceAccount {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
