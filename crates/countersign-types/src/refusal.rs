//! Requests that gateways refused, summed up by caller, leaf and code: who is refused can be seen
//! without the chains, of which anyone with a key can make as many as they like.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    digest::Sha256,
    error::ErrorCode,
    id::{self, ApiKeyId, OrganizationId, ProjectId, RefusalId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
};

/// The most summaries that one batch of observations may hold.
pub const MAX_REFUSALS: usize = 1000;
/// The most bytes of a leaf's subject that are kept.
pub const MAX_SUBJECT_BYTES: usize = 256;

/// A leaf that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedLeaf {
    /// SHA-256 of its DER, 64 lower-case hexadecimal digits.
    pub sha256: Sha256,
    /// Its subject, as RFC 4514 writes it, at most 256 bytes of it; empty when it cannot be read.
    pub subject: String,
}

impl RefusedLeaf {
    /// A leaf, with as much of its subject as is kept.
    #[must_use]
    pub fn new(sha256: Sha256, subject: &str) -> Self {
        let end = subject.floor_char_boundary(MAX_SUBJECT_BYTES);
        Self {
            sha256,
            subject: subject.get(..end).unwrap_or_default().to_owned(),
        }
    }
}

/// What a gateway says of refused requests: how many one caller made with one leaf.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusalSummary {
    /// The organization of the requests.
    #[serde(deserialize_with = "id::checked")]
    pub organization: OrganizationId,
    /// The project of the caller; absent for an admin key, and for several callers.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// The caller's key; absent when the gateway needs none, and for several callers.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub key: Option<ApiKeyId>,
    /// The leaf; absent when none was presented, and for several leaves.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub leaf: Option<RefusedLeaf>,
    /// Why the requests were refused.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: ErrorCode,
    /// How many requests.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub requests: u64,
    /// When the first request came, in Unix seconds.
    pub first_seen: UnixSeconds,
    /// When the last request came, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// Requests of one caller with one leaf that were refused with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// Always `organization.refusal`.
    #[cfg_attr(feature = "openapi", schema(value_type = RefusalObject))]
    pub object: OrUnknown<RefusalObject>,
    /// Its id, `ref_…`.
    pub id: RefusalId,
    /// The project of the caller; null for an admin key. Null together with the key where callers
    /// were too many to keep apart.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub project_id: Option<ProjectId>,
    /// The caller's key; null when the gateway serves a single project and needs none.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub api_key_id: Option<ApiKeyId>,
    /// The leaf; null when none was presented (`certificate_required`), and where leaves were too
    /// many to keep apart.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub leaf: Option<RefusedLeaf>,
    /// Why the requests were refused.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: OrUnknown<ErrorCode>,
    /// How many requests.
    pub requests: u64,
    /// When it was first seen, in Unix seconds.
    pub first_seen: UnixSeconds,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// The object type `organization.refusal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RefusalObject {
    /// `organization.refusal`
    #[serde(rename = "organization.refusal")]
    Refusal,
}

impl Listed for Refusal {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}
