//! What a server can do beyond the reference: how a client knows before it asks for it. A server
//! that does not know a property ignores it, and would then do another thing than was meant.

use serde::{Deserialize, Serialize};

/// `enforcement` in an activation: report-only anchors.
pub const ENFORCEMENT: &str = "enforcement";
/// `POST ../certificates/active`: sets everything that is active at a scope in one step.
pub const SET_ACTIVE: &str = "set_active";
/// `cel_policy`: a policy for each anchor.
pub const CEL_POLICY: &str = "cel_policy";

/// `preview` in an activation or a deactivation: it is judged and not made.
pub const PREVIEW: &str = "preview";
/// `/v1/organization/rotations`: one anchor takes another's place.
pub const ROTATIONS: &str = "rotations";

/// The answer of `GET /v1/countersign/extensions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extensions {
    /// Always `countersign.extensions`, so that no other answer is taken for this one.
    pub object: ExtensionsObject,
    /// The extensions' names.
    pub extensions: Vec<String>,
}

/// The word `countersign.extensions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExtensionsObject {
    /// `countersign.extensions`
    #[serde(rename = "countersign.extensions")]
    Extensions,
}
