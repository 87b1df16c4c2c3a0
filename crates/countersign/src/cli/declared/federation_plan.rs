//! What of a server's workload identity providers and federation rules differs from a file.

use std::collections::HashMap;

use countersign_client::Client;
use countersign_types::{
    federation_rule::{
        FederationPermissionType, FederationPermissions, FederationRule,
        FederationRuleCreateRequest,
    },
    id::{FederationRuleId, WorkloadIdentityProviderId},
    preview::TrustChange,
    workload_identity_provider::WorkloadIdentityProviderCreateRequest,
};

use super::{
    accounts::Accounts,
    difference::matchers,
    federation_differs::{
        ProviderUpdate, RuleUpdate, called, changed, created, is_of_same, is_same, rule_changed,
    },
    file::Declared,
    projects::Projects,
    server::{self, KnownProvider},
    wanted_providers::{WantedProvider, WantedRule},
};
use crate::failure::{CommandResult, Failure};

/// The changes of providers and rules, by kind. What goes or is changed does so before trust changes, and what
/// comes is created after it.
#[derive(Default)]
pub(super) struct FederationPlan {
    /// Rules to delete: those that the file has for another service account and, when asked for, those that
    /// it does not name.
    pub(super) delete_rules: Vec<GoneRule>,
    /// Providers to delete, with their rules.
    pub(super) delete_providers: Vec<(WorkloadIdentityProviderId, String)>,
    pub(super) update_providers: Vec<ProviderUpdate>,
    pub(super) update_rules: Vec<RuleUpdate>,
    pub(super) create_providers: Vec<WorkloadIdentityProviderCreateRequest>,
    pub(super) create_rules: Vec<NewRule>,
    /// The providers that the file does not name and that are kept.
    pub(super) left: Vec<String>,
    /// The rules of its providers that the file does not name and that are kept.
    pub(super) left_rules: Vec<String>,
}

/// One change of a provider or a rule: an index among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FederationStep {
    DeleteRule(usize),
    DeleteProvider(usize),
    UpdateProvider(usize),
    UpdateRule(usize),
    CreateProvider(usize),
    CreateRule(usize),
}

/// A rule to delete.
pub(super) struct GoneRule {
    pub(super) provider: WorkloadIdentityProviderId,
    pub(super) id: FederationRuleId,
    /// What it is called, with its provider.
    pub(super) shown: String,
}

/// A rule to create.
pub(super) struct NewRule {
    pub(super) provider: Of,
    pub(super) shown: String,
    /// The service account, as the file names it.
    pub(super) account: String,
    pub(super) request: FederationRuleCreateRequest,
}

/// The provider of a new rule.
pub(super) enum Of {
    Known(WorkloadIdentityProviderId),
    /// One that is created before, as an index.
    New(usize),
}

impl FederationPlan {
    /// Compares the file's providers and rules with the server's.
    pub(super) async fn compare<'a>(
        client: &'a Client,
        declared: &Declared,
        projects: &mut Projects<'a>,
        prune: bool,
    ) -> CommandResult<Self> {
        let Some(wanted) = &declared.providers else {
            return Ok(Self::default());
        };
        if !server::has_workload_identity(client).await? {
            return match wanted.first() {
                None => Ok(Self::default()),
                Some(first) => Err(Failure::new(format_args!(
                    "{}: this server does not support workload identity providers of type `x509`",
                    first.line
                ))
                .hint("only Countersign servers support them; leave them out for this one")),
            };
        }
        let known = server::providers(client).await?;
        let mut comparing = Comparing {
            plan: Self::default(),
            accounts: Accounts::new(client),
            projects,
            prune,
        };
        let mut named = Vec::new();
        for wanted in wanted {
            let held = of_file(&known, wanted)?;
            if let Some(held) = held {
                if named.contains(&&held.provider.id) {
                    return Err(Failure::new(format_args!(
                        "{}: another section is about the same provider",
                        wanted.line
                    ))
                    .hint("keep one of them"));
                }
                named.push(&held.provider.id);
            }
            comparing.provider(wanted, held).await?;
        }
        let mut plan = comparing.plan;
        for gone in known
            .iter()
            .filter(|known| !named.contains(&&known.provider.id))
        {
            let (id, name) = (&gone.provider.id, &gone.provider.name);
            if prune {
                plan.delete_providers.push((id.clone(), name.clone()));
            } else {
                plan.left.push(name.clone());
            }
        }
        Ok(plan)
    }
}

impl FederationPlan {
    /// What is done before trust changes. Rules go before others take their place, so that there are never two
    /// that match.
    pub(super) fn before(&self) -> Vec<FederationStep> {
        let rules = (0..self.delete_rules.len()).map(FederationStep::DeleteRule);
        let providers = (0..self.delete_providers.len()).map(FederationStep::DeleteProvider);
        let changed = (0..self.update_providers.len()).map(FederationStep::UpdateProvider);
        let changed_rules = (0..self.update_rules.len()).map(FederationStep::UpdateRule);
        let gone = rules.chain(providers);
        gone.chain(changed).chain(changed_rules).collect()
    }

    /// What is created after it.
    pub(super) fn after(&self) -> Vec<FederationStep> {
        let providers = (0..self.create_providers.len()).map(FederationStep::CreateProvider);
        let rules = (0..self.create_rules.len()).map(FederationStep::CreateRule);
        providers.chain(rules).collect()
    }
}

/// A step as a change that the server can be asked about. A provider that is new has no id that its rules could
/// name; it takes tokens from nobody.
pub(super) fn trial(step: FederationStep, plan: &FederationPlan) -> Option<TrustChange> {
    Some(match step {
        FederationStep::DeleteRule(index) => {
            let gone = plan.delete_rules.get(index)?;
            TrustChange::DeleteFederationRule {
                workload_identity_provider_id: gone.provider.clone(),
                federation_rule_id: gone.id.clone(),
            }
        }
        FederationStep::DeleteProvider(index) => TrustChange::DeleteWorkloadIdentityProvider {
            workload_identity_provider_id: plan.delete_providers.get(index)?.0.clone(),
        },
        FederationStep::UpdateProvider(index) => {
            let update = plan.update_providers.get(index)?;
            TrustChange::UpdateWorkloadIdentityProvider {
                workload_identity_provider_id: update.id.clone(),
                provider: update.request.clone(),
            }
        }
        FederationStep::UpdateRule(index) => {
            let update = plan.update_rules.get(index)?;
            TrustChange::UpdateFederationRule {
                workload_identity_provider_id: update.provider.clone(),
                federation_rule_id: update.id.clone(),
                rule: update.request.clone(),
            }
        }
        FederationStep::CreateRule(index) => {
            let new = plan.create_rules.get(index)?;
            let Of::Known(provider) = &new.provider else {
                return None;
            };
            TrustChange::CreateFederationRule {
                workload_identity_provider_id: provider.clone(),
                rule: new.request.clone(),
            }
        }
        FederationStep::CreateProvider(_) => return None,
    })
}

/// The server's counterpart of a provider of the file.
fn of_file<'k>(
    known: &'k [KnownProvider],
    wanted: &WantedProvider,
) -> CommandResult<Option<&'k KnownProvider>> {
    let (key, line) = (wanted.key.as_str(), &wanted.line);
    if let Some(same) = known.iter().find(|each| each.provider.id.as_str() == key) {
        return Ok(Some(same));
    }
    if key.parse::<WorkloadIdentityProviderId>().is_ok() {
        let message = format!("{line}: there is no workload identity provider `{key}`");
        return Err(Failure::new(message).hint(
            "call the section by the provider's name, which need not be there yet, or remove it",
        ));
    }
    let named = known.iter().filter(|each| each.provider.name == key);
    match named.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let ids: Vec<_> = several
                .iter()
                .map(|each| each.provider.id.as_str())
                .collect();
            let message = format!(
                "{line}: {} workload identity providers are named `{key}`: {}",
                ids.len(),
                ids.join(", ")
            );
            Err(Failure::new(message).hint("call the section by the id of the one that is meant"))
        }
    }
}

/// A comparison under way.
struct Comparing<'c, 'p> {
    plan: FederationPlan,
    accounts: Accounts<'c>,
    projects: &'p mut Projects<'c>,
    prune: bool,
}

impl Comparing<'_, '_> {
    async fn provider(
        &mut self,
        wanted: &WantedProvider,
        held: Option<&KnownProvider>,
    ) -> CommandResult {
        let of = match held {
            Some(held) => {
                self.plan
                    .update_providers
                    .extend(changed(wanted, &held.provider));
                Of::Known(held.provider.id.clone())
            }
            None => {
                self.plan.create_providers.push(created(wanted));
                Of::New(self.plan.create_providers.len() - 1)
            }
        };
        let mut rules = Vec::new();
        for rule in &wanted.rules {
            let request = self.target(rule).await?;
            rules.push((rule.service_account.clone(), request));
        }
        let held_rules = held.map_or(&[][..], |held| &held.rules);
        let name = held.map_or(&wanted.key, |held| &held.provider.name);
        self.rules((&of, name), &rules, held_rules);
        Ok(())
    }

    /// A rule as it would be created.
    async fn target(&mut self, wanted: &WantedRule) -> CommandResult<FederationRuleCreateRequest> {
        let project = self.projects.id(&wanted.line, &wanted.project).await?;
        let account = self.accounts.id(wanted, &project).await?;
        Ok(FederationRuleCreateRequest {
            attribute_matchers: wanted.matchers.clone(),
            project_id: project,
            service_account_id: account,
            name: wanted.name.clone(),
            description: wanted.description.clone(),
            enabled: (!wanted.enabled).then_some(false),
            permissions: wanted.scopes.clone().map(|scopes| FederationPermissions {
                kind: FederationPermissionType::Restricted.into(),
                scopes: Some(scopes),
            }),
        })
    }

    fn rules(
        &mut self,
        (of, provider): (&Of, &str),
        wanted: &[(String, FederationRuleCreateRequest)],
        held: &[FederationRule],
    ) {
        let pairs = paired(wanted, held);
        for (place, (account, request)) in wanted.iter().enumerate() {
            let same = pairs.get(&place).and_then(|index| held.get(*index));
            let Some(same) = same else {
                // A rule stays with its service account: under its name, it is replaced.
                let goes = &self.plan.delete_rules;
                let mut rest = held.iter().enumerate();
                let replaced = rest.find(|(index, rule)| {
                    request.name.is_some()
                        && rule.name == request.name
                        && !pairs.values().any(|paired| paired == index)
                        && !goes.iter().any(|gone| gone.id == rule.id)
                });
                if let Some((_, rule)) = replaced {
                    self.plan.delete_rules.push(gone(provider, rule));
                }
                self.plan.create_rules.push(NewRule {
                    provider: match of {
                        Of::Known(id) => Of::Known(id.clone()),
                        Of::New(index) => Of::New(*index),
                    },
                    shown: called(provider, request.name.as_deref(), request),
                    account: account.clone(),
                    request: request.clone(),
                });
                continue;
            };
            self.plan
                .update_rules
                .extend(rule_changed(provider, request, same));
        }
        let rest = held.iter().enumerate();
        for (_, rule) in rest.filter(|(index, _)| !pairs.values().any(|paired| paired == index)) {
            let gone = gone(provider, rule);
            if self.plan.delete_rules.iter().any(|each| each.id == gone.id) {
                continue;
            }
            if self.prune {
                self.plan.delete_rules.push(gone);
            } else {
                self.plan.left_rules.push(gone.shown);
            }
        }
    }
}

/// Finds the rules of a file among those of its provider: the one that is the same in everything, or else has
/// its name and service account, or else its service account and matches the same. Each is found once.
fn paired(
    wanted: &[(String, FederationRuleCreateRequest)],
    held: &[FederationRule],
) -> HashMap<usize, usize> {
    type Fits = fn(&FederationRuleCreateRequest, &FederationRule) -> bool;
    let passes: [Fits; 3] = [
        is_same,
        |wanted, held| {
            is_of_same(wanted, held) && wanted.name.is_some() && wanted.name == held.name
        },
        |wanted, held| {
            is_of_same(wanted, held) && wanted.attribute_matchers == held.attribute_matchers
        },
    ];
    let mut pairs = HashMap::new();
    for fits in passes {
        for (place, (_, wanted)) in wanted.iter().enumerate() {
            if pairs.contains_key(&place) {
                continue;
            }
            let mut free = held.iter().enumerate();
            let found = free.find(|(index, held)| {
                !pairs.values().any(|paired| paired == index) && fits(wanted, held)
            });
            if let Some((index, _)) = found {
                pairs.insert(place, index);
            }
        }
    }
    pairs
}

fn gone(provider: &str, rule: &FederationRule) -> GoneRule {
    let matched = || matchers(&rule.attribute_matchers);
    let name = rule.name.clone().unwrap_or_else(matched);
    GoneRule {
        provider: rule.workload_identity_provider_id.clone(),
        id: rule.id.clone(),
        shown: format!("{provider}: {name}"),
    }
}
