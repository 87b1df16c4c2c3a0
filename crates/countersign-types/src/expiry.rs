//! What expires soon: active trust anchors, and the leaves that clients presented.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds, digest::Sha256, id::CertificateId, or_unknown::OrUnknown, page::ListObject,
};

/// How many days before something expires a warning is sent, one for each number.
pub const THRESHOLD_DAYS: [u64; 5] = [1, 7, 30, 60, 90];
/// How many days ahead are listed by default.
pub const DEFAULT_WITHIN_DAYS: u64 = 30;
/// The most days ahead that can be listed.
pub const MAX_WITHIN_DAYS: u64 = 3650;
/// The most entries of a list.
pub const MAX_EXPIRING: usize = 1000;

/// What expires within a number of days, soonest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExpiringList<T = Expiring> {
    /// Always `list`.
    #[cfg_attr(feature = "openapi", schema(value_type = ListObject))]
    pub object: OrUnknown<ListObject>,
    /// The entries.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Expiring>))]
    pub data: Vec<T>,
    /// Whether there are more entries than fit in one response.
    pub has_more: bool,
}

/// An active anchor, or a leaf that was presented.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expiring {
    /// Whether it is an anchor or a leaf.
    #[cfg_attr(feature = "openapi", schema(value_type = ExpiringKind))]
    pub kind: OrUnknown<ExpiringKind>,
    /// The anchor's id.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub id: Option<CertificateId>,
    /// The anchor's name, or the leaf's subject.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
    /// SHA-256 of its DER, in hexadecimal.
    pub sha256: Sha256,
    /// When it expires, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// When the leaf was last seen, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_seen: Option<UnixSeconds>,
    /// How many requests used the leaf, for as long as observations are kept.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub requests: Option<u64>,
}

/// The kind of thing that expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ExpiringKind {
    /// A trust anchor that is active somewhere, enforced or only reported.
    Anchor,
    /// A client certificate that was presented.
    Leaf,
}

impl ExpiringKind {
    /// The name of the kind in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Leaf => "leaf",
        }
    }
}
