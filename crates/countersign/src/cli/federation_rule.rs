//! `countersign federation-rule`: which workloads of a provider get tokens of which service account.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args, Subcommand};
use countersign_client::FederationRuleListParams;
use countersign_types::{
    federation_rule::{
        DeletedFederationRule, FederationPermissionType, FederationPermissions, FederationRule,
        FederationRuleCreateRequest, FederationRuleUpdateRequest, MatcherValue,
    },
    id::{FederationRuleId, ProjectId, ServiceAccountId},
    preview::TrustChange,
};

use super::{
    api::{ListOptions, block_on},
    federation_test::{Test, shown},
    guard::{Ask, Guard},
    noun::{ProjectClient, ProviderClient, ProviderOptions},
    reference::Reference,
    workload_identity_provider::{none_if_empty, switched, use_cell},
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash},
};

#[derive(Args)]
pub(crate) struct FederationRuleNoun {
    #[command(flatten)]
    options: ProviderOptions,
    #[command(subcommand)]
    verb: FederationRuleVerb,
}

#[derive(Subcommand)]
pub(crate) enum FederationRuleVerb {
    /// List a provider's federation rules
    List {
        /// Only the rules for this service account
        #[arg(long, value_name = "ID")]
        service_account: Option<ServiceAccountId>,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Create a rule: workloads whose attributes match get tokens of the service account
    Create(Create),
    /// Show a rule
    Retrieve {
        /// The rule: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<FederationRuleId>,
    },
    /// Change a rule; the tokens that it gave end, and workloads that still match get new ones
    Update(Update),
    /// Say what an exchange of a certificate would do, step by step; exit code 3 if there would be no token
    Test(Test),
    /// Delete a rule; its tokens end
    Delete {
        /// The rule: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<FederationRuleId>,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The project of the service account: id or name
    #[arg(long, value_name = "ID|NAME")]
    project: Reference<ProjectId>,
    /// The service account that tokens are of: id or name
    #[arg(long, value_name = "ID|NAME")]
    service_account: Reference<ServiceAccountId>,
    /// An attribute and what it must be, such as `openai.subject=worker-*`; once for each attribute.
    /// `true`, `false` and numbers are such; in quotation marks, they are texts
    #[arg(long = "match", value_name = "NAME=VALUE", required = true, value_parser = matcher)]
    matchers: Vec<(String, MatcherValue)>,
    /// A scope that its tokens have; once for each. Without any, they may do what the account's keys may
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Its name
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Create it without putting it to use
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    guard: Guard,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)
    .args(["matchers", "scopes", "all_scopes", "name", "description", "enable", "disable"])))]
pub(crate) struct Update {
    /// The rule: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<FederationRuleId>,
    /// An attribute and what it must be; together they replace all there are
    #[arg(long = "match", value_name = "NAME=VALUE", value_parser = matcher)]
    matchers: Vec<(String, MatcherValue)>,
    /// A scope that its tokens have; together they replace all there are
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "all_scopes")]
    scopes: Vec<String>,
    /// Its tokens may do what the service account's keys may
    #[arg(long)]
    all_scopes: bool,
    /// The new name; empty for none
    #[arg(long)]
    name: Option<String>,
    /// The new description; empty for none
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Put it to use
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Put it out of use: its tokens end
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    guard: Guard,
}

fn matcher(text: &str) -> Result<(String, MatcherValue), String> {
    let Some((attribute, value)) = text.split_once('=') else {
        return Err("give the attribute, `=` and what it must be".to_owned());
    };
    let read = serde_json::from_str(value);
    let value = read.unwrap_or_else(|_| MatcherValue::Text(value.to_owned()));
    Ok((attribute.trim().to_owned(), value))
}

impl FederationRuleNoun {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        block_on(async {
            let on = self.options.resolve().await?;
            self.verb.run(&on, output).await
        })
    }
}

impl FederationRuleVerb {
    async fn run(self, on: &ProviderClient, output: Output) -> CommandResult {
        let rules = on.rules();
        match self {
            Self::List {
                service_account,
                list,
            } => {
                let params = FederationRuleListParams {
                    list: list.params(),
                    service_account_id: service_account,
                };
                let entries = list.take(rules.stream(&params)).await?;
                output.list_of("federation rules of this provider", &entries)
            }
            Self::Create(create) => {
                let guard = create.guard.clone();
                let request = create.into_request(on).await?;
                let change = TrustChange::CreateFederationRule {
                    workload_identity_provider_id: on.provider.clone(),
                    rule: request.clone(),
                };
                let asked = ("create the rule?", Ask::IfUsed);
                if !guard.before(&on.client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&rules.create(&request).await?.value)
            }
            Self::Retrieve { id } => {
                let id = id.resolve(on).await?;
                output.one(&rules.retrieve(&id).await?.value)
            }
            Self::Update(update) => update.run(on, output).await,
            Self::Test(test) => test.run(on, output).await,
            Self::Delete { id, guard } => {
                let question = format!("delete {id}? its tokens end");
                let id = id.resolve(on).await?;
                let change = TrustChange::DeleteFederationRule {
                    workload_identity_provider_id: on.provider.clone(),
                    federation_rule_id: id.clone(),
                };
                let asked = (question.as_str(), Ask::Always);
                if !guard.before(&on.client, change, asked, output).await? {
                    return Ok(());
                }
                output.one(&rules.delete(&id).await?.value)
            }
        }
    }
}

impl Create {
    async fn into_request(self, on: &ProviderClient) -> CommandResult<FederationRuleCreateRequest> {
        let client = on.client.clone();
        let project = self.project.resolve(&client).await?;
        let of = ProjectClient { client, project };
        Ok(FederationRuleCreateRequest {
            service_account_id: self.service_account.resolve(&of).await?,
            project_id: of.project,
            attribute_matchers: self.matchers.into_iter().collect(),
            name: self.name,
            description: self.description,
            enabled: self.disabled.then_some(false),
            permissions: restricted(self.scopes),
        })
    }
}

impl Update {
    async fn run(self, on: &ProviderClient, output: Output) -> CommandResult {
        let question = format!("change {}?", self.id);
        let id = self.id.clone().resolve(on).await?;
        let guard = self.guard.clone();
        let request = self.into_request();
        let change = TrustChange::UpdateFederationRule {
            workload_identity_provider_id: on.provider.clone(),
            federation_rule_id: id.clone(),
            rule: request.clone(),
        };
        let asked = (question.as_str(), Ask::IfUsed);
        if !guard.before(&on.client, change, asked, output).await? {
            return Ok(());
        }
        output.one(&on.rules().update(&id, &request).await?.value)
    }

    fn into_request(self) -> FederationRuleUpdateRequest {
        let matchers: BTreeMap<_, _> = self.matchers.into_iter().collect();
        let default = self.all_scopes.then(FederationPermissions::default);
        FederationRuleUpdateRequest {
            attribute_matchers: Some(matchers).filter(|all| !all.is_empty()),
            name: self.name.map(none_if_empty),
            description: self.description.map(none_if_empty),
            enabled: switched(self.enable, self.disable),
            permissions: restricted(self.scopes).or(default),
        }
    }
}

/// No more than these scopes, if there are some.
fn restricted(scopes: Vec<String>) -> Option<FederationPermissions> {
    (!scopes.is_empty()).then(|| FederationPermissions {
        kind: FederationPermissionType::Restricted.into(),
        scopes: Some(scopes),
    })
}

impl Row for FederationRule {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "enabled",
        "matches",
        "project",
        "service account",
        "scopes",
        "created",
    ];

    fn cells(&self) -> Vec<Cell> {
        let matchers = self.attribute_matchers.iter();
        let matchers: Vec<_> = matchers
            .map(|(attribute, value)| format!("{attribute}={}", shown(value)))
            .collect();
        let scopes = self.permissions.scopes.as_ref();
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            use_cell(self.enabled),
            matchers.join(", "),
            self.project_id.to_string(),
            self.service_account_id.to_string(),
            scopes.map_or_else(|| "the account's".to_owned(), |all| all.join(" ")),
            moment(self.created_at),
        ]
    }
}

impl Row for DeletedFederationRule {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attribute_must_be_has_the_type_that_it_looks_like() {
        let text = |text: &str| MatcherValue::Text(text.to_owned());
        for (given, value) in [
            ("a=worker-*", text("worker-*")),
            ("a=x=y", text("x=y")),
            ("a=true", MatcherValue::Bool(true)),
            ("a=\"true\"", text("true")),
            ("a=7", MatcherValue::Number(7.into())),
            ("a=", text("")),
        ] {
            assert_eq!(matcher(given), Ok(("a".to_owned(), value)), "{given}");
        }
        assert!(matcher("a").is_err());
    }
}
