//! Rotations: one trust anchor takes another's place, while both are accepted (an extension).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    id::{ApiKeyId, CertificateId, ProjectId, RotationId},
    page::Listed,
    present::not_null,
    preview::{PreviewedWorkload, WorkloadIdentity},
};

/// How long ago a workload may have been seen to count, unless the caller says otherwise: 30 days,
/// in seconds.
pub const DEFAULT_SEEN_WITHIN: UnixSeconds = 30 * 24 * 60 * 60;
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

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RotationStatus {
    /// Both anchors are active.
    InProgress,
    /// The new one took the old one's place.
    Finished,
    /// What it activated was taken back.
    Aborted,
}

/// A rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rotation {
    /// Always `organization.rotation`.
    pub object: RotationObject,
    /// Its id, `rot_…`.
    pub id: RotationId,
    /// The anchor that goes.
    pub old_certificate_id: CertificateId,
    /// The anchor that comes.
    pub new_certificate_id: CertificateId,
    /// How the new one was to be activated.
    pub enforcement: Enforcement,
    /// How far it is.
    pub status: RotationStatus,
    /// When it was started, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was finished or aborted, in Unix seconds; null before.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub ended_at: Option<UnixSeconds>,
    /// Where it takes place.
    pub scopes: Vec<RotationScope>,
    /// Who has moved and who has not; only where one rotation that is in progress is retrieved.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub progress: Option<RotationProgress>,
}

impl Listed for Rotation {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// A scope of a rotation, with how the two anchors are active there now; absent is not active.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationScope {
    /// The project; null is the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub project_id: Option<ProjectId>,
    /// How the old anchor is active.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub old_enforcement: Option<Enforcement>,
    /// How the new anchor is active.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub new_enforcement: Option<Enforcement>,
    /// How the new anchor was active before the rotation, which is what aborting goes back to.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub new_enforcement_before: Option<Enforcement>,
}

/// Who has moved, as far as gateways saw it. Each list names 1,000 at most; the counts are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationProgress {
    /// Workloads that were seen before this moment, in Unix seconds, do not count.
    pub since: UnixSeconds,
    /// How many workloads were seen at the rotation's scopes. 0 is no knowledge, not a good sign.
    pub observed: u64,
    /// How many verified under the new anchor at last.
    pub moved_count: u64,
    /// How many verified under the old anchor at last.
    pub remaining_count: u64,
    /// How many pass now and would be refused if the rotation were finished.
    pub failing_count: u64,
    /// How many cannot be judged, since their chain is not kept: nothing is known of them.
    pub unjudged_count: u64,
    /// Those that verified under the old anchor at last.
    pub remaining: Vec<RotationWorkload>,
    /// Those that pass now and would be refused if the rotation were finished.
    pub failing: Vec<PreviewedWorkload>,
    /// Keys of the scopes' projects that were not seen: nothing is known of them.
    pub unseen: Vec<ApiKeyId>,
    /// What stands in the way of finishing, in sentences that say what to do.
    pub problems: Vec<String>,
}

/// A workload that has not moved to the new anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationWorkload {
    /// Who it is.
    #[serde(flatten)]
    pub identity: WorkloadIdentity,
    /// Its requests, of whole UTC days.
    pub requests: u64,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// Starts a rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartRotationRequest {
    /// The anchor that goes.
    pub old_certificate_id: CertificateId,
    /// The anchor that comes.
    pub new_certificate_id: CertificateId,
    /// Only at these projects; absent, wherever the old anchor is active but in archived projects.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_items = 1, max_items = 100)
    )]
    pub project_ids: Option<Vec<ProjectId>>,
    /// `report` has the new anchor only reported until the rotation is finished; absent, it is
    /// enforced where the old one is.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enforcement: Option<Enforcement>,
    /// Do it even if workloads would be refused at once: the new anchor's policy can say no to some
    /// that another one lets through.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub force: Option<bool>,
}

/// Finishes or aborts a rotation.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndRotationRequest {
    /// Do it even if workloads would be refused, or nothing is known.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub force: Option<bool>,
    /// Workloads that were seen within so many seconds count; 30 days by default.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, minimum = 1))]
    pub seen_within: Option<UnixSeconds>,
}
