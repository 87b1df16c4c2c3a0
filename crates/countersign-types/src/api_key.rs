//! Keys: admin keys and what they may do, project keys, and gateway keys.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    id::{ApiKeyId, ServiceAccountId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
    project::ServiceAccountRole,
    secret::Secret,
};

/// What an admin key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Permission {
    /// Read certificates.
    #[serde(rename = "api.mtls.read")]
    MtlsRead,
    /// Upload, rename, delete, activate and deactivate certificates.
    #[serde(rename = "api.mtls.write")]
    MtlsWrite,
    /// Manage projects, service accounts and keys.
    #[serde(rename = "api.management")]
    Management,
    /// Read the audit log.
    #[serde(rename = "api.audit.read")]
    AuditRead,
}

impl Permission {
    /// Every permission: what the first key of an organization has.
    pub const ALL: [Self; 4] = [
        Self::MtlsRead,
        Self::MtlsWrite,
        Self::Management,
        Self::AuditRead,
    ];

    /// The name of the permission in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MtlsRead => "api.mtls.read",
            Self::MtlsWrite => "api.mtls.write",
            Self::Management => "api.management",
            Self::AuditRead => "api.audit.read",
        }
    }

    /// The permission with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// The kind of a key. Where one kind is required, a key of another kind is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Manages an organization; starts `sk-admin-`.
    Admin,
    /// Calls as a project; starts `sk-svcacct-`.
    Project,
    /// Reads bundles; starts `sk-gateway-`.
    Gateway,
}

impl KeyKind {
    /// The prefix of such a key.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Admin => "sk-admin-",
            Self::Project => "sk-svcacct-",
            Self::Gateway => "sk-gateway-",
        }
    }

    /// The kind as the database and the bundle write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Project => "project",
            Self::Gateway => "gateway",
        }
    }
}

/// The object type `organization.admin_api_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AdminApiKeyObject {
    /// `organization.admin_api_key`
    #[serde(rename = "organization.admin_api_key")]
    AdminApiKey,
}

/// An admin key. Only the response that creates it has `value`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdminApiKey {
    /// Always `organization.admin_api_key`.
    #[cfg_attr(feature = "openapi", schema(value_type = AdminApiKeyObject))]
    pub object: OrUnknown<AdminApiKeyObject>,
    /// Its id, `key_…`.
    pub id: ApiKeyId,
    /// Its name.
    #[serialize_always]
    pub name: Option<String>,
    /// Its prefix and last four characters.
    pub redacted_value: String,
    /// The key itself, shown once.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub value: Option<Secret>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it stops working, in Unix seconds, or null.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub expires_at: Option<UnixSeconds>,
    /// When it was last used, in Unix seconds, or null when that is not known.
    #[serialize_always]
    pub last_used_at: Option<UnixSeconds>,
    /// Its owner.
    pub owner: AdminApiKeyOwner,
    /// Countersign's extension: what it may do.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Vec<Permission>>))]
    pub scopes: Option<Vec<OrUnknown<Permission>>>,
}

impl Listed for AdminApiKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// The owner of an admin key: on Countersign, the organization.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AdminApiKeyOwner {
    /// `organization` on Countersign; other servers have other types.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object's type.
    pub object: String,
    /// The owner's id.
    pub id: String,
    /// The owner's name.
    pub name: String,
    /// When the owner was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// The owner's role.
    pub role: String,
}

/// Creates an admin key.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdminApiKeyCreateRequest {
    /// Its name: 1 to 256 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// Seconds until it stops working, 1 to 31,536,000. Without it, the key does not expire.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, minimum = 1, maximum = 31_536_000)
    )]
    pub expires_in_seconds: Option<u32>,
    /// Countersign's extension: what it may do, at most what the key that creates it may do, which
    /// is the default.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub scopes: Option<Vec<Permission>>,
}

/// The object type `organization.admin_api_key.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedAdminApiKeyObject {
    /// `organization.admin_api_key.deleted`
    #[serde(rename = "organization.admin_api_key.deleted")]
    Deleted,
}

/// The response to deleting an admin key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedAdminApiKey {
    /// Always `organization.admin_api_key.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedAdminApiKeyObject))]
    pub object: OrUnknown<DeletedAdminApiKeyObject>,
    /// The id of what was deleted.
    pub id: ApiKeyId,
    /// Always true.
    pub deleted: bool,
}

/// The object type `organization.project.api_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProjectApiKeyObject {
    /// `organization.project.api_key`
    #[serde(rename = "organization.project.api_key")]
    ProjectApiKey,
}

/// A key of a project, without its value.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectApiKey {
    /// Always `organization.project.api_key`.
    #[cfg_attr(feature = "openapi", schema(value_type = ProjectApiKeyObject))]
    pub object: OrUnknown<ProjectApiKeyObject>,
    /// Its prefix and last four characters.
    pub redacted_value: String,
    /// Its name.
    pub name: String,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was last used, in Unix seconds, or null when that is not known.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub last_used_at: Option<UnixSeconds>,
    /// Its id, `key_…`.
    pub id: ApiKeyId,
    /// `active` or `inactive`.
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub owner_project_access: Option<String>,
    /// Its owner.
    pub owner: ProjectApiKeyOwner,
}

impl Listed for ProjectApiKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// The owner of a project key: on Countersign, always a service account.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectApiKeyOwner {
    /// `service_account` on Countersign; `user` on other servers.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub kind: Option<String>,
    /// The service account.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub service_account: Option<ProjectApiKeyOwnerServiceAccount>,
}

/// The service account that owns a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectApiKeyOwnerServiceAccount {
    /// Its id, `svc_acct_…`.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its role.
    #[cfg_attr(feature = "openapi", schema(value_type = ServiceAccountRole))]
    pub role: OrUnknown<ServiceAccountRole>,
}

/// The object type `organization.project.api_key.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedProjectApiKeyObject {
    /// `organization.project.api_key.deleted`
    #[serde(rename = "organization.project.api_key.deleted")]
    Deleted,
}

/// The response to deleting a project key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedProjectApiKey {
    /// Always `organization.project.api_key.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedProjectApiKeyObject))]
    pub object: OrUnknown<DeletedProjectApiKeyObject>,
    /// The id of what was deleted.
    pub id: ApiKeyId,
    /// Always true.
    pub deleted: bool,
}
