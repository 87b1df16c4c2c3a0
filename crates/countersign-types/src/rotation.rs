//! Rotations: one trust anchor replaces another, and both are accepted meanwhile (an extension).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    id::{self, ApiKeyId, CertificateId, ProjectId, RotationId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
    preview::PreviewedWorkload,
    workload::WorkloadIdentity,
};

/// How recently a workload must have been seen to count, by default: 30 days, in seconds.
pub const DEFAULT_SEEN_WITHIN: u64 = 30 * 24 * 60 * 60;
/// The most workloads that each list of a rotation's progress names.
pub const MAX_NAMED_WORKLOADS: usize = 1000;

/// Which object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RotationObject {
    /// A rotation.
    #[serde(rename = "organization.rotation")]
    Rotation,
}

/// The status of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RotationStatus {
    /// Both anchors are active.
    InProgress,
    /// The new anchor replaced the old one.
    Finished,
    /// What it activated was deactivated again.
    Aborted,
}

/// A rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rotation {
    /// Always `organization.rotation`.
    #[cfg_attr(feature = "openapi", schema(value_type = RotationObject))]
    pub object: OrUnknown<RotationObject>,
    /// Its id, `rot_…`.
    pub id: RotationId,
    /// The anchor to replace.
    pub old_certificate_id: CertificateId,
    /// The anchor that replaces it.
    pub new_certificate_id: CertificateId,
    /// How the new anchor is activated.
    #[cfg_attr(feature = "openapi", schema(value_type = Enforcement))]
    pub enforcement: OrUnknown<Enforcement>,
    /// Its status.
    #[cfg_attr(feature = "openapi", schema(value_type = RotationStatus))]
    pub status: OrUnknown<RotationStatus>,
    /// When it was started, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was finished or aborted, in Unix seconds; null before.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub ended_at: Option<UnixSeconds>,
    /// The scopes that it changes.
    pub scopes: Vec<RotationScope>,
    /// Which workloads have moved. Only when a single rotation in progress is retrieved.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub progress: Option<RotationProgress>,
}

impl Listed for Rotation {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// A scope of a rotation, and how the two anchors are active there now; absent means not active.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationScope {
    /// The project; null is the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub project_id: Option<ProjectId>,
    /// How the old anchor is active.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Enforcement>))]
    pub old_enforcement: Option<OrUnknown<Enforcement>>,
    /// How the new anchor is active.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Enforcement>))]
    pub new_enforcement: Option<OrUnknown<Enforcement>>,
    /// How the new anchor was active before the rotation; aborting restores this.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<Enforcement>))]
    pub new_enforcement_before: Option<OrUnknown<Enforcement>>,
}

/// Which workloads have moved, as far as gateways observed. Each list has at most 1,000 entries;
/// the counts are complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationProgress {
    /// Workloads last seen before this time, in Unix seconds, do not count.
    pub since: UnixSeconds,
    /// How many workloads were seen at the rotation's scopes. 0 means that nothing is known.
    pub observed: u64,
    /// How many verified under the new anchor when last seen.
    pub moved_count: u64,
    /// How many verified under the old anchor when last seen.
    pub remaining_count: u64,
    /// How many pass now and would be refused if the rotation were finished.
    pub failing_count: u64,
    /// How many cannot be judged because their chain is not kept.
    pub unjudged_count: u64,
    /// Those that verified under the old anchor when last seen.
    pub remaining: Vec<RotationWorkload>,
    /// Those that pass now and would be refused if the rotation were finished.
    pub failing: Vec<PreviewedWorkload>,
    /// Keys of the scopes' projects that were not seen, so that nothing is known about them.
    pub unseen: Vec<ApiKeyId>,
    /// What prevents finishing, in sentences that say what to do.
    pub problems: Vec<String>,
}

/// A workload that has not moved to the new anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationWorkload {
    /// The workload.
    #[serde(flatten)]
    pub identity: WorkloadIdentity,
    /// How many requests it made, counted in whole UTC days.
    pub requests: u64,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// Starts a rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartRotationRequest {
    /// The anchor to replace.
    #[serde(deserialize_with = "id::checked")]
    pub old_certificate_id: CertificateId,
    /// The anchor that replaces it.
    #[serde(deserialize_with = "id::checked")]
    pub new_certificate_id: CertificateId,
    /// Only these projects; by default every scope where the old anchor is active, except archived
    /// projects.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_items = 1, max_items = 100)
    )]
    pub project_ids: Option<Vec<ProjectId>>,
    /// With `report`, the new anchor is only reported until the rotation is finished. By default it
    /// is enforced where the old one is.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enforcement: Option<Enforcement>,
    /// Start even if workloads would be refused at once: the new anchor's policy can refuse some
    /// that another anchor lets through.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub force: Option<bool>,
}

/// Finishes or aborts a rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndRotationRequest {
    /// Proceed even if workloads will be refused, or nothing is known.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub force: Option<bool>,
    /// Only workloads seen within this many seconds count; 30 days by default.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, minimum = 1))]
    pub seen_within: Option<u64>,
}
