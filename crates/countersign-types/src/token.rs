//! Tokens of workloads: what they claim, how a certificate is exchanged for one, and what gateways need to
//! verify them (docs/specification.md, section 6).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    compact_jws::PublicKey,
    digest::Sha256,
    id::{
        self, CertificateId, FederationRuleId, OrganizationId, ProjectId, ServiceAccountId,
        TokenId, TokenKeyId, WorkloadIdentityProviderId,
    },
    observation::Der,
    secret::Secret,
};

/// The `typ` of a token's header (RFC 9068 section 2.1).
pub const TOKEN_TYPE: &str = "at+jwt";
/// Who issues tokens.
pub const ISSUER: &str = "countersign";
/// How long a token lives at most, in seconds.
pub const MAX_TOKEN_SECONDS: u64 = 3600;

/// What a token claims. A gateway believes it once the signature is verified.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// Always [`ISSUER`].
    pub iss: String,
    /// The service account.
    pub sub: ServiceAccountId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its project.
    pub project: ProjectId,
    /// The provider that computed the attributes.
    pub provider: WorkloadIdentityProviderId,
    /// The rule that matched them.
    pub rule: FederationRuleId,
    /// The anchor that the certificate was verified with.
    pub certificate: CertificateId,
    /// The digest of what admitted it: see [`BundleFederationRule::admission`].
    pub admission: Sha256,
    /// The marks of the leaf that it was exchanged for, so that a denial of the leaf ends it; absent from
    /// earlier versions.
    #[serde(default)]
    pub leaf: Option<String>,
    /// Its scopes, with spaces between them; absent for those of the service account.
    pub scope: Option<String>,
    /// When it was issued, in Unix seconds.
    pub iat: UnixSeconds,
    /// The second at which it stops working.
    pub exp: UnixSeconds,
    /// Its id.
    pub jti: TokenId,
}

/// What gateways need of an organization to verify its tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleFederation {
    /// The public keys of tokens, oldest first.
    pub keys: Vec<BundleTokenKey>,
    /// The rules that admit workloads: enabled, of enabled providers.
    pub rules: Vec<BundleFederationRule>,
}

/// A public key of tokens.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleTokenKey {
    /// Its id, which tokens name as `kid`.
    #[serde(deserialize_with = "id::checked")]
    pub id: TokenKeyId,
    /// The Ed25519 public key.
    pub public_key: PublicKey,
    /// The second from which nothing is signed with it any more and no token that it signed lives; absent
    /// for the newest.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub expires_at: Option<UnixSeconds>,
}

/// A rule that admits workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleFederationRule {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: FederationRuleId,
    /// Its provider.
    #[serde(deserialize_with = "id::checked")]
    pub provider: WorkloadIdentityProviderId,
    /// The service account's project.
    #[serde(deserialize_with = "id::checked")]
    pub project: ProjectId,
    /// The service account.
    #[serde(deserialize_with = "id::checked")]
    pub service_account: ServiceAccountId,
    /// The digest of all that decides whom it admits and to what: transformations, conditions,
    /// matchers, permissions. A change of any ends the tokens of before.
    pub admission: Sha256,
}

/// What a gateway asks when a workload exchanges its certificate. The handshake proved that the workload
/// holds the leaf's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenExchangeRequest {
    /// The provider, as the workload named it.
    pub identity_provider_id: String,
    /// The service account, as the workload named it.
    pub service_account_id: String,
    /// The chain that it presented, leaf first, each certificate as base64 of its DER; empty for none.
    #[cfg_attr(feature = "openapi", schema(max_items = 32))]
    pub chain: Vec<Der>,
}

/// What became of an exchange.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TokenExchange {
    /// A token was issued.
    Issued {
        /// The token.
        access_token: Secret,
        /// The second at which it stops working.
        expires_at: UnixSeconds,
        /// Its scopes; absent for those of the service account.
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        scope: Option<String>,
    },
    /// No token was issued.
    Refused {
        /// What the workload is told.
        error: TokenError,
        /// Why, for the operator and for nobody else.
        reason: String,
    },
}

/// What a workload is told whose exchange is refused (RFC 6749, section 5.2, and RFC 8693).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenError {
    /// The certificate is missing, malformed, not verified, or refused by a policy.
    InvalidSubjectToken,
    /// No provider, service account or rule admits the workload.
    InvalidGrant,
    /// The request is not one for a token.
    InvalidRequest,
    /// Another grant than a token exchange.
    UnsupportedGrantType,
    /// Another path or method than that of exchanges.
    Forbidden,
    /// It could not be decided.
    TokenExchangeServerError,
}

impl TokenError {
    /// The value of `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSubjectToken => "invalid_subject_token",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::Forbidden => "forbidden",
            Self::TokenExchangeServerError => "token_exchange_server_error",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidSubjectToken => 401,
            Self::InvalidGrant | Self::InvalidRequest | Self::UnsupportedGrantType => 400,
            Self::Forbidden => 403,
            Self::TokenExchangeServerError => 503,
        }
    }

    /// The value of `error_description`: a fixed sentence, so that nobody learns what is trusted.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::InvalidSubjectToken => "The client certificate is missing or is not accepted.",
            Self::InvalidGrant => {
                "This identity provider does not give this workload a token of this service account."
            }
            Self::InvalidRequest => {
                "The request is not a token exchange. Send a JSON object with `grant_type`, \
                 `subject_token_type`, `identity_provider_id` and `service_account_id`, and nothing else."
            }
            Self::UnsupportedGrantType => {
                "`grant_type` must be `urn:ietf:params:oauth:grant-type:token-exchange`."
            }
            Self::Forbidden => "Only `POST /oauth/token` is served here.",
            Self::TokenExchangeServerError => "The token could not be issued. Try again.",
        }
    }
}
