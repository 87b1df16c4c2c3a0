//! Federation rules of a workload identity provider: which attributes get tokens of which service
//! account.

use std::collections::BTreeMap;

use countersign_types::{
    federation_rule::{
        DeletedFederationRule, FederationPermissionType, FederationPermissions, FederationRule,
        FederationRuleCreateRequest, FederationRuleUpdateRequest, MAX_MATCHERS, MAX_SCOPES,
        MatcherValue, wrong_matcher, wrong_scope,
    },
    federation_test::{FederationTest, FederationTestRequest},
    id::{FederationRuleId, ServiceAccountId, WorkloadIdentityProviderId},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody, check_optional_name, refuse_properties},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
    query::Query,
    token_exchange::check_chain,
    workload_identity_providers::{check_attribute, check_description},
};
use crate::tokens;

#[derive(Deserialize, IntoParams)]
pub(super) struct RuleQuery {
    /// Only the rules for this service account.
    #[param(nullable = false)]
    service_account_id: Option<String>,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Query(query): Query<RuleQuery>,
    page: Paging<FederationRuleId>,
) -> PageAnswer<FederationRule> {
    let account = query.service_account_id.map(|id| id.parse());
    // Nothing can have an id that is none: the list is empty, as for one that nothing has.
    let account: Option<ServiceAccountId> =
        account.map(|parsed| parsed.unwrap_or_else(|_| ServiceAccountId::opaque("")));
    let store = app.store();
    let organization = &admin.organization;
    let rules =
        store.list_federation_rules(organization, &provider, account.as_ref(), &page.request);
    answer::page(&rules.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Body(request): Body<FederationRuleCreateRequest>,
) -> Answer<FederationRule> {
    let mut tx = admin.write(&app).await?;
    let change = tx.create_federation_rule(&provider, request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Path(id): Path<FederationRuleId>,
) -> Answer<FederationRule> {
    let store = app.store();
    let rule = store.retrieve_federation_rule(&admin.organization, &provider, &id);
    answer::read(&rule.await?)
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Path(id): Path<FederationRuleId>,
    Body(request): Body<FederationRuleUpdateRequest>,
) -> Answer<FederationRule> {
    let mut tx = admin.write(&app).await?;
    let change = tx.update_federation_rule(&provider, &id, request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Path(id): Path<FederationRuleId>,
) -> Answer<DeletedFederationRule> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_federation_rule(&provider, &id).await?;
    answer::commit(tx, change).await
}

/// Tries an exchange, and shows its steps.
pub(super) async fn test(
    admin: Admin,
    app: App,
    Path(provider): Path<WorkloadIdentityProviderId>,
    Body(request): Body<FederationTestRequest>,
) -> Answer<FederationTest> {
    let (federations, store) = (app.federations(), app.store());
    let tested = tokens::test(federations, store, &admin.organization, &provider, request);
    answer::read(&tested.await?)
}

impl RequestBody for FederationTestRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        if self.chain.is_empty() {
            let message = "`chain` is empty. Send the chain that the workload presents.";
            return Err(ApiError::value("chain", message));
        }
        check_chain(&self.chain)
    }
}

impl RequestBody for FederationRuleCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())?;
        check_description(self.description.as_deref())?;
        check_matchers(&self.attribute_matchers)?;
        self.permissions.as_ref().map_or(Ok(()), check_permissions)
    }
}

impl RequestBody for FederationRuleUpdateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let target = ["project_id", "service_account_id"];
        let why =
            "a rule stays with its service account. Create another rule, and delete this one.";
        refuse_properties(properties, &target, why)?;
        let fixed = [
            "id",
            "object",
            "created_at",
            "updated_at",
            "workload_identity_provider_id",
        ];
        refuse_properties(properties, &fixed, "it cannot be modified. Leave it out.")
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref().and_then(Option::as_ref))?;
        check_description(self.description.as_ref().and_then(Option::as_deref))?;
        if let Some(matchers) = &self.attribute_matchers {
            check_matchers(matchers)?;
        }
        self.permissions.as_ref().map_or(Ok(()), check_permissions)
    }
}

fn check_matchers(matchers: &BTreeMap<String, MatcherValue>) -> Result<(), ApiError> {
    const PARAM: &str = "attribute_matchers";
    if matchers.is_empty() || matchers.len() > MAX_MATCHERS {
        let message = format!(
            "`{PARAM}` has {} entries. Give 1 to {MAX_MATCHERS}: without any, every workload would \
             match.",
            matchers.len()
        );
        return Err(ApiError::value(PARAM, message));
    }
    for (attribute, value) in matchers {
        check_attribute(format!("{PARAM}.{attribute}"), attribute)?;
        if let MatcherValue::Text(text) = value {
            check_as(format!("{PARAM}.{attribute}"), wrong_matcher(text))?;
        }
    }
    Ok(())
}

fn check_permissions(permissions: &FederationPermissions) -> Result<(), ApiError> {
    const SCOPES: &str = "permissions.scopes";
    let scopes = match (permissions.kind.known(), &permissions.scopes) {
        (Some(FederationPermissionType::ServiceAccountDefault), None) => return Ok(()),
        (Some(FederationPermissionType::ServiceAccountDefault), Some(_)) => {
            let message =
                "`permissions.scopes` goes with `\"type\": \"restricted\"`. Leave it out.";
            return Err(ApiError::value(SCOPES, message));
        }
        (Some(FederationPermissionType::Restricted), Some(scopes)) => scopes,
        (Some(FederationPermissionType::Restricted), None) => {
            let message = "`permissions.scopes` is missing. Send it, or \
                           `\"type\": \"service_account_default\"`.";
            return Err(ApiError::value(SCOPES, message));
        }
        (None, _) => {
            let message = "`permissions.type` must be `service_account_default` or `restricted`.";
            return Err(ApiError::value("permissions.type", message));
        }
    };
    if scopes.is_empty() || scopes.len() > MAX_SCOPES {
        let message = format!(
            "`{SCOPES}` has {} entries. Give 1 to {MAX_SCOPES}.",
            scopes.len()
        );
        return Err(ApiError::value(SCOPES, message));
    }
    for (place, scope) in scopes.iter().enumerate() {
        check_as(format!("{SCOPES}[{place}]"), wrong_scope(scope))?;
        if scopes.iter().take(place).any(|other| other == scope) {
            let message = format!("`{SCOPES}[{place}]` is there twice. Name each scope once.");
            return Err(ApiError::value(format!("{SCOPES}[{place}]"), message));
        }
    }
    Ok(())
}

/// A text that must be as it is said; the rest of the sentence says why it is not.
fn check_as(param: String, wrong: Option<String>) -> Result<(), ApiError> {
    match wrong {
        Some(why) => {
            let message = format!("`{param}` {why}.");
            Err(ApiError::value(param, message))
        }
        None => Ok(()),
    }
}
