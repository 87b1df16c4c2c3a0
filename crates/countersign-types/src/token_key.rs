//! Keys that tokens of workloads are signed with (an extension).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds, compact_jws::PublicKey, id::TokenKeyId, not_null::not_null, or_unknown::OrUnknown,
    page::Listed,
};

/// The object type `organization.token_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenKeyObject {
    /// `organization.token_key`
    #[serde(rename = "organization.token_key")]
    Key,
}

/// A key that tokens are signed with. Its private half never leaves the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenKey {
    /// Always `organization.token_key`.
    #[cfg_attr(feature = "openapi", schema(value_type = TokenKeyObject))]
    pub object: OrUnknown<TokenKeyObject>,
    /// Its id, `tk_…`, which tokens name as `kid`.
    pub id: TokenKeyId,
    /// The Ed25519 public key, as a JWK has it in `x`.
    pub public_key: PublicKey,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// From when on it signs, in Unix seconds: gateways know it before.
    pub signs_at: UnixSeconds,
    /// When no token that it signed lives any more; null for the newest.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub expires_at: Option<UnixSeconds>,
}

impl Listed for TokenKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Puts a new key in place of the newest.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenKeyRotateRequest {
    /// Whether the keys of before end at once, and every token of the organization with them: for a key
    /// that may be known to others. Without it, no token is refused.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub at_once: Option<bool>,
}
