//! What an activation or a deactivation would do to the traffic that was observed.

use serde::{Deserialize, Serialize};

use crate::{
    UnixSeconds,
    certificate::{CertificateToggle, CertificateToggleObject, ScopedCertificate},
    error::ErrorCode,
    id::ProjectId,
    or_unknown::OrUnknown,
    workload::WorkloadIdentity,
};

/// The response to an activation or a deactivation: that it was done, or what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ToggleAnswer {
    /// It was done.
    Done(CertificateToggle),
    /// Only a preview was requested.
    Preview(Box<TogglePreview>),
}

/// What a change of activations would do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TogglePreview {
    /// What would be done, and at which scope.
    #[cfg_attr(feature = "openapi", schema(value_type = TogglePreviewObject))]
    pub object: OrUnknown<TogglePreviewObject>,
    /// The certificates as they would be, in the order of the request.
    pub data: Vec<ScopedCertificate>,
    /// Whether nothing was observed at the affected scopes. The rest then means nothing, and does
    /// not say that the change is safe.
    pub knows_nothing: bool,
    /// Affected projects that have keys but no observed traffic.
    pub unobserved_projects: Vec<ProjectId>,
    /// When the oldest of the traffic came, in Unix seconds; null if there is none.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub since: Option<UnixSeconds>,
    /// The time for which certificates were judged, in Unix seconds.
    pub judged_at: UnixSeconds,
    /// How many workloads were judged. A workload is a project, a key and a chain; those of deleted
    /// keys and projects are left out.
    pub workloads: u64,
    /// How many different chains they present.
    pub identities: u64,
    /// How many requests they made.
    pub requests: u64,
    /// Workloads that pass now and would be refused, those with the most requests first.
    pub starts_to_fail: Vec<PreviewedWorkload>,
    /// Workloads that are refused now and would pass, those with the most requests first.
    pub starts_to_pass: Vec<PreviewedWorkload>,
    /// Workloads that would still pass, but would be refused if the change enforced what it only
    /// reports; those with the most requests first.
    pub would_fail_once_enforced: Vec<PreviewedWorkload>,
    /// How many workloads pass now and would still pass.
    pub still_passing: u64,
    /// How many workloads are refused now and would still be refused.
    pub still_failing: u64,
    /// How many workloads could not be judged because their chain is not kept.
    pub unjudged: u64,
    /// When a workload was last seen that verifies under one of these certificates and no longer
    /// would, in Unix seconds; null for never.
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

/// A workload that a change would affect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewedWorkload {
    /// The workload.
    #[serde(flatten)]
    pub identity: WorkloadIdentity,
    /// Why it is refused, before or after the change.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: OrUnknown<ErrorCode>,
    /// The reason in words, for the operator.
    pub reason: String,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
    /// How many requests it made.
    pub requests: u64,
    /// How many requests its whole project made, or all admin keys.
    pub of_requests: u64,
}
