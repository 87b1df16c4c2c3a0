//! Projects and their service accounts.

use serde::{Deserialize, Deserializer, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    id::{ApiKeyId, ProjectId, ServiceAccountId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
    secret::Secret,
};

/// The object type `organization.project`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProjectObject {
    /// `organization.project`
    #[serde(rename = "organization.project")]
    Project,
}

/// A project.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Its id, `proj_…`.
    pub id: ProjectId,
    /// Always `organization.project`.
    #[cfg_attr(feature = "openapi", schema(value_type = ProjectObject))]
    pub object: OrUnknown<ProjectObject>,
    /// Its name.
    #[serialize_always]
    pub name: Option<String>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was archived, in Unix seconds, or null.
    #[serialize_always]
    pub archived_at: Option<UnixSeconds>,
    /// `active` or `archived`.
    #[serialize_always]
    pub status: Option<String>,
    /// An id from another system.
    pub external_key_id: Option<String>,
    /// Where its data is stored, if that was chosen.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Residency>))]
    pub residency: Option<OrUnknown<Residency>>,
}

impl Listed for Project {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Where a project's data is stored. Countersign keeps the value and does nothing with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(
    missing_docs,
    reason = "the names are the reference's own and say all there is"
)]
pub enum Residency {
    Global,
    UsStorageProcessing,
    EuStorageProcessing,
    JpStorage,
    KrStorage,
    CaStorage,
    SgStorage,
    InStorage,
    AuStorage,
    GbStorage,
    AeStorage,
    AeStorageProcessing,
}

/// Creates a project.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectCreateRequest {
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// Where its data is stored.
    pub residency: Option<Residency>,
    /// An id from another system.
    pub external_key_id: Option<String>,
}

/// Changes a project; what is absent or null stays as it is.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUpdateRequest {
    /// The new name.
    pub name: Option<String>,
    /// The new id from another system.
    pub external_key_id: Option<String>,
}

/// The object type `organization.project.service_account`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ServiceAccountObject {
    /// `organization.project.service_account`
    #[serde(rename = "organization.project.service_account")]
    ServiceAccount,
}

/// A service account's role in its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServiceAccountRole {
    /// `owner`
    Owner,
    /// `member`
    #[default]
    Member,
    /// `none`
    None,
}

impl ServiceAccountRole {
    /// The name of the role in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::None => "none",
        }
    }
}

/// A service account of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccount {
    /// Always `organization.project.service_account`.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountObject))]
    pub object: OrUnknown<ServiceAccountObject>,
    /// Its id, `svc_acct_…`.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountRole))]
    pub role: OrUnknown<ServiceAccountRole>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
}

impl Listed for ServiceAccount {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates a service account and, unless asked not to, its first key.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountCreateRequest {
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// If true, no key is created.
    pub create_service_account_only: Option<bool>,
}

/// A new service account, with the value of its key, which is shown only once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountCreated {
    /// Always `organization.project.service_account`.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountObject))]
    pub object: OrUnknown<ServiceAccountObject>,
    /// Its id, `svc_acct_…`.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountRole))]
    pub role: OrUnknown<ServiceAccountRole>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its first key, or null if none was requested.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub api_key: Option<ServiceAccountApiKey>,
}

/// Changes a service account; what is absent stays as it is.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountUpdateRequest {
    /// The new name.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
    /// The new role.
    #[serde(default, deserialize_with = "assignable")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, value_type = Option<AssignableRole>)
    )]
    pub role: Option<ServiceAccountRole>,
}

/// A role that a service account can be given. `none` is only the role of one created without a
/// role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AssignableRole {
    /// `member`
    Member,
    /// `owner`
    Owner,
}

fn assignable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ServiceAccountRole>, D::Error> {
    AssignableRole::deserialize(deserializer).map(|role| match role {
        AssignableRole::Member => Some(ServiceAccountRole::Member),
        AssignableRole::Owner => Some(ServiceAccountRole::Owner),
    })
}

/// Creates another key for a service account.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountApiKeyCreateRequest {
    /// Its name; by default the name of the service account.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
    /// Accepted as in the reference and kept in the audit event; project keys have no scopes.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub scopes: Option<Vec<String>>,
}

/// The object type `organization.project.service_account.api_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ServiceAccountApiKeyObject {
    /// `organization.project.service_account.api_key`
    #[serde(rename = "organization.project.service_account.api_key")]
    ApiKey,
}

/// A new key of a service account; `value` is shown only once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountApiKey {
    /// Always `organization.project.service_account.api_key`.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountApiKeyObject))]
    pub object: OrUnknown<ServiceAccountApiKeyObject>,
    /// The key itself.
    pub value: Secret,
    /// Its name.
    pub name: String,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its id, `key_…`.
    pub id: ApiKeyId,
}

/// The object type `organization.project.service_account.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedServiceAccountObject {
    /// `organization.project.service_account.deleted`
    #[serde(rename = "organization.project.service_account.deleted")]
    Deleted,
}

/// The response to deleting a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedServiceAccount {
    /// Always `organization.project.service_account.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedServiceAccountObject))]
    pub object: OrUnknown<DeletedServiceAccountObject>,
    /// The id of what was deleted.
    pub id: ServiceAccountId,
    /// Always true.
    pub deleted: bool,
}
