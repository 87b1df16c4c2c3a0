//! What a server supports beyond the reference. A client asks before it relies on an extension: a
//! server that does not know a property ignores it, and would then do something else than intended.

use serde::{Deserialize, Serialize};

macro_rules! extensions {
    ($($(#[$documentation:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$documentation])* pub const $name: &str = $text;)*

        /// Every extension that this version knows; a server of it has them all.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

extensions! {
    /// `enforcement` in an activation: report-only anchors.
    ENFORCEMENT = "enforcement";
    /// `POST ../certificates/active`: sets everything that is active at a scope in one step.
    SET_ACTIVE = "set_active";
    /// `cel_policy`: a policy for each anchor.
    CEL_POLICY = "cel_policy";
    /// `include[]=active_at` for a certificate: every scope where it is active.
    ACTIVE_AT = "active_at";
    /// `enforcement` with a policy: one that is only reported.
    REPORTED_POLICY = "reported_policy";
    /// `preview` in an activation or a deactivation: its effect is computed, and nothing changes.
    PREVIEW = "preview";
    /// `POST /v1/organization/changes/preview`: the effect of any changes of trust together.
    PREVIEW_CHANGES = "preview_changes";
    /// `POST /v1/organization/changes`: policies and scopes are set together, in one step.
    MAKE_CHANGES = "make_changes";
    /// `/v1/organization/rotations`: one anchor replaces another.
    ROTATIONS = "rotations";
    /// `/v1/organization/assertions`: what must pass and what must be refused, whatever changes.
    ASSERTIONS = "assertions";
    /// `/v1/organization/denials` and `floor` of certificates: what is refused although it verifies.
    DENIALS = "denials";
    /// `crls` and `crl_missing` of certificates: revocation lists.
    CRLS = "crls";
    /// Workload identity providers of type `x509`, which the reference does not have, and their
    /// `attribute_conditions`.
    X509_WORKLOAD_IDENTITY = "x509_workload_identity";
    /// Changes of workload identity providers and federation rules among those that are previewed.
    PREVIEW_WORKLOAD_IDENTITY = "preview_workload_identity";
}

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
