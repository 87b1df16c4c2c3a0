//! `countersign workload-identity-provider`: how client certificates become the attributes that
//! federation rules match.

use clap::{ArgGroup, Args, Subcommand};
use countersign_client::Client;
use countersign_types::{
    id::WorkloadIdentityProviderId,
    preview::TrustChange,
    workload_identity_provider::{
        AttributeTransformation, DeletedWorkloadIdentityProvider, WorkloadIdentityProvider,
        WorkloadIdentityProviderCreateRequest, WorkloadIdentityProviderType,
        WorkloadIdentityProviderUpdateRequest,
    },
};

use super::{
    api::ListOptions,
    guard::{Ask, Guard},
    noun::Verb,
    reference::Reference,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, Tone, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum WorkloadIdentityProviderVerb {
    /// List workload identity providers
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create a provider: how certificates become attributes
    Create(Create),
    /// Show a provider
    Retrieve {
        /// The provider: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<WorkloadIdentityProviderId>,
    },
    /// Change a provider; the tokens that it admitted are checked again
    Update(Update),
    /// Delete a provider and its federation rules; their tokens end
    Delete {
        /// The provider: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<WorkloadIdentityProviderId>,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name
    #[arg(long, value_parser = super::parse::name)]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// An attribute and the CEL that computes it, such as
    /// `openai.subject=assertion.subject.common_name`; once for each attribute
    #[arg(long = "attribute", value_name = "NAME=CEL", required = true, value_parser = transformation)]
    attributes: Vec<AttributeTransformation>,
    /// CEL that a certificate must fulfil besides
    #[arg(long, value_name = "CEL")]
    condition: Option<String>,
    /// Create it without putting it to use
    #[arg(long)]
    disabled: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)
    .args(["name", "description", "attributes", "condition", "no_condition", "enable", "disable"])))]
pub(crate) struct Update {
    /// The provider: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<WorkloadIdentityProviderId>,
    /// The new name
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    /// The new description; empty for none
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// An attribute and the CEL that computes it; together they replace all there are
    #[arg(long = "attribute", value_name = "NAME=CEL", value_parser = transformation)]
    attributes: Vec<AttributeTransformation>,
    /// CEL that a certificate must fulfil besides
    #[arg(long, value_name = "CEL", conflicts_with = "no_condition")]
    condition: Option<String>,
    /// Remove the condition
    #[arg(long)]
    no_condition: bool,
    /// Put it to use
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Put it out of use: the tokens that it admitted end
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    guard: Guard,
}

fn transformation(text: &str) -> Result<AttributeTransformation, String> {
    match text.split_once('=') {
        Some((attribute, expression)) if !attribute.is_empty() && !expression.is_empty() => {
            Ok(AttributeTransformation {
                attribute: attribute.trim().to_owned(),
                expression: expression.trim().to_owned(),
            })
        }
        _ => Err("give the attribute, `=` and the CEL that computes it".to_owned()),
    }
}

impl Verb<Client> for WorkloadIdentityProviderVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let providers = client.workload_identity_providers();
        match self {
            Self::List { list } => {
                let entries = list.take(providers.stream(&list.params())).await?;
                output.list_of("workload identity providers", &entries)
            }
            Self::Create(create) => {
                output.one(&providers.create(&create.into_request()).await?.value)
            }
            Self::Retrieve { id } => {
                let id = id.resolve(client).await?;
                output.one(&providers.retrieve(&id).await?.value)
            }
            Self::Update(update) => {
                let question = format!("change {}?", update.id);
                let id = update.id.resolve(client).await?;
                let guard = update.guard.clone();
                let request = update.into_request();
                let change = TrustChange::UpdateWorkloadIdentityProvider {
                    workload_identity_provider_id: id.clone(),
                    provider: request.clone(),
                };
                let asked = (question.as_str(), Ask::IfUsed);
                if !guard.before(client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&providers.update(&id, &request).await?.value)
            }
            Self::Delete { id, guard } => {
                let question = format!("delete {id} and its federation rules?");
                let id = id.resolve(client).await?;
                let change = TrustChange::DeleteWorkloadIdentityProvider {
                    workload_identity_provider_id: id.clone(),
                };
                let asked = (question.as_str(), Ask::Always);
                if !guard.before(client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&providers.delete(&id).await?.value)
            }
        }
    }
}

impl Create {
    fn into_request(self) -> WorkloadIdentityProviderCreateRequest {
        WorkloadIdentityProviderCreateRequest {
            kind: WorkloadIdentityProviderType::X509,
            name: self.name,
            description: self.description,
            enabled: self.disabled.then_some(false),
            attribute_transformations: self.attributes,
            attribute_conditions: self.condition,
        }
    }
}

impl Update {
    fn into_request(self) -> WorkloadIdentityProviderUpdateRequest {
        let condition = self.condition.map(Some);
        WorkloadIdentityProviderUpdateRequest {
            name: self.name,
            description: self.description.map(none_if_empty),
            enabled: switched(self.enable, self.disable),
            attribute_transformations: Some(self.attributes).filter(|all| !all.is_empty()),
            attribute_conditions: condition.or(self.no_condition.then_some(None)),
        }
    }
}

/// What two switches say together.
pub(super) fn switched(on: bool, off: bool) -> Option<bool> {
    match (on, off) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// A text that is removed by giving none.
pub(super) fn none_if_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Whether something is in use.
pub(super) fn use_cell(enabled: bool) -> Cell {
    if enabled {
        Cell::State(Tone::Good, "yes".to_owned())
    } else {
        Cell::State(Tone::Warning, "no".to_owned())
    }
}

impl Row for WorkloadIdentityProvider {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "enabled",
        "attributes",
        "condition",
        "created",
    ];

    fn cells(&self) -> Vec<Cell> {
        let attributes = self.attribute_transformations.iter();
        let attributes: Vec<_> = attributes
            .map(|one| format!("{}={}", one.attribute, one.expression))
            .collect();
        row![
            self.name.clone(),
            self.id.to_string(),
            use_cell(self.enabled),
            attributes.join(", "),
            text_or_dash(self.attribute_conditions.as_deref()),
            moment(self.created_at),
        ]
    }
}

impl Row for DeletedWorkloadIdentityProvider {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
