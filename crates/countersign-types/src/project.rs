//! Projects and their service accounts.

use serde::{Deserialize, Deserializer, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    id::{ApiKeyId, ProjectId, ServiceAccountId},
    page::Listed,
    present::not_null,
    secret::Secret,
};

/// The word `organization.project`.
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
    pub object: ProjectObject,
    /// Its name.
    #[serialize_always]
    pub name: Option<String>,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was archived, in Unix seconds, or null.
    #[serialize_always]
    pub archived_at: Option<UnixSeconds>,
    /// `active` or `archived`.
    #[serialize_always]
    pub status: Option<String>,
    /// An id that an outside system gave it.
    pub external_key_id: Option<String>,
    /// Where its data lives, where that was chosen.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub residency: Option<Residency>,
}

impl Listed for Project {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Where a project's data lives. Countersign keeps the word and does nothing with it.
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

/// Makes a project.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectCreateRequest {
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// Where its data lives.
    pub residency: Option<Residency>,
    /// An id that an outside system gives it.
    pub external_key_id: Option<String>,
}

/// Changes a project; what is absent or null stays as it is.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUpdateRequest {
    /// The new name.
    pub name: Option<String>,
    /// The new outside id.
    pub external_key_id: Option<String>,
}

/// The word `organization.project.service_account`.
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
    /// The role as the API writes it.
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
    pub object: ServiceAccountObject,
    /// Its id, `svc_acct_…`.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: ServiceAccountRole,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
}

impl Listed for ServiceAccount {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Makes a service account and, unless told otherwise, its first key.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountCreateRequest {
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// True makes no key with it.
    pub create_service_account_only: Option<bool>,
}

/// A new service account, with its key's value, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountCreated {
    /// Always `organization.project.service_account`.
    pub object: ServiceAccountObject,
    /// Its id, `svc_acct_…`.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: ServiceAccountRole,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its first key, or null when none was asked for.
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

/// A role that a service account can be given; `none` comes only of being created without one.
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

/// Makes another key for a service account.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountApiKeyCreateRequest {
    /// Its name; absent, the service account's.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
    /// Accepted as the reference has it and kept in the audit event; project keys carry none.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub scopes: Option<Vec<String>>,
}

/// The word `organization.project.service_account.api_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ServiceAccountApiKeyObject {
    /// `organization.project.service_account.api_key`
    #[serde(rename = "organization.project.service_account.api_key")]
    ApiKey,
}

/// A new key of a service account; `value` is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceAccountApiKey {
    /// Always `organization.project.service_account.api_key`.
    pub object: ServiceAccountApiKeyObject,
    /// The key itself.
    pub value: Secret,
    /// Its name.
    pub name: String,
    /// When it was made, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its id, `key_…`.
    pub id: ApiKeyId,
}

/// The word `organization.project.service_account.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedServiceAccountObject {
    /// `organization.project.service_account.deleted`
    #[serde(rename = "organization.project.service_account.deleted")]
    Deleted,
}

/// What deleting a service account answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedServiceAccount {
    /// Always `organization.project.service_account.deleted`.
    pub object: DeletedServiceAccountObject,
    /// The id that is no more.
    pub id: ServiceAccountId,
    /// Always true.
    pub deleted: bool,
}
