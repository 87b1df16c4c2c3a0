//! Assertions: which chains must pass at a scope, and which must be refused. Every change of trust is
//! judged against them before it is made (an extension).

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::Scope,
    digest::Sha256,
    error::ErrorCode,
    id::{self, AssertionId, ProjectId},
    not_null::not_null,
    observation::Der,
    or_unknown::OrUnknown,
    page::Listed,
    workload::WorkloadLeaf,
};

/// The most certificates of an assertion's chain: what a gateway takes in a handshake.
pub const MAX_ASSERTED_CERTIFICATES: usize = 32;
/// The most bytes that they have together, in DER: what a gateway takes in a handshake.
pub const MAX_ASSERTED_BYTES: usize = 16 * 1024;
/// The most characters of the reason for an assertion.
pub const MAX_REASON_CHARACTERS: usize = 1024;
/// The query parameter of a change that is made although it breaks assertions.
pub const ALLOW_BROKEN_ASSERTIONS: &str = "allow_broken_assertions";

/// Which object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AssertionObject {
    /// An assertion.
    #[serde(rename = "organization.assertion")]
    Assertion,
}

/// What must happen to a chain, or what happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// It passes: it verifies, or no certificate is required at the scope.
    Permit,
    /// It is refused.
    Deny,
}

impl Expectation {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

/// A word that is neither `permit` nor `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownExpectation;

impl FromStr for Expectation {
    type Err = UnknownExpectation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Permit, Self::Deny];
        let found = all.into_iter().find(|one| one.as_str() == text);
        found.ok_or(UnknownExpectation)
    }
}

/// The codes that a chain can be refused with for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AssertedCode {
    /// No certificate is presented, and one is required.
    CertificateRequired,
    /// The leaf cannot be parsed, or has no Authority Key Identifier.
    InvalidCertificate,
    /// No path leads to an active anchor.
    CertificateVerificationFailed,
    /// The path verifies, and the anchor's policy refuses the leaf.
    CertificateAttributeVerificationFailed,
}

impl AssertedCode {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::CertificateRequired,
        Self::InvalidCertificate,
        Self::CertificateVerificationFailed,
        Self::CertificateAttributeVerificationFailed,
    ];

    /// The code that requests are refused with.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::CertificateRequired => ErrorCode::CertificateRequired,
            Self::InvalidCertificate => ErrorCode::InvalidCertificate,
            Self::CertificateVerificationFailed => ErrorCode::CertificateVerificationFailed,
            Self::CertificateAttributeVerificationFailed => {
                ErrorCode::CertificateAttributeVerificationFailed
            }
        }
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.code().as_str()
    }
}

/// A text that is no code of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAssertedCode;

impl FromStr for AssertedCode {
    type Err = UnknownAssertedCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(UnknownAssertedCode)
    }
}

/// An assertion: at this scope, this chain must pass or must be refused.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Assertion {
    /// Always `organization.assertion`.
    #[cfg_attr(feature = "openapi", schema(value_type = AssertionObject))]
    pub object: OrUnknown<AssertionObject>,
    /// Its id, `asrt_…`.
    pub id: AssertionId,
    /// Its name, which no other assertion of the organization has.
    pub name: String,
    /// Why it was made.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reason: Option<String>,
    /// The project whose keys it is about; null is the organization, as for admin keys.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub project_id: Option<ProjectId>,
    /// What must happen.
    #[cfg_attr(feature = "openapi", schema(value_type = Expectation))]
    pub expect: OrUnknown<Expectation>,
    /// The code that the chain must be refused with; absent for any.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<AssertedCode>))]
    pub code: Option<OrUnknown<AssertedCode>>,
    /// The chain, leaf first, each certificate as base64 of its DER; empty for a client that
    /// presents none.
    pub chain: Vec<Der>,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
}

impl Assertion {
    /// Where it holds or does not.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::from(self.project_id.clone())
    }
}

impl Listed for Assertion {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates an assertion.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssertionCreateRequest {
    /// Its name: 1 to 256 characters, no control characters, and no other assertion's.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// Why it is made: 1 to 1,024 characters.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 1024)
    )]
    pub reason: Option<String>,
    /// The project; without it, the organization.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project_id: Option<ProjectId>,
    /// What must happen.
    pub expect: Expectation,
    /// The code that the chain must be refused with. Only with `deny`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub code: Option<AssertedCode>,
    /// The chain, leaf first, each certificate as base64 of its DER; empty for a client that
    /// presents none. At most 32 certificates and 16 KiB. Exactly one of this and `leaf_sha256` is given.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 32))]
    pub chain: Option<Vec<Der>>,
    /// The SHA-256 of a client certificate that gateways let through lately: the chain that it came with
    /// last is taken.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub leaf_sha256: Option<Sha256>,
}

/// Changes what an assertion is called and why it is there; what is absent stays as it is. Another
/// expectation is another assertion.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssertionUpdateRequest {
    /// The new name.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 256)
    )]
    pub name: Option<String>,
    /// The new reason; empty for none.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_length = 1024))]
    pub reason: Option<String>,
}

/// The response to deleting an assertion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedAssertion {
    /// Always `organization.assertion.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedAssertionObject))]
    pub object: OrUnknown<DeletedAssertionObject>,
    /// Its id.
    pub id: AssertionId,
    /// Always true.
    pub deleted: bool,
}

/// The object type `organization.assertion.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedAssertionObject {
    /// `organization.assertion.deleted`
    #[serde(rename = "organization.assertion.deleted")]
    Deleted,
}

/// Whether an assertion holds, and what decided it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssertionResult {
    /// The assertion.
    pub assertion_id: AssertionId,
    /// Its name.
    pub name: String,
    /// The project that it is about; null is the organization.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub project_id: Option<ProjectId>,
    /// What must happen.
    #[cfg_attr(feature = "openapi", schema(value_type = Expectation))]
    pub expect: OrUnknown<Expectation>,
    /// The code that the chain must be refused with; absent for any.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<AssertedCode>))]
    pub code: Option<OrUnknown<AssertedCode>>,
    /// Whether it holds.
    pub holds: bool,
    /// What happens.
    #[cfg_attr(feature = "openapi", schema(value_type = Expectation))]
    pub verdict: OrUnknown<Expectation>,
    /// The code that the chain is refused with; absent if it passes.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<String>))]
    pub verdict_code: Option<OrUnknown<ErrorCode>>,
    /// Why, in words, for the operator.
    pub why: String,
    /// The leaf; absent when none is presented.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub leaf: Option<WorkloadLeaf>,
    /// Whether the leaf is outside its own validity. Such a chain is refused whatever is trusted, so
    /// the assertion says nothing about trust any more: give it a current chain, or delete it.
    pub leaf_expired: bool,
}

/// Whether the organization's assertions hold by what is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssertionRun {
    /// Always `organization.assertion.run`.
    #[cfg_attr(feature = "openapi", schema(value_type = AssertionRunObject))]
    pub object: OrUnknown<AssertionRunObject>,
    /// The time for which they were judged, in Unix seconds.
    pub judged_at: UnixSeconds,
    /// Whether all of them hold.
    pub holds: bool,
    /// Each of them, oldest first.
    pub results: Vec<AssertionResult>,
}

/// The object type `organization.assertion.run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AssertionRunObject {
    /// `organization.assertion.run`
    #[serde(rename = "organization.assertion.run")]
    Run,
}
