//! What an activation or a deactivation would do, judged on the traffic that was observed.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::{CertificateToggle, CertificateToggleObject, ScopedCertificate},
    digest::Sha256,
    error::ErrorCode,
    id::{ApiKeyId, ProjectId},
};

/// What an activation or a deactivation answers: that it was done, or what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ToggleAnswer {
    /// It was done.
    Done(CertificateToggle),
    /// Only a preview was asked for.
    Preview(Box<TogglePreview>),
}

/// What a change of activations would do. It was judged and not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TogglePreview {
    /// What would be done, and at which scope.
    pub object: TogglePreviewObject,
    /// The certificates, in the order of the request, as they would be.
    pub data: Vec<ScopedCertificate>,
    /// Whether nothing at all was observed at the scopes that the change reaches: then the rest
    /// says nothing, least of all that all is well.
    pub knows_nothing: bool,
    /// Projects that the change reaches, that have keys, and of which nothing was observed.
    pub unobserved_projects: Vec<ProjectId>,
    /// When the oldest of the traffic came that was looked at, in Unix seconds; null for none.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub since: Option<UnixSeconds>,
    /// The moment that was judged at, in Unix seconds.
    pub judged_at: UnixSeconds,
    /// How many workloads were judged: a project, a key and a chain are one. Those of keys and
    /// projects that are gone are left out.
    pub workloads: u64,
    /// How many distinct chains they present.
    pub identities: u64,
    /// How many requests they made.
    pub requests: u64,
    /// Workloads that pass now and would be refused, those with the most requests first.
    pub starts_to_fail: Vec<PreviewedWorkload>,
    /// Workloads that are refused now and would pass, those with the most requests first.
    pub starts_to_pass: Vec<PreviewedWorkload>,
    /// Workloads that would pass, and be refused for it once what the change only reports is
    /// enforced; those with the most requests first.
    pub would_fail_once_enforced: Vec<PreviewedWorkload>,
    /// How many workloads pass now and would go on to.
    pub still_passing: u64,
    /// How many workloads are refused now and would go on to be.
    pub still_failing: u64,
    /// How many workloads could not be judged, since their chain is not kept: nothing is known of
    /// them.
    pub unjudged: u64,
    /// When a workload was last seen that verifies under one of the certificates here and would
    /// no more, in Unix seconds; null for never.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_used: Option<UnixSeconds>,
}

/// What would be done, and at which scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TogglePreviewObject {
    /// An activation for the organization.
    #[serde(rename = "organization.certificate.activation.preview")]
    OrganizationActivation,
    /// A deactivation for the organization.
    #[serde(rename = "organization.certificate.deactivation.preview")]
    OrganizationDeactivation,
    /// An activation for a project.
    #[serde(rename = "organization.project.certificate.activation.preview")]
    ProjectActivation,
    /// A deactivation for a project.
    #[serde(rename = "organization.project.certificate.deactivation.preview")]
    ProjectDeactivation,
}

impl From<CertificateToggleObject> for TogglePreviewObject {
    fn from(done: CertificateToggleObject) -> Self {
        match done {
            CertificateToggleObject::OrganizationActivation => Self::OrganizationActivation,
            CertificateToggleObject::OrganizationDeactivation => Self::OrganizationDeactivation,
            CertificateToggleObject::ProjectActivation => Self::ProjectActivation,
            CertificateToggleObject::ProjectDeactivation => Self::ProjectDeactivation,
        }
    }
}

/// Who a workload is: whoever calls as one project, with one key, presenting one leaf.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadIdentity {
    /// The project that it calls as; absent for an admin key.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// The key that it calls with; absent where the gateway knows the project without one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub key: Option<ApiKeyId>,
    /// The leaf that it presents; absent when it presents none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub leaf: Option<PreviewedLeaf>,
}

/// A workload that a change would affect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewedWorkload {
    /// Who it is.
    #[serde(flatten)]
    pub identity: WorkloadIdentity,
    /// Why it is refused on the side where it is.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: ErrorCode,
    /// The same in words, for the operator.
    pub reason: String,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
    /// How many requests it made.
    pub requests: u64,
    /// How many requests its project made, or the admin keys did.
    pub of_requests: u64,
}

/// A leaf, as it is recognized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewedLeaf {
    /// SHA-256 of its DER, 64 lower-case hexadecimal digits.
    pub sha256: Sha256,
    /// Its subject; empty when it cannot be read.
    pub subject: String,
    /// Its subject alternative names, each as `TYPE:VALUE`.
    pub sans: Vec<String>,
}
