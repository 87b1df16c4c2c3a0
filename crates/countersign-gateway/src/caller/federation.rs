//! What of an organization decides whether a token of it is believed.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    compact_jws::PublicKey,
    id::{
        CertificateId, FederationRuleId, ProjectId, ServiceAccountId, TokenKeyId,
        WorkloadIdentityProviderId,
    },
    token::{BundleFederationRule, TokenClaims},
};

/// The rules and public keys of an organization.
#[derive(Debug, Default)]
pub(crate) struct Federation {
    keys: HashMap<TokenKeyId, (PublicKey, Option<UnixSeconds>)>,
    rules: HashMap<FederationRuleId, Admitting>,
    /// The service accounts for which each provider has a rule, with their projects.
    providers: HashMap<WorkloadIdentityProviderId, HashMap<ServiceAccountId, ProjectId>>,
}

/// A rule whose project is not archived, and the anchors that are enforced there.
#[derive(Debug)]
struct Admitting {
    rule: BundleFederationRule,
    anchors: Vec<CertificateId>,
}

impl Federation {
    /// Of an organization as it is enforced; nothing where it has no rules.
    pub(super) fn of(bundle: &OrganizationBundle) -> Self {
        let Some(federation) = &bundle.federation else {
            return Self::default();
        };
        let projects: HashMap<_, _> = bundle
            .projects
            .iter()
            .filter(|project| !project.archived)
            .map(|project| (&project.id, &project.active))
            .collect();
        let mut providers: HashMap<_, HashMap<_, _>> = HashMap::new();
        let rules = federation.rules.iter().filter_map(|rule| {
            let at_project = projects.get(&rule.project)?;
            let accounts = providers.entry(rule.provider.clone()).or_default();
            accounts.insert(rule.service_account.clone(), rule.project.clone());
            let anchors = bundle.active.iter().chain(*at_project).cloned();
            let admitting = Admitting {
                rule: rule.clone(),
                anchors: anchors.collect(),
            };
            Some((rule.id.clone(), admitting))
        });
        let rules = rules.collect();
        let keys = federation.keys.iter();
        Self {
            rules,
            providers,
            keys: keys
                .map(|key| (key.id.clone(), (key.public_key, key.expires_at)))
                .collect(),
        }
    }

    /// The public key of this id, if tokens that it signed may live.
    pub(crate) fn key(&self, id: &TokenKeyId, now: UnixSeconds) -> Option<&PublicKey> {
        let (key, expires_at) = self.keys.get(id)?;
        expires_at.is_none_or(|end| now < end).then_some(key)
    }

    /// The providers that have a rule.
    pub(super) fn providers(&self) -> impl Iterator<Item = &WorkloadIdentityProviderId> {
        self.providers.keys()
    }

    pub(super) fn has(&self, provider: &WorkloadIdentityProviderId) -> bool {
        self.providers.contains_key(provider)
    }

    /// The project of a service account, if a provider has a rule for it.
    pub(super) fn project(
        &self,
        provider: &WorkloadIdentityProviderId,
        account: &ServiceAccountId,
    ) -> Option<&ProjectId> {
        self.providers.get(provider)?.get(account)
    }

    /// Every public key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&TokenKeyId, &PublicKey)> {
        self.keys.iter().map(|(id, (key, _))| (id, key))
    }

    /// Whether what admitted a workload would admit it still: the rule as it was then, the account and
    /// project that it is about, and the anchor.
    pub(crate) fn admits(&self, claims: &TokenClaims) -> bool {
        self.rules.get(&claims.rule).is_some_and(|admitting| {
            let rule = &admitting.rule;
            rule.admission == claims.admission
                && rule.provider == claims.provider
                && rule.service_account == claims.sub
                && rule.project == claims.project
                && admitting.anchors.contains(&claims.certificate)
        })
    }
}
