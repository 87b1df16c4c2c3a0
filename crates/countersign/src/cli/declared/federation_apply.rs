//! Makes the changes of providers and rules.

use countersign_client::Client;
use countersign_types::{history::HistoryPoint, id::WorkloadIdentityProviderId};

use super::{
    federation_differs::is_same,
    federation_plan::{FederationPlan, FederationStep, NewRule, Of},
    server,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{note, printable},
};

/// A plan that is being applied.
pub(super) struct Applying<'a> {
    client: &'a Client,
    /// The providers that were created, in the plan's order.
    created: Vec<WorkloadIdentityProviderId>,
}

impl<'a> Applying<'a> {
    pub(super) const fn new(client: &'a Client) -> Self {
        Self {
            client,
            created: Vec::new(),
        }
    }

    /// Makes one change; gives it, on servers that number them.
    pub(super) async fn step(
        &mut self,
        step: FederationStep,
        plan: &FederationPlan,
    ) -> CommandResult<Option<HistoryPoint>> {
        match step {
            FederationStep::CreateProvider(index) => self.create_provider(index, plan).await,
            FederationStep::CreateRule(index) => match plan.create_rules.get(index) {
                Some(new) => self.create_rule(new).await,
                None => Ok(None),
            },
            step => self.change(step, plan).await,
        }
    }

    async fn change(
        &self,
        step: FederationStep,
        plan: &FederationPlan,
    ) -> CommandResult<Option<HistoryPoint>> {
        let providers = self.client.workload_identity_providers();
        let (made, done) = match step {
            FederationStep::DeleteRule(index) => {
                let Some(gone) = plan.delete_rules.get(index) else {
                    return Ok(None);
                };
                let rules = self.client.federation_rules(&gone.provider);
                let deleted = rules.delete(&gone.id).await?;
                (deleted.change(), format!("deleted the rule {}", gone.shown))
            }
            FederationStep::DeleteProvider(index) => {
                let Some((id, name)) = plan.delete_providers.get(index) else {
                    return Ok(None);
                };
                let deleted = providers.delete(id).await?;
                (deleted.change(), format!("deleted the provider {name}"))
            }
            FederationStep::UpdateProvider(index) => {
                let Some(update) = plan.update_providers.get(index) else {
                    return Ok(None);
                };
                let updated = providers.update(&update.id, &update.request).await?;
                let done = format!("changed the provider {}", update.name);
                (updated.change(), done)
            }
            FederationStep::UpdateRule(index) => {
                let Some(update) = plan.update_rules.get(index) else {
                    return Ok(None);
                };
                let rules = self.client.federation_rules(&update.provider);
                let updated = rules.update(&update.id, &update.request).await?;
                (
                    updated.change(),
                    format!("changed the rule {}", update.shown),
                )
            }
            FederationStep::CreateProvider(_) | FederationStep::CreateRule(_) => return Ok(None),
        };
        note(&printable(&done));
        Ok(made)
    }

    /// When two people apply the same file at once, both create. The list has the same order for both, so the
    /// later one deletes its own.
    async fn create_provider(
        &mut self,
        index: usize,
        plan: &FederationPlan,
    ) -> CommandResult<Option<HistoryPoint>> {
        let Some(request) = plan.create_providers.get(index) else {
            return Ok(None);
        };
        let providers = self.client.workload_identity_providers();
        let created = providers.create(request).await?;
        let all = server::providers(self.client).await?;
        let first = all.iter().find(|each| each.provider.name == request.name);
        if first.is_some_and(|first| first.provider.id != created.value.id) {
            providers.delete(&created.value.id).await?;
            return Err(twice("provider", &request.name));
        }
        note(&printable(&format!(
            "created the provider {}",
            request.name
        )));
        self.created.push(created.value.id.clone());
        Ok(created.change())
    }

    /// The same of a rule: of two that match, neither gives tokens.
    async fn create_rule(&self, new: &NewRule) -> CommandResult<Option<HistoryPoint>> {
        let provider = match &new.provider {
            Of::Known(id) => id,
            Of::New(index) => match self.created.get(*index) {
                Some(id) => id,
                None => return Err(Failure::new("a provider was not created yet")),
            },
        };
        let rules = self.client.federation_rules(provider);
        let created = rules.create(&new.request).await?;
        let all = server::rules(self.client, provider).await?;
        let first = all.iter().find(|each| is_same(&new.request, each));
        if first.is_some_and(|first| first.id != created.value.id) {
            rules.delete(&created.value.id).await?;
            return Err(twice("rule", &new.shown));
        }
        note(&printable(&format!("created the rule {}", new.shown)));
        Ok(created.change())
    }
}

fn twice(what: &str, name: &str) -> Failure {
    Failure::new(format_args!(
        "somebody else created the {what} `{}` at the same time; the duplicate was deleted",
        printable(name)
    ))
    .hint("apply again to make a new plan")
}
