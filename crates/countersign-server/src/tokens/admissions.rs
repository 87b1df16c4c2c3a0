//! Which service accounts' tokens a leaf gets: what previews compare.

use std::collections::BTreeMap;

use countersign_types::{
    id::{ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
    token::TokenError,
};
use countersign_verify::policy::LeafFacts;

use super::{
    compiled::Providers,
    exchange::{Refused, only_rule, usable},
};

/// What an exchange names: a provider, and a service account of the project.
pub(crate) type Named = (WorkloadIdentityProviderId, ServiceAccountId);

/// Whether a leaf gets tokens, for everything that an exchange could name in one project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admissions(BTreeMap<Named, Result<(), String>>);

impl Admissions {
    /// Whether it gets any.
    pub(crate) fn is_some(&self) -> bool {
        self.granted().next().is_some()
    }

    /// For what it gets tokens.
    pub(crate) fn granted(&self) -> impl Iterator<Item = &Named> {
        let granted = self.0.iter().filter(|(_, admitted)| admitted.is_ok());
        granted.map(|(named, _)| named)
    }

    /// Why it gets none for this; `None` if it does.
    pub(crate) fn why_not(&self, named: &Named) -> Option<&str> {
        match self.0.get(named) {
            Some(Ok(())) => None,
            Some(Err(why)) => Some(why),
            None => Some("its provider is deleted, or has no rule for the service account"),
        }
    }
}

impl Providers {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// What a leaf, verified at a project, gets tokens for.
    pub(crate) fn admissions(&self, project: &ProjectId, leaf: &[u8]) -> Admissions {
        let mut found = BTreeMap::new();
        let Ok(facts) = LeafFacts::from_der(leaf) else {
            return Admissions::default();
        };
        for provider in self.all() {
            let mut of_project = provider.rules.iter().map(|(rule, _)| rule);
            if !of_project.clone().any(|rule| rule.project_id == *project) {
                continue;
            }
            // Computed once for all of its rules.
            let computed = if provider.provider.enabled {
                usable(provider, &facts)
            } else {
                let why = "the provider is disabled".to_owned();
                Err((TokenError::InvalidGrant, why))
            };
            for rule in of_project
                .by_ref()
                .filter(|rule| rule.project_id == *project)
            {
                let account = &rule.service_account_id;
                let named = (provider.provider.id.clone(), account.clone());
                found.entry(named).or_insert_with(|| match &computed {
                    Ok(computed) => only_rule(provider, (account, project), computed)
                        .map(drop)
                        .map_err(|(_, why): Refused| why),
                    Err((_, why)) => Err(why.clone()),
                });
            }
        }
        Admissions(found)
    }
}
