//! Which streams are under way at a gateway: its present state, and no count over time.

use serde::{Deserialize, Serialize};

use crate::{
    UnixSeconds,
    id::{self, GatewayId, OrganizationId},
    workload::ObservedWorkload,
};

/// The most workloads of one report, of all organizations together.
pub const MAX_LIVE_WORKLOADS: usize = 1000;

/// The streams under way at a gateway, in place of what it reported before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveReport {
    /// The id that it asks for bundles with.
    #[serde(deserialize_with = "id::checked")]
    pub gateway: GatewayId,
    /// The organizations that have any.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub organizations: Vec<OrganizationStreams>,
}

/// The streams of an organization that are under way at a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationStreams {
    /// The organization.
    #[serde(deserialize_with = "id::checked")]
    pub organization: OrganizationId,
    /// How many, of all its workloads.
    pub streams: u64,
    /// The workloads with the most of them.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub workloads: Vec<WorkloadStreams>,
}

/// The streams of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadStreams {
    /// Who called, and with which chain.
    #[serde(flatten)]
    pub identity: ObservedWorkload,
    /// How many.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub streams: u64,
}

/// What a change does to streams that are under way: those that had gone on for a second when gateways last
/// reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StreamsEffect {
    /// How many streams of workloads that would be refused are under way, and would be cut.
    pub cut: u64,
    /// How many streams are under way of which it is not known whether they would be cut: their workloads are not
    /// among those that were judged.
    pub unknown: u64,
    /// The time of the oldest of the reports, in Unix seconds.
    pub as_of: UnixSeconds,
    /// How many live gateways report no streams; theirs are not counted.
    pub silent_gateways: u64,
}
