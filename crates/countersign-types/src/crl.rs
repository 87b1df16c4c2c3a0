//! Revocation lists of trust anchors (docs/specification.md, section 10; an extension).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    digest::Sha256,
    id::{self, ApiKeyId, CertificateId, CrlId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
};

/// How often a list is fetched, in seconds, at least.
pub const MIN_CRL_INTERVAL: u64 = 300;
/// The same by default.
pub const DEFAULT_CRL_INTERVAL: u64 = 3600;
/// The same at most.
pub const MAX_CRL_INTERVAL: u64 = 2_592_000;

/// The most lists that a trust anchor may have: one of each CA.
pub const MAX_CRLS_PER_CERTIFICATE: usize = 16;

/// What happens to a certificate of whose issuer there is no current revocation list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CrlMissing {
    /// It passes, and is counted.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

impl CrlMissing {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Which object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CrlObject {
    /// A revocation list.
    #[serde(rename = "organization.certificate.crl")]
    Crl,
}

/// What is kept of a revocation list.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Crl {
    /// Always `organization.certificate.crl`.
    #[cfg_attr(feature = "openapi", schema(value_type = CrlObject))]
    pub object: OrUnknown<CrlObject>,
    /// Its id, `crl_…`. The CA's next list has the same.
    pub id: CrlId,
    /// The trust anchor that it was added to.
    pub certificate_id: CertificateId,
    /// The name of the CA whose list it is, in the manner of RFC 4514.
    pub issuer: String,
    /// The SHA-256 of that CA's name and key. The list speaks of certificates of this CA alone.
    pub issuer_sha256: Sha256,
    /// Its number: in decimal, or `0x…` where it is large; null if it has none.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub number: Option<String>,
    /// When the CA made it, in Unix seconds.
    pub this_update: UnixSeconds,
    /// The last second at which it is current, in Unix seconds. What it names stays revoked after it.
    pub next_update: UnixSeconds,
    /// How many certificates it names.
    pub entries: u64,
    /// Whether it says nothing of CA certificates.
    pub only_user_certificates: bool,
    /// The SHA-256 of its DER.
    pub sha256: Sha256,
    /// When the CA's first list was added here, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When this list was added, in Unix seconds.
    pub updated_at: UnixSeconds,
    /// The key that added it; `key_operator` where the control plane fetched it.
    pub updated_by: ApiKeyId,
    /// Where the next one is fetched from, if it is.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub url: Option<String>,
    /// How often, in seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub interval: Option<u64>,
    /// When that went well the last time, in Unix seconds.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub fetched_at: Option<UnixSeconds>,
    /// Why it did not the last time; what is kept stays in force.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub last_error: Option<String>,
}

impl Listed for Crl {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Adds a CA's revocation list to a trust anchor, or replaces the CA's earlier one.
#[skip_serializing_none]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrlAddRequest {
    /// The list: PEM, or its DER in base64. Either this or `url`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub crl: Option<String>,
    /// Where the CA publishes its list, `http` or `https`: it is fetched at once, and then at each interval.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub url: Option<String>,
    /// How often it is fetched, in seconds: 300 to 2,592,000, and by default 3,600.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, minimum = 300, maximum = 2_592_000)
    )]
    pub interval: Option<u64>,
    /// Where the anchor did not sign the list itself: the certificates of the CAs between the list's issuer and
    /// the anchor, in PEM. Without it, those are taken that stand in the PEM beside the list.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub issuer_certificates: Option<String>,
}

impl fmt::Debug for CrlAddRequest {
    /// Only its size: a PEM body must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.crl.as_ref().map_or(0, String::len);
        write!(f, "CrlAddRequest({bytes} bytes)")
    }
}

/// A revocation list that is added to a trust anchor, among other changes.
#[skip_serializing_none]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateCrl {
    /// The trust anchor.
    #[serde(deserialize_with = "id::checked")]
    pub certificate_id: CertificateId,
    /// The list: PEM, or its DER in base64. Either this or `url`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub crl: Option<String>,
    /// Where the CA publishes it.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub url: Option<String>,
    /// The certificates of the CAs between the list's issuer and the anchor, in PEM.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub issuer_certificates: Option<String>,
}

impl fmt::Debug for CertificateCrl {
    /// Without the PEM, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.crl.as_ref().map_or(0, String::len);
        write!(f, "CertificateCrl({}, {bytes} bytes)", self.certificate_id)
    }
}

/// Sets what happens to a certificate of whose issuer there is no current list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateCrlMissingRequest {
    /// `allow` lets it pass, and counts it; `deny` refuses it. Null for what holds by default: `allow` where the
    /// anchor has a list. It is required: absent is not the same as null.
    #[serde(deserialize_with = "Option::deserialize")]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub crl_missing: Option<CrlMissing>,
}

/// The revocation lists of a trust anchor together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrlSummary {
    /// How many there are, one of each CA.
    pub lists: u64,
    /// How many certificates they name.
    pub entries: u64,
    /// The last second at which all of them are current, in Unix seconds.
    pub next_update: UnixSeconds,
}

/// Which object was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedCrlObject {
    /// A revocation list.
    #[serde(rename = "organization.certificate.crl.deleted")]
    Deleted,
}

/// A revocation list was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedCrl {
    /// Always `organization.certificate.crl.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedCrlObject))]
    pub object: OrUnknown<DeletedCrlObject>,
    /// Its id.
    pub id: CrlId,
    /// Always true.
    pub deleted: bool,
}

/// A part of the serial numbers that a list names, as gateways fetch them
/// ([`crate::revoked_set`]).
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokedRecords {
    /// The SHA-256 of all records together.
    pub sha256: Sha256,
    /// Records, in base64.
    pub records: String,
    /// The number of the record that comes next; absent after the last.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next: Option<u64>,
}
