//! Trust anchors: the certificate objects of the API, and the requests about them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use crate::enforcement::{Enforcement, UnknownEnforcement};
use crate::{
    UnixSeconds,
    crl::{CrlMissing, CrlSummary},
    id::{self, CertificateId, ProjectId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
    usage::CertificateUsage,
};

/// The most certificates that an organization may hold.
pub const MAX_CERTIFICATES_PER_ORGANIZATION: usize = 50;
/// The most distinct certificates that one activation or deactivation may name.
pub const MAX_CERTIFICATES_PER_TOGGLE: usize = 10;
/// The most bytes that an uploaded PEM may have.
pub const MAX_PEM_BYTES: usize = 16 * 1024;
/// The most characters that a name may have.
pub const MAX_NAME_CHARACTERS: usize = 256;
/// The most bytes that a CEL policy may have.
pub const MAX_POLICY_BYTES: usize = 4096;
/// An upload must be valid for at least this many seconds more.
pub const MIN_REMAINING_VALIDITY: u64 = 24 * 60 * 60;

/// Where an anchor is active: for the whole organization, or for one project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The organization.
    Organization,
    /// One project of it.
    Project(ProjectId),
}

impl Scope {
    /// The project, unless it is the organization.
    #[must_use]
    pub const fn project(&self) -> Option<&ProjectId> {
        match self {
            Self::Organization => None,
            Self::Project(id) => Some(id),
        }
    }
}

impl From<Option<ProjectId>> for Scope {
    /// No project is the organization.
    fn from(project: Option<ProjectId>) -> Self {
        project.map_or(Self::Organization, Self::Project)
    }
}

impl fmt::Display for Scope {
    /// As it is written in a sentence: `the organization`, or `` project `proj_…` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("the organization"),
            Self::Project(id) => write!(f, "project `{id}`"),
        }
    }
}

/// Which certificate object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CertificateObject {
    /// The certificate itself.
    #[serde(rename = "certificate")]
    Certificate,
}

/// A trust anchor, as upload, retrieve and update return it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// Always `certificate`.
    #[cfg_attr(feature = "openapi", schema(value_type = CertificateObject))]
    pub object: OrUnknown<CertificateObject>,
    /// Its id, `cert_…`.
    pub id: CertificateId,
    /// Its name, or null.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub name: Option<String>,
    /// When it was uploaded, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its validity, and its PEM when asked for.
    pub certificate_details: CertificateDetails,
    /// Its CEL policy, if it has one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub cel_policy: Option<String>,
    /// A CEL policy that is only reported: what would be refused under it in place of its policy is
    /// counted and logged (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_policy: Option<String>,
    /// A leaf whose `notBefore` is earlier is refused on this anchor, in Unix seconds (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub refuse_issued_before: Option<UnixSeconds>,
    /// The same, only reported: what would be refused by it is counted and logged (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_refuse_issued_before: Option<UnixSeconds>,
    /// What happens to a certificate of whose issuer there is no current revocation list, if that is set (an
    /// extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<CrlMissing>))]
    pub crl_missing: Option<OrUnknown<CrlMissing>>,
    /// Its revocation lists together, if it has any (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub crls: Option<CrlSummary>,
    /// Where it is active, the organization first, when asked for with `include[]=active_at` (an
    /// extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub active_at: Option<Vec<ActiveAt>>,
    /// How it was used, when asked for with `include[]=usage` (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub usage: Option<CertificateUsage>,
}

/// A scope where a certificate is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActiveAt {
    /// The project; null for the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub project_id: Option<ProjectId>,
    /// Whether it is enforced there or only reports.
    #[cfg_attr(feature = "openapi", schema(value_type = Enforcement))]
    pub enforcement: OrUnknown<Enforcement>,
}

/// The validity of a certificate, and its PEM when asked for with `include[]=content`.
#[skip_serializing_none]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateDetails {
    /// `notBefore`, in Unix seconds; 0 for a time before 1970.
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub valid_at: Option<UnixSeconds>,
    /// `notAfter`, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub expires_at: Option<UnixSeconds>,
    /// The PEM, byte for byte as it was uploaded.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub content: Option<String>,
}

impl std::fmt::Debug for CertificateDetails {
    /// Without the PEM, which must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateDetails")
            .field("valid_at", &self.valid_at)
            .field("expires_at", &self.expires_at)
            .field("content", &self.content.as_ref().map(String::len))
            .finish()
    }
}

/// The scope that a certificate was listed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ScopedCertificateObject {
    /// Listed for the organization.
    #[serde(rename = "organization.certificate")]
    Organization,
    /// Listed for a project.
    #[serde(rename = "organization.project.certificate")]
    Project,
}

impl ScopedCertificateObject {
    /// The object type in a list of that scope.
    #[must_use]
    pub const fn at(scope: &Scope) -> Self {
        match scope {
            Scope::Organization => Self::Organization,
            Scope::Project(_) => Self::Project,
        }
    }
}

/// A trust anchor as a scope's list shows it: with `active` for that scope, without content.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScopedCertificate {
    /// `organization.certificate` or `organization.project.certificate`.
    #[cfg_attr(feature = "openapi", schema(value_type = ScopedCertificateObject))]
    pub object: OrUnknown<ScopedCertificateObject>,
    /// Its id, `cert_…`.
    pub id: CertificateId,
    /// Its name, or null.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub name: Option<String>,
    /// When it was uploaded, in Unix seconds.
    pub created_at: UnixSeconds,
    /// Its validity.
    pub certificate_details: CertificateDetails,
    /// Whether it is active at the scope that was listed.
    pub active: bool,
    /// Countersign's extension: `report` if it is active and only reports; otherwise absent.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Enforcement>))]
    pub enforcement: Option<OrUnknown<Enforcement>>,
    /// Its CEL policy, if it has one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub cel_policy: Option<String>,
    /// A CEL policy that is only reported: what would be refused under it in place of its policy is
    /// counted and logged (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_policy: Option<String>,
    /// A leaf whose `notBefore` is earlier is refused on this anchor, in Unix seconds (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub refuse_issued_before: Option<UnixSeconds>,
    /// The same, only reported: what would be refused by it is counted and logged (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_refuse_issued_before: Option<UnixSeconds>,
    /// What happens to a certificate of whose issuer there is no current revocation list, if that is set (an
    /// extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<CrlMissing>))]
    pub crl_missing: Option<OrUnknown<CrlMissing>>,
    /// Its revocation lists together, if it has any (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub crls: Option<CrlSummary>,
    /// Where it is active, the organization first, when asked for with `include[]=active_at` (an
    /// extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub active_at: Option<Vec<ActiveAt>>,
    /// How it was used, when asked for with `include[]=usage` (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub usage: Option<CertificateUsage>,
}

impl Listed for ScopedCertificate {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// The response to an activation or deactivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateToggle<T = ScopedCertificate> {
    /// What was done, and at which scope.
    #[cfg_attr(feature = "openapi", schema(value_type = CertificateToggleObject))]
    pub object: OrUnknown<CertificateToggleObject>,
    /// The certificates, in the order of the request.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ScopedCertificate>))]
    pub data: Vec<T>,
}

/// What was done, and at which scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CertificateToggleObject {
    /// Activated for the organization.
    #[serde(rename = "organization.certificate.activation")]
    OrganizationActivation,
    /// Deactivated for the organization.
    #[serde(rename = "organization.certificate.deactivation")]
    OrganizationDeactivation,
    /// Activated for a project.
    #[serde(rename = "organization.project.certificate.activation")]
    ProjectActivation,
    /// Deactivated for a project.
    #[serde(rename = "organization.project.certificate.deactivation")]
    ProjectDeactivation,
}

impl CertificateToggleObject {
    /// An activation at a scope.
    #[must_use]
    pub const fn activation(scope: &Scope) -> Self {
        match scope {
            Scope::Organization => Self::OrganizationActivation,
            Scope::Project(_) => Self::ProjectActivation,
        }
    }

    /// A deactivation at a scope.
    #[must_use]
    pub const fn deactivation(scope: &Scope) -> Self {
        match scope {
            Scope::Organization => Self::OrganizationDeactivation,
            Scope::Project(_) => Self::ProjectDeactivation,
        }
    }
}

/// The response to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedCertificate {
    /// Always `certificate.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedCertificateObject))]
    pub object: OrUnknown<DeletedCertificateObject>,
    /// The id of what was deleted.
    pub id: CertificateId,
}

/// The object type `certificate.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedCertificateObject {
    /// `certificate.deleted`
    #[serde(rename = "certificate.deleted")]
    Deleted,
}

/// Uploads a trust anchor. It does not activate it.
#[skip_serializing_none]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadCertificateRequest {
    /// The certificate, in PEM, at most 16 KiB.
    pub certificate: String,
    /// A name for it: 1 to 256 characters, no control characters. It need not be unique.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 256)
    )]
    pub name: Option<String>,
    /// Countersign's extension: a CEL policy that the verified leaf must satisfy; null or absent
    /// for none.
    #[cfg_attr(feature = "openapi", schema(max_length = 4096))]
    pub cel_policy: Option<String>,
}

impl std::fmt::Debug for UploadCertificateRequest {
    /// Without the PEM, which must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadCertificateRequest")
            .field("certificate_bytes", &self.certificate.len())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Renames a certificate. Without a name, nothing changes.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModifyCertificateRequest {
    /// The new name: 1 to 256 characters, no control characters.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 256)
    )]
    pub name: Option<String>,
}

/// Countersign's extension: sets or, with null, removes a certificate's CEL policy.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdatePolicyRequest {
    /// The policy, at most 4,096 bytes, or null for none. It is required: absent is not the same as
    /// null.
    #[serde(deserialize_with = "Option::deserialize")]
    #[cfg_attr(feature = "openapi", schema(required, max_length = 4096))]
    #[serialize_always]
    pub cel_policy: Option<String>,
    /// With `report`, the policy is only reported, and the one that is enforced stays; null then removes
    /// the reported one. By default it is enforced, and a reported one is removed.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enforcement: Option<Enforcement>,
}

/// Names 1 to 10 certificates to activate together.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToggleCertificatesRequest {
    /// 1 to 10 distinct ids; duplicates are ignored.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 10))]
    #[serde(deserialize_with = "id::checked")]
    pub certificate_ids: Vec<CertificateId>,
    /// Countersign's extension: `report` refuses no request, and records what would have been
    /// refused. The default is `enforce`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enforcement: Option<Enforcement>,
    /// Countersign's extension: if true, nothing changes, and the response says what would change.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub preview: Option<bool>,
}

/// Names 1 to 10 certificates to deactivate together. There is no `enforcement`, which only active
/// certificates have.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeactivateCertificatesRequest {
    /// 1 to 10 distinct ids; duplicates are ignored.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 10))]
    #[serde(deserialize_with = "id::checked")]
    pub certificate_ids: Vec<CertificateId>,
    /// Countersign's extension: if true, nothing changes, and the response says what would change.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub preview: Option<bool>,
}

/// Countersign's extension: a certificate that is active at a scope, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActiveCertificate {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub certificate_id: CertificateId,
    /// Whether it is enforced, which is the default, or only reported.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// Countersign's extension: sets everything that is active at a scope. Whatever else is active
/// there is deactivated in the same step.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetActiveCertificatesRequest {
    /// The distinct certificates to be active, at most 50. Newly activated ones are ordered after
    /// those that are active already, in this order, enforced before reported.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub active: Vec<ActiveCertificate>,
    /// What the caller expects to be active now, in any order. If something else is active, nothing
    /// changes and the request fails with `scope_changed`. Without it, nothing is checked.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 50))]
    pub expected: Option<Vec<ActiveCertificate>>,
}

/// The response to setting a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActiveCertificates {
    /// The scope.
    #[cfg_attr(feature = "openapi", schema(value_type = ActiveCertificatesObject))]
    pub object: OrUnknown<ActiveCertificatesObject>,
    /// What is active there, in the order of the request.
    pub data: Vec<ScopedCertificate>,
}

/// The scope where something is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActiveCertificatesObject {
    /// For the organization.
    #[serde(rename = "organization.certificate.active")]
    Organization,
    /// For a project.
    #[serde(rename = "organization.project.certificate.active")]
    Project,
}

impl ActiveCertificatesObject {
    /// The object type for that scope.
    #[must_use]
    pub const fn at(scope: &Scope) -> Self {
        match scope {
            Scope::Organization => Self::Organization,
            Scope::Project(_) => Self::Project,
        }
    }
}
