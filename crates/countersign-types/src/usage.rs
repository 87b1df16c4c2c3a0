//! What an anchor is used for, as gateways observed: Countersign's extension of certificates. A
//! window of some days starts with the UTC day that many days ago and contains whole UTC days, so
//! it is never shorter than its name says.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    digest::Sha256,
    id::{ApiKeyId, ObservationId, ProjectId},
    or_unknown::OrUnknown,
    page::Listed,
    refused_by::{CrlUsage, RefusalCounts},
};

pub use crate::windows::Windows;

/// How a certificate was used, with `include[]=usage`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateUsage {
    /// When it last let a request through, in Unix seconds; null if it never did, for as
    /// long as observations are kept.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub last_used: Option<UnixSeconds>,
    /// The scopes where it let requests through, the organization first.
    pub scopes: Vec<ScopeUsage>,
    /// What its floor refused; absent when it has none and none refused anything, and in the list of a
    /// project.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub floor: Option<RefusalCounts>,
    /// What each of its revocation lists refused; absent when it has none, and in the list of a project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crls: Vec<CrlUsage>,
}

/// How a certificate was used at a scope where it is or was active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScopeUsage {
    /// The project; null for the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub project_id: Option<ProjectId>,
    /// When it last let a request through, in Unix seconds.
    pub last_used: UnixSeconds,
    /// How many requests it let through.
    pub requests: Windows,
    /// How many different leaves it let through.
    pub leaves: Windows,
}

/// A leaf that a certificate let through, and who called with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateUse {
    /// Always `organization.certificate.use`.
    #[cfg_attr(feature = "openapi", schema(value_type = CertificateUseObject))]
    pub object: OrUnknown<CertificateUseObject>,
    /// Its id, `obs_…`.
    pub id: ObservationId,
    /// The project where the certificate was active; null for the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub active_at_project_id: Option<ProjectId>,
    /// The project of the caller; null for an admin key.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub project_id: Option<ProjectId>,
    /// The caller's key; null when the gateway serves a single project and needs none.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub api_key_id: Option<ApiKeyId>,
    /// The leaf.
    pub leaf: UsedLeaf,
    /// When it was first seen, in Unix seconds.
    pub first_seen: UnixSeconds,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
    /// How many requests.
    pub requests: Windows,
}

/// A leaf and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsedLeaf {
    /// SHA-256 of its DER, 64 lower-case hexadecimal digits.
    pub sha256: Sha256,
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// Its subject alternative names, for example `DNS:a.example`.
    pub subject_alt_names: Vec<String>,
    /// Its issuer, as RFC 4514 writes it.
    pub issuer: String,
    /// `notAfter`, in Unix seconds; null if it cannot be read.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub expires_at: Option<UnixSeconds>,
}

/// The object type `organization.certificate.use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CertificateUseObject {
    /// `organization.certificate.use`
    #[serde(rename = "organization.certificate.use")]
    Use,
}

impl Listed for CertificateUse {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}
