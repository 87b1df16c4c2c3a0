//! What gateways observed: who called, with which certificates, and with which outcome. A gateway
//! counts and sends; the control plane keeps the counts for each UTC day.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::Scope,
    digest::ChainDigest,
    error::ErrorCode,
    id::{self, CertificateId, GatewayId, OrganizationId},
    live_streams::LiveReport,
    not_null::not_null,
    refusal::RefusalSummary,
    refused_by::RefusedByCount,
    workload::ObservedWorkload,
};

/// The most observations that one batch may hold.
pub const MAX_OBSERVATIONS: usize = 1000;
/// The most chains that one batch may contain.
pub const MAX_CHAINS: usize = 1000;
/// The most bytes that a batch may have as JSON.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// One presented certificate in DER, which may be invalid. On the wire, base64 (RFC 4648
/// section 4).
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct Der(pub Vec<u8>);

impl fmt::Debug for Der {
    /// Only the size: a certificate's body must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let decoded = BASE64.decode(text.as_bytes());
        decoded
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a certificate is base 64 of its DER"))
    }
}

/// What a gateway observed since its last batch: the body of `POST /v1/countersign/observations`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObservationBatch {
    /// The gateway's id.
    #[serde(deserialize_with = "id::checked")]
    pub gateway: GatewayId,
    /// Numbers the batches of one gateway, from 1. A number that is not greater than the last
    /// means a batch that was applied already, and changes nothing.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub number: u64,
    /// Chains that the control plane may not have yet.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub chains: Vec<ObservedChain>,
    /// What was counted.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub observations: Vec<Observation>,
    /// What was refused, summed up; absent from a gateway that does not sum it up. These requests are
    /// among the observations too, unless new chains were too many.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000, nullable = false))]
    pub refusals: Option<Vec<RefusalSummary>>,
    /// How many requests each denial, floor and revocation list refused, or would have refused; absent from a
    /// gateway that does not count them. These requests are among the others too.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000, nullable = false))]
    pub refused_by: Option<Vec<RefusedByCount>>,
    /// The streams under way at the gateway, in place of what it reported before; absent when it has nothing new to
    /// say of them.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub live: Option<LiveReport>,
}

/// A chain as it was presented. Its digest is not sent, since the receiver computes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObservedChain {
    /// The organization that it was presented to.
    #[serde(deserialize_with = "id::checked")]
    pub organization: OrganizationId,
    /// The certificates, leaf first.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub certificates: Vec<Der>,
}

/// Requests of one caller with one chain and one outcome.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Observation {
    /// The organization of the requests.
    #[serde(deserialize_with = "id::checked")]
    pub organization: OrganizationId,
    /// Who called, and with which chain.
    #[serde(flatten)]
    pub identity: ObservedWorkload,
    /// Why the requests were refused; absent when they were let through.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = String))]
    pub code: Option<ErrorCode>,
    /// The anchor that the chain verified under, if it did.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub anchor: Option<CertificateId>,
    /// Where that anchor is active.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub anchor_scope: Option<AnchorScope>,
    /// What the outcome would have been if the report-only anchors were enforced; absent when there
    /// are none.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported: Option<ReportedOutcome>,
    /// How many requests.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub requests: u64,
    /// When the first request came, in Unix seconds.
    pub first_seen: UnixSeconds,
    /// When the last request came, in Unix seconds.
    pub last_seen: UnixSeconds,
}

/// Where the anchor that decided is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AnchorScope {
    /// For the whole organization.
    Organization,
    /// For the caller's project.
    Project,
}

impl From<&Scope> for AnchorScope {
    fn from(scope: &Scope) -> Self {
        match scope {
            Scope::Organization => Self::Organization,
            Scope::Project(_) => Self::Project,
        }
    }
}

/// What the outcome would have been if the report-only anchors were enforced.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedOutcome {
    /// Why they would have been refused; absent when they would have been let through.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = String))]
    pub code: Option<ErrorCode>,
    /// The anchor that the chain verifies under, if it does.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub anchor: Option<CertificateId>,
}

/// The result of a batch.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObservationReceipt {
    /// How many observations were kept; 0 for a batch that was applied before.
    pub accepted: u64,
    /// How many were dropped: of another organization's project or key, or older than what is kept.
    pub refused: u64,
    /// Chains that the observations refer to and that were never sent. If there are any, nothing of
    /// the batch was applied: send it again with the same number and with these chains.
    pub unknown_chains: Vec<ChainDigest>,
    /// How many of the `refusals` were kept; absent when none were sent, or the server keeps none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub refusals: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_base_64_and_never_shown() {
        let der = Der(vec![0x30, 0xff, 0x00]);
        let text = serde_json::to_string(&der).unwrap();
        assert_eq!(text, "\"MP8A\"");
        assert_eq!(serde_json::from_str::<Der>(&text).unwrap(), der);
        assert_eq!(format!("{der:?}"), "Der(3 bytes)");
        assert!(serde_json::from_str::<Der>("\"MP8\"").is_err());
    }
}
