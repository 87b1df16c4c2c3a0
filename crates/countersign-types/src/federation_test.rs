//! What an exchange of a certificate for a token would do, step by step (an extension).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    federation_rule::MatcherValue,
    id::{self, CertificateId, FederationRuleId, ProjectId, ServiceAccountId},
    observation::Der,
    or_unknown::OrUnknown,
};

/// Which exchange to try. No token is issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationTestRequest {
    /// The service account that the workload names.
    #[serde(deserialize_with = "id::checked")]
    pub service_account_id: ServiceAccountId,
    /// The chain that it presents, leaf first, each certificate as base64 of its DER.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 32))]
    pub chain: Vec<Der>,
}

/// The object type `organization.workload_identity_federation_rule.test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FederationTestObject {
    /// `organization.workload_identity_federation_rule.test`
    #[serde(rename = "organization.workload_identity_federation_rule.test")]
    Test,
}

/// What an exchange would do. Steps after one that refuses are shown as far as they can be computed.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationTest {
    /// Always `organization.workload_identity_federation_rule.test`.
    #[cfg_attr(feature = "openapi", schema(value_type = FederationTestObject))]
    pub object: OrUnknown<FederationTestObject>,
    /// The time for which it was judged, in Unix seconds.
    pub judged_at: UnixSeconds,
    /// Whether a token would be issued.
    pub issues: bool,
    /// Why none would be: the first step that refuses.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub refused: Option<FederationTestRefusal>,
    /// The service account's project, if there is such an account.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project_id: Option<ProjectId>,
    /// The anchor that the chain is verified with, if it is.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub certificate_id: Option<CertificateId>,
    /// The leaf's subject, for people.
    pub subject: String,
    /// The leaf's subject alternative names, for people, such as `DNS:a.example`.
    pub subject_alt_names: Vec<String>,
    /// Whether the provider's condition holds; absent when it has none, or has no answer.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub condition_holds: Option<bool>,
    /// The attributes, as the provider computes them.
    pub attributes: Vec<TestedAttribute>,
    /// The provider's rules for the service account, oldest first.
    pub rules: Vec<TestedRule>,
}

/// Why no token would be issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationTestRefusal {
    /// What the workload would be told as `error`.
    pub error: String,
    /// Why, which it is not told.
    pub reason: String,
}

/// An attribute of the leaf.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestedAttribute {
    /// Its name.
    pub attribute: String,
    /// Its value.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub value: Option<MatcherValue>,
    /// Why it has none.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub why_none: Option<String>,
}

/// A rule, and whether it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestedRule {
    /// The rule.
    pub rule_id: FederationRuleId,
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub name: Option<String>,
    /// Whether it matches.
    pub matches: bool,
    /// Why it does not.
    pub why_not: Vec<String>,
}
