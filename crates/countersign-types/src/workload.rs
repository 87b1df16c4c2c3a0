//! What identifies a workload: who calls, and with which certificates.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    digest::{ChainDigest, Sha256},
    id::{self, ApiKeyId, ProjectId},
    not_null::not_null,
};

/// Identifies a workload as gateways observe it: one project, one key and one chain.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObservedWorkload {
    /// The project of the caller; absent for an admin key.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// The caller's key; absent when the gateway serves a single project and needs none.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub key: Option<ApiKeyId>,
    /// The chain that was presented; absent when none was.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub chain: Option<ChainDigest>,
}

/// Identifies a workload to an operator: one project, one key and one leaf.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadIdentity {
    /// The project that it calls as; absent for an admin key.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// The key that it calls with; absent when the gateway serves a single project and needs none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub key: Option<ApiKeyId>,
    /// The leaf that it presents; absent when it presents none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub leaf: Option<WorkloadLeaf>,
}

/// A leaf, with what identifies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkloadLeaf {
    /// SHA-256 of its DER, 64 lower-case hexadecimal digits.
    pub sha256: Sha256,
    /// Its subject; empty when it cannot be read.
    pub subject: String,
    /// Its subject alternative names, each as `TYPE:VALUE`.
    pub sans: Vec<String>,
}
