//! Floors of trust anchors: from when on the leaves under them must have been issued (an extension).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{UnixSeconds, certificate::Enforcement, not_null::not_null};

/// Sets or removes an anchor's floor: from when on the leaves under it must have been issued.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateFloorRequest {
    /// A leaf whose `notBefore` is earlier is refused, in Unix seconds and not later than now; null for no
    /// floor. It is required: absent is not the same as null.
    #[serde(deserialize_with = "Option::deserialize")]
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub refuse_issued_before: Option<UnixSeconds>,
    /// With `report`, the floor is only reported, and the one that is enforced stays; null then removes
    /// the reported one. By default it is enforced, and a reported one is removed.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enforcement: Option<Enforcement>,
}
