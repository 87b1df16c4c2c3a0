//! What a server supports beyond the reference. A client asks before it relies on an extension: a
//! server that does not know a property ignores it, and would then do something else than intended.

use serde::{Deserialize, Serialize};

/// `enforcement` in an activation: report-only anchors.
pub const ENFORCEMENT: &str = "enforcement";
/// `POST ../certificates/active`: sets everything that is active at a scope in one step.
pub const SET_ACTIVE: &str = "set_active";
/// `cel_policy`: a policy for each anchor.
pub const CEL_POLICY: &str = "cel_policy";

/// `include[]=active_at` for a certificate: every scope where it is active.
pub const ACTIVE_AT: &str = "active_at";

/// `enforcement` with a policy: one that is only reported.
pub const REPORTED_POLICY: &str = "reported_policy";
/// `preview` in an activation or a deactivation: its effect is computed, and nothing changes.
pub const PREVIEW: &str = "preview";
/// `POST /v1/organization/changes/preview`: the effect of any changes of trust together.
pub const PREVIEW_CHANGES: &str = "preview_changes";
/// `POST /v1/organization/changes`: policies and scopes are set together, in one step.
pub const MAKE_CHANGES: &str = "make_changes";
/// `/v1/organization/rotations`: one anchor replaces another.
pub const ROTATIONS: &str = "rotations";

/// `/v1/organization/assertions`: what must pass and what must be refused, whatever changes.
pub const ASSERTIONS: &str = "assertions";
/// `/v1/organization/denials` and `floor` of certificates: what is refused although it verifies.
pub const DENIALS: &str = "denials";
/// Workload identity providers of type `x509`, which the reference does not have, and their
/// `attribute_conditions`.
pub const X509_WORKLOAD_IDENTITY: &str = "x509_workload_identity";

/// The response of `GET /v1/countersign/extensions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extensions {
    /// Always `countersign.extensions`, so that no other response is mistaken for this one.
    pub object: ExtensionsObject,
    /// The extensions' names.
    pub extensions: Vec<String>,
}

/// The object type `countersign.extensions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExtensionsObject {
    /// `countersign.extensions`
    #[serde(rename = "countersign.extensions")]
    Extensions,
}
