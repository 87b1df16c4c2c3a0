//! How a provider and a rule of a server differ from what a file says.

use std::collections::BTreeMap;

use countersign_types::{
    federation_rule::{FederationRule, FederationRuleCreateRequest, FederationRuleUpdateRequest},
    id::{FederationRuleId, WorkloadIdentityProviderId},
    workload_identity_provider::{
        AttributeTransformation, WorkloadIdentityProvider, WorkloadIdentityProviderCreateRequest,
        WorkloadIdentityProviderType, WorkloadIdentityProviderUpdateRequest,
    },
};

use super::{
    difference::{Difference, matchers, shown_attributes, shown_scopes},
    wanted_providers::WantedProvider,
};

/// A provider to change.
pub(super) struct ProviderUpdate {
    pub(super) id: WorkloadIdentityProviderId,
    pub(super) name: String,
    pub(super) differences: Vec<Difference>,
    pub(super) request: WorkloadIdentityProviderUpdateRequest,
}

/// A rule to change.
pub(super) struct RuleUpdate {
    pub(super) provider: WorkloadIdentityProviderId,
    pub(super) id: FederationRuleId,
    pub(super) shown: String,
    pub(super) differences: Vec<Difference>,
    pub(super) request: FederationRuleUpdateRequest,
}

/// Whether a rule is for the service account of a request.
pub(super) fn is_of_same(wanted: &FederationRuleCreateRequest, held: &FederationRule) -> bool {
    held.project_id == wanted.project_id && held.service_account_id == wanted.service_account_id
}

/// Whether a rule is the one that a request would create.
pub(super) fn is_same(wanted: &FederationRuleCreateRequest, held: &FederationRule) -> bool {
    is_of_same(wanted, held) && wanted.name == held.name && differences(wanted, held).is_empty()
}

/// A provider as it would be created.
pub(super) fn created(wanted: &WantedProvider) -> WorkloadIdentityProviderCreateRequest {
    WorkloadIdentityProviderCreateRequest {
        kind: WorkloadIdentityProviderType::X509,
        name: wanted.name.clone().unwrap_or_else(|| wanted.key.clone()),
        description: wanted.description.clone(),
        enabled: (!wanted.enabled).then_some(false),
        attribute_transformations: transformations(&wanted.attributes),
        attribute_conditions: wanted.condition.clone(),
    }
}

fn transformations(attributes: &BTreeMap<String, String>) -> Vec<AttributeTransformation> {
    let each = attributes.iter();
    each.map(|(attribute, expression)| AttributeTransformation {
        attribute: attribute.clone(),
        expression: expression.clone(),
    })
    .collect()
}

/// How a provider is to be changed, if it is.
pub(super) fn changed(
    wanted: &WantedProvider,
    held: &WorkloadIdentityProvider,
) -> Option<ProviderUpdate> {
    let mut request = WorkloadIdentityProviderUpdateRequest::default();
    let mut differences = Vec::new();
    if let Some(name) = wanted.name.as_ref().filter(|name| **name != held.name) {
        differences.push(Difference::of("name", Some(&held.name), Some(name)));
        request.name = Some(name.clone());
    }
    if wanted.description != held.description {
        let (from, to) = (held.description.as_ref(), wanted.description.as_ref());
        differences.push(Difference::of("description", from, to));
        request.description = Some(wanted.description.clone());
    }
    let computed: BTreeMap<_, _> = held
        .attribute_transformations
        .iter()
        .map(|each| (each.attribute.clone(), each.expression.clone()))
        .collect();
    if computed != wanted.attributes {
        let (from, to) = (
            shown_attributes(&computed),
            shown_attributes(&wanted.attributes),
        );
        differences.push(Difference::ending("attributes", Some(&from), Some(&to)));
        request.attribute_transformations = Some(transformations(&wanted.attributes));
    }
    if wanted.condition != held.attribute_conditions {
        let (from, to) = (
            held.attribute_conditions.as_ref(),
            wanted.condition.as_ref(),
        );
        differences.push(Difference::ending("condition", from, to));
        request.attribute_conditions = Some(wanted.condition.clone());
    }
    if wanted.enabled != held.enabled {
        differences.push(Difference::switched(wanted.enabled));
        request.enabled = Some(wanted.enabled);
    }
    (!differences.is_empty()).then(|| ProviderUpdate {
        id: held.id.clone(),
        name: held.name.clone(),
        differences,
        request,
    })
}

/// What differs of a rule, its name and its service account apart.
fn differences(wanted: &FederationRuleCreateRequest, held: &FederationRule) -> Vec<Difference> {
    let mut all = Vec::new();
    if wanted.description != held.description {
        let (from, to) = (held.description.as_ref(), wanted.description.as_ref());
        all.push(Difference::of("description", from, to));
    }
    if wanted.attribute_matchers != held.attribute_matchers {
        let from = matchers(&held.attribute_matchers);
        let to = matchers(&wanted.attribute_matchers);
        all.push(Difference::ending("match", Some(&from), Some(&to)));
    }
    if wanted.permissions.clone().unwrap_or_default() != held.permissions {
        let from = shown_scopes(held.permissions.scopes.as_deref());
        let wanted = wanted.permissions.as_ref();
        let to = shown_scopes(wanted.and_then(|all| all.scopes.as_deref()));
        all.push(Difference::ending("scopes", Some(&from), Some(&to)));
    }
    let enabled = wanted.enabled.unwrap_or(true);
    if enabled != held.enabled {
        all.push(Difference::switched(enabled));
    }
    all
}

/// How a rule is to be changed, if it is.
pub(super) fn rule_changed(
    provider: &str,
    wanted: &FederationRuleCreateRequest,
    held: &FederationRule,
) -> Option<RuleUpdate> {
    let mut all = differences(wanted, held);
    let has = |setting: &str| all.iter().any(|each| each.setting == setting);
    let mut request = FederationRuleUpdateRequest {
        attribute_matchers: has("match").then(|| wanted.attribute_matchers.clone()),
        name: None,
        description: has("description").then(|| wanted.description.clone()),
        enabled: has("enabled").then(|| wanted.enabled.unwrap_or(true)),
        permissions: has("scopes").then(|| wanted.permissions.clone().unwrap_or_default()),
    };
    if wanted.name != held.name {
        let (from, to) = (held.name.as_ref(), wanted.name.as_ref());
        all.insert(0, Difference::of("name", from, to));
        request.name = Some(wanted.name.clone());
    }
    (!all.is_empty()).then(|| RuleUpdate {
        provider: held.workload_identity_provider_id.clone(),
        id: held.id.clone(),
        shown: called(provider, held.name.as_deref(), wanted),
        differences: all,
        request,
    })
}

/// What a rule is called: by its name or, if it has none, by what it matches.
pub(super) fn called(
    provider: &str,
    name: Option<&str>,
    rule: &FederationRuleCreateRequest,
) -> String {
    let matched = || matchers(&rule.attribute_matchers);
    let name = name.map_or_else(matched, ToOwned::to_owned);
    format!("{provider}: {name}")
}
