//! Workload identity providers: how what a verified certificate says becomes the attributes that
//! federation rules match (docs/specification.md, section 6).

use serde::{Deserialize, Serialize};
use serde_with::{rust::double_option, skip_serializing_none};

use crate::{
    UnixSeconds, id::WorkloadIdentityProviderId, not_null::not_null, or_unknown::OrUnknown,
    page::Listed,
};

/// The most attributes that a provider may compute.
pub const MAX_TRANSFORMATIONS: usize = 20;
/// The most characters of an attribute's name.
pub const MAX_ATTRIBUTE_CHARACTERS: usize = 256;
/// The most characters of a description.
pub const MAX_DESCRIPTION_CHARACTERS: usize = 1024;
/// What the name of every attribute begins with.
pub const ATTRIBUTE_PREFIX: &str = "openai.";
/// The attribute that every provider computes: who the workload is.
pub const SUBJECT_ATTRIBUTE: &str = "openai.subject";

/// The object type `organization.workload_identity_provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkloadIdentityProviderObject {
    /// `organization.workload_identity_provider`
    #[serde(rename = "organization.workload_identity_provider")]
    Provider,
}

/// Why a text cannot be the name of an attribute, as the rest of a sentence about it; none if it can.
#[must_use]
pub fn wrong_attribute(attribute: &str) -> Option<String> {
    let length = attribute.chars().count();
    if length > MAX_ATTRIBUTE_CHARACTERS || attribute.chars().any(char::is_control) {
        return Some(format!(
            "is not the name of an attribute: give 1 to {MAX_ATTRIBUTE_CHARACTERS} characters, and no \
             control characters"
        ));
    }
    let rest = attribute.strip_prefix(ATTRIBUTE_PREFIX);
    rest.is_none_or(str::is_empty).then(|| {
        format!(
            "is not the name of an attribute: it must begin with `{ATTRIBUTE_PREFIX}`, as \
             `{SUBJECT_ATTRIBUTE}` does"
        )
    })
}

/// What workloads prove who they are with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WorkloadIdentityProviderType {
    /// A client certificate under an anchor that is active for the project.
    X509,
}

/// One attribute, and how it is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttributeTransformation {
    /// Its name, which begins with `openai.`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub attribute: String,
    /// A CEL expression over `assertion.subject` and `assertion.subject_alt_names` that yields a
    /// string, a number or a bool.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 4096))]
    pub expression: String,
}

/// A workload identity provider.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadIdentityProvider {
    /// Always `organization.workload_identity_provider`.
    #[cfg_attr(feature = "openapi", schema(value_type = WorkloadIdentityProviderObject))]
    pub object: OrUnknown<WorkloadIdentityProviderObject>,
    /// Its id, `idp_…`.
    pub id: WorkloadIdentityProviderId,
    /// Always `x509`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = WorkloadIdentityProviderType))]
    pub kind: OrUnknown<WorkloadIdentityProviderType>,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub description: Option<String>,
    /// Whether certificates are exchanged for tokens by it.
    pub enabled: bool,
    /// The attributes that it computes, `openai.subject` among them.
    pub attribute_transformations: Vec<AttributeTransformation>,
    /// What a certificate must fulfil besides, in CEL; absent for nothing (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub attribute_conditions: Option<String>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was changed last, in Unix seconds.
    pub updated_at: UnixSeconds,
}

impl Listed for WorkloadIdentityProvider {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates a workload identity provider.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadIdentityProviderCreateRequest {
    /// `x509`.
    #[serde(rename = "type")]
    pub kind: WorkloadIdentityProviderType,
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// What it is for: at most 1,024 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub description: Option<String>,
    /// Whether it is in use at once; without it, it is.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enabled: Option<bool>,
    /// The attributes that it computes: at most 20, each once, `openai.subject` among them.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 20))]
    pub attribute_transformations: Vec<AttributeTransformation>,
    /// What a certificate must fulfil besides: a CEL expression that yields a bool, of at most 4,096
    /// bytes (an extension).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 4096))]
    pub attribute_conditions: Option<String>,
}

/// Changes a workload identity provider; what is absent stays as it is.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadIdentityProviderUpdateRequest {
    /// The new name.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 256)
    )]
    pub name: Option<String>,
    /// The new description; null for none.
    #[serde(default, with = "double_option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 1024))]
    pub description: Option<Option<String>>,
    /// Whether it is in use. One that is not ends the tokens that it gave.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enabled: Option<bool>,
    /// All attributes that it computes from now on.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_items = 1, max_items = 20)
    )]
    pub attribute_transformations: Option<Vec<AttributeTransformation>>,
    /// What a certificate must fulfil besides; null for nothing (an extension).
    #[serde(default, with = "double_option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 4096))]
    pub attribute_conditions: Option<Option<String>>,
}

/// The response to deleting a workload identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedWorkloadIdentityProvider {
    /// Always `organization.workload_identity_provider.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedWorkloadIdentityProviderObject))]
    pub object: OrUnknown<DeletedWorkloadIdentityProviderObject>,
    /// Its id.
    pub id: WorkloadIdentityProviderId,
    /// Always true.
    pub deleted: bool,
}

/// The object type `organization.workload_identity_provider.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedWorkloadIdentityProviderObject {
    /// `organization.workload_identity_provider.deleted`
    #[serde(rename = "organization.workload_identity_provider.deleted")]
    Deleted,
}
