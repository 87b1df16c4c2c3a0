//! What took the access away of requests that were refused: how many each denial, floor and revocation list
//! refused, or would have refused.

use serde::{Deserialize, Serialize};

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    digest::Sha256,
    id::{self, CertificateId, CrlId, DenialId, OrganizationId},
    windows::Windows,
};

/// The most counts that one batch of observations may hold.
pub const MAX_REFUSED_BY: usize = 1000;

/// What refuses a certificate that would otherwise verify.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefusedBy {
    /// A denial.
    Denial(#[serde(deserialize_with = "id::checked")] DenialId),
    /// The floor of this trust anchor.
    Floor(#[serde(deserialize_with = "id::checked")] CertificateId),
    /// A revocation list.
    Crl(CrlOfIssuer),
}

/// A revocation list, by the anchor that it was added to and the CA whose list it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrlOfIssuer {
    /// The anchor.
    #[serde(deserialize_with = "id::checked")]
    pub certificate: CertificateId,
    /// The SHA-256 of the CA's name and key.
    pub issuer_sha256: Sha256,
}

/// What a gateway says of requests that one denial, floor or list refused, or would have refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedByCount {
    /// The organization of the requests.
    #[serde(deserialize_with = "id::checked")]
    pub organization: OrganizationId,
    /// What refused them.
    pub by: RefusedBy,
    /// Whether they were refused, or would have been.
    pub enforcement: Enforcement,
    /// How many requests.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub requests: u64,
    /// When the last request came, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// How many requests something refused, and would have refused while it was only reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusalCounts {
    /// When it last refused a request, in Unix seconds; null if it never did, for as long as
    /// observations are kept.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_refused: Option<UnixSeconds>,
    /// How many requests it refused.
    pub refused: Windows,
    /// When a request last passed that it would have refused if it were enforced, in Unix seconds; null if
    /// none did.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_reported: Option<UnixSeconds>,
    /// How many requests passed that it would have refused if it were enforced.
    pub reported: Windows,
}

/// What a revocation list refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrlUsage {
    /// The list's id, `crl_…`.
    pub id: CrlId,
    /// The name of the CA whose list it is, in the manner of RFC 4514.
    pub issuer: String,
    /// What it refused.
    #[serde(flatten)]
    pub counts: RefusalCounts,
}
