//! Federation rules of a workload identity provider:
//! `/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules`.

use countersign_types::{
    federation_rule::{
        DeletedFederationRule, FederationRule, FederationRuleCreateRequest,
        FederationRuleUpdateRequest,
    },
    federation_test::{FederationTest, FederationTestRequest},
    id::{FederationRuleId, ServiceAccountId, WorkloadIdentityProviderId},
    page::Page,
};

use crate::{
    Client, Error, ItemStream, ListParams, Received, Response, request::Request,
    workload_identity_providers::PATH,
};

/// The federation rules of a provider: see [`Client::federation_rules`].
#[derive(Debug, Clone)]
pub struct FederationRules {
    client: Client,
    provider: WorkloadIdentityProviderId,
}

/// Which rules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FederationRuleListParams {
    /// Which page.
    pub list: ListParams,
    /// Only the rules for this service account.
    pub service_account_id: Option<ServiceAccountId>,
}

impl FederationRules {
    /// One page of the provider's rules.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &FederationRuleListParams,
    ) -> Result<Response<Page<Received<FederationRule>>>, Error> {
        let after = params.list.after.as_deref();
        self.client.page(self.listed(params), after).await
    }

    /// All of the provider's rules.
    pub fn stream(
        &self,
        params: &FederationRuleListParams,
    ) -> ItemStream<Received<FederationRule>> {
        let after = params.list.after.clone();
        self.client.pages(self.listed(params), after)
    }

    /// Creates a rule.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        rule: &FederationRuleCreateRequest,
    ) -> Result<Response<Received<FederationRule>>, Error> {
        let request = Request::post(&self.all()).json(rule)?;
        self.client.send(request).await
    }

    /// One rule.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &FederationRuleId,
    ) -> Result<Response<Received<FederationRule>>, Error> {
        self.client.send(Request::get(&self.one(id))).await
    }

    /// Changes a rule; what is absent stays as it is.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &FederationRuleId,
        change: &FederationRuleUpdateRequest,
    ) -> Result<Response<Received<FederationRule>>, Error> {
        let request = Request::post(&self.one(id)).json(change)?;
        self.client.send(request).await
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &FederationRuleId,
    ) -> Result<Response<Received<DeletedFederationRule>>, Error> {
        self.client.send(Request::delete(&self.one(id))).await
    }

    /// What an exchange of a certificate would do, step by step (an extension).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn test(
        &self,
        exchange: &FederationTestRequest,
    ) -> Result<Response<Received<FederationTest>>, Error> {
        let [organization, providers, provider, rules] = self.all();
        let path = [organization, providers, provider, rules, "test"];
        self.client.send(Request::post(&path).json(exchange)?).await
    }

    fn listed(&self, params: &FederationRuleListParams) -> Request {
        let account = params.service_account_id.as_ref();
        params
            .list
            .apply(Request::get(&self.all()))
            .query("service_account_id", account)
    }

    fn all(&self) -> [&str; 4] {
        let [organization, providers] = PATH;
        [
            organization,
            providers,
            self.provider.as_str(),
            "federation_rules",
        ]
    }

    fn one<'a>(&'a self, id: &'a FederationRuleId) -> [&'a str; 5] {
        let [organization, providers, provider, rules] = self.all();
        [organization, providers, provider, rules, id.as_str()]
    }
}

impl Client {
    /// A workload identity provider's federation rules.
    #[must_use]
    pub fn federation_rules(&self, provider: &WorkloadIdentityProviderId) -> FederationRules {
        FederationRules {
            client: self.clone(),
            provider: provider.clone(),
        }
    }
}
