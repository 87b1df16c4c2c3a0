//! Workload identity providers: how certificates become attributes.

use countersign_types::{
    error::ErrorCode,
    id::WorkloadIdentityProviderId,
    workload_identity_provider::{
        AttributeTransformation, DeletedWorkloadIdentityProvider, MAX_DESCRIPTION_CHARACTERS,
        MAX_TRANSFORMATIONS, SUBJECT_ATTRIBUTE, WorkloadIdentityProvider,
        WorkloadIdentityProviderCreateRequest, WorkloadIdentityProviderUpdateRequest,
        wrong_attribute,
    },
};
use countersign_verify::policy::{Condition, PolicyError, Transformation};
use serde_json::{Map, Value};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody, check_name, check_optional_name, check_text, refuse_properties},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
};

/// What only providers of type `oidc` have.
const OF_OIDC: [&str; 3] = ["issuer", "audience", "verification"];
const WHY_NOT_OF_OIDC: &str = "a provider of type `x509` trusts the certificates that are active for the \
                               project, and no issuer. Leave it out.";

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<WorkloadIdentityProviderId>,
) -> PageAnswer<WorkloadIdentityProvider> {
    let store = app.store();
    let providers = store.list_workload_identity_providers(&admin.organization, &page.request);
    answer::page(&providers.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Body(request): Body<WorkloadIdentityProviderCreateRequest>,
) -> Answer<WorkloadIdentityProvider> {
    let mut tx = admin.write(&app).await?;
    let change = tx.create_workload_identity_provider(request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<WorkloadIdentityProviderId>,
) -> Answer<WorkloadIdentityProvider> {
    let store = app.store();
    let provider = store.retrieve_workload_identity_provider(&admin.organization, &id);
    answer::read(&provider.await?)
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(id): Path<WorkloadIdentityProviderId>,
    Body(request): Body<WorkloadIdentityProviderUpdateRequest>,
) -> Answer<WorkloadIdentityProvider> {
    let mut tx = admin.write(&app).await?;
    let change = tx.update_workload_identity_provider(&id, request).await?;
    answer::commit(tx, change).await
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<WorkloadIdentityProviderId>,
) -> Answer<DeletedWorkloadIdentityProvider> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_workload_identity_provider(&id).await?;
    answer::commit(tx, change).await
}

impl RequestBody for WorkloadIdentityProviderCreateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        if properties.get("type").and_then(Value::as_str) == Some("oidc") {
            let message = "Providers of type `oidc` are not supported: this server exchanges client \
                           certificates for tokens, and no tokens of other issuers. Send \
                           `\"type\": \"x509\"`, without `issuer`, `audience` and `verification`.";
            return Err(ApiError::value("type", message));
        }
        refuse_properties(properties, &OF_OIDC, WHY_NOT_OF_OIDC)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_name("name", &self.name)?;
        check_description(self.description.as_deref())?;
        check_transformations(&self.attribute_transformations)?;
        check_conditions(self.attribute_conditions.as_deref())
    }
}

impl RequestBody for WorkloadIdentityProviderUpdateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        refuse_properties(properties, &OF_OIDC, WHY_NOT_OF_OIDC)?;
        let fixed = ["type", "id", "object", "created_at", "updated_at"];
        let why = "it cannot be modified. Leave it out.";
        refuse_properties(properties, &fixed, why)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())?;
        check_description(self.description.as_ref().and_then(Option::as_deref))?;
        if let Some(transformations) = &self.attribute_transformations {
            check_transformations(transformations)?;
        }
        check_conditions(
            self.attribute_conditions
                .as_ref()
                .and_then(Option::as_deref),
        )
    }
}

/// A description may be empty.
pub(super) fn check_description(description: Option<&str>) -> Result<(), ApiError> {
    description.map_or(Ok(()), |text| {
        check_text("description", text, 0..=MAX_DESCRIPTION_CHARACTERS)
    })
}

/// The name of an attribute, as providers compute it and rules match it.
pub(super) fn check_attribute(param: String, attribute: &str) -> Result<(), ApiError> {
    match wrong_attribute(attribute) {
        Some(why) => {
            let message = format!("`{param}` {why}.");
            Err(ApiError::value(param, message))
        }
        None => Ok(()),
    }
}

fn check_transformations(all: &[AttributeTransformation]) -> Result<(), ApiError> {
    const PARAM: &str = "attribute_transformations";
    if all.len() > MAX_TRANSFORMATIONS {
        let message = format!(
            "`{PARAM}` has {} entries. Give {MAX_TRANSFORMATIONS} at most.",
            all.len()
        );
        return Err(ApiError::value(PARAM, message));
    }
    for (place, one) in all.iter().enumerate() {
        let param = format!("{PARAM}[{place}].attribute");
        check_attribute(param.clone(), &one.attribute)?;
        let before = all.iter().take(place);
        if before
            .into_iter()
            .any(|other| other.attribute == one.attribute)
        {
            let message = format!("`{param}` is there twice. Compute each attribute once.");
            return Err(ApiError::value(param, message));
        }
        Transformation::compile(&one.expression)
            .map_err(|error| not_compiled(format!("{PARAM}[{place}].expression"), &error))?;
    }
    if all.iter().any(|one| one.attribute == SUBJECT_ATTRIBUTE) {
        return Ok(());
    }
    let message = format!(
        "`{PARAM}` lacks `{SUBJECT_ATTRIBUTE}`, which says who a workload is. Add for example \
         `{{\"attribute\": \"{SUBJECT_ATTRIBUTE}\", \"expression\": \"assertion.subject.common_name\"}}`."
    );
    Err(ApiError::value(PARAM, message))
}

fn check_conditions(condition: Option<&str>) -> Result<(), ApiError> {
    let compiled = condition.map(Condition::compile).transpose();
    compiled
        .map(drop)
        .map_err(|error| not_compiled("attribute_conditions".to_owned(), &error))
}

fn not_compiled(param: String, error: &PolicyError) -> ApiError {
    let message = format!("The CEL {error}.");
    ApiError::new(ErrorCode::MtlsCelPolicyInvalid, message).at(param)
}
