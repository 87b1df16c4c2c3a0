//! Receipts: what a gateway signs of a verdict, and the keys that it signs with (docs/receipts.md).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    compact_jws::{PublicKey, SigningKey, UnusableKey, Unverified},
    digest::Sha256,
    history::RevisionToken,
    id::{
        self, ApiKeyId, CertificateId, GatewayId, OrganizationId, ProjectId, ReceiptKeyId,
        RequestId, ServiceAccountId, TokenId,
    },
    or_unknown::OrUnknown,
    page::Listed,
};

/// The `typ` of a receipt's header.
pub const RECEIPT_TYPE: &str = "countersign-receipt+jwt";
/// The `typ` of the header with which a gateway proves that it has a key.
pub const RECEIPT_KEY_PROOF_TYPE: &str = "countersign-receipt-key+jwt";
/// The code of a receipt of a request that passed; of one that was refused it is the error's.
pub const PERMIT: &str = "permit";
/// For how many organizations a key is registered at a time.
pub const MAX_REGISTERED_AT_ONCE: usize = 64;

/// What a receipt says: who called with what, and under which state of the organization's trust a gateway
/// decided what. It names no certificate's contents and no key's value.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptClaims {
    /// The gateway that decided.
    pub gateway: GatewayId,
    /// When, in Unix seconds, by the gateway's clock.
    pub time: UnixSeconds,
    /// The request's id.
    pub request_id: RequestId,
    /// Whose trust decided.
    pub organization: OrganizationId,
    /// The project that was called as.
    pub project: ProjectId,
    /// The key that was called with; absent where a token was, or where the gateway knows the project
    /// otherwise.
    pub key: Option<ApiKeyId>,
    /// The token that was called with.
    pub token: Option<TokenId>,
    /// The service account that the token is of.
    pub service_account: Option<ServiceAccountId>,
    /// The SHA-256 of the client's certificate: verified, if there is an anchor.
    pub leaf_sha256: Option<Sha256>,
    /// The anchor that it verified under; absent where none was active, and of most refusals.
    pub anchor: Option<CertificateId>,
    /// [`PERMIT`], or the code of the refusal.
    pub code: String,
    /// The revision of the organization's latest change that the gateway enforced.
    pub revision: u64,
    /// That change's token.
    pub revision_token: RevisionToken,
    /// The digest of the organization's bundle at that revision.
    pub bundle_sha256: Option<Sha256>,
    /// The organization's newest audit event at that revision: its number.
    pub audit_number: u64,
    /// Its hash.
    pub audit_sha256: Sha256,
}

/// What a gateway signs to prove that it has the private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptKeyProof {
    /// The gateway.
    #[serde(deserialize_with = "id::checked")]
    pub gateway: GatewayId,
    /// The key.
    pub public_key: PublicKey,
}

/// A gateway asks that organizations believe its receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptKeyRegistration {
    /// The gateway's id and its public key, as a compact JWS that the key signed.
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub proof: String,
    /// For which organizations.
    #[serde(deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 64))]
    pub organizations: Vec<OrganizationId>,
}

/// For which organizations a key is registered now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredReceiptKey {
    /// The key's id, which receipts name as `kid`.
    pub id: ReceiptKeyId,
    /// Of the organizations that were asked for, those that the gateway's key reaches.
    pub organizations: Vec<OrganizationId>,
    /// Those that it reaches and where the key was withdrawn: it is not registered there again. Absent where
    /// there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub withdrawn: Vec<OrganizationId>,
}

/// The object type `organization.receipt_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReceiptKeyObject {
    /// `organization.receipt_key`
    #[serde(rename = "organization.receipt_key")]
    Key,
}

/// A key that a gateway signs receipts with. The event that registered it has the public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptKey {
    /// Always `organization.receipt_key`.
    #[cfg_attr(feature = "openapi", schema(value_type = ReceiptKeyObject))]
    pub object: OrUnknown<ReceiptKeyObject>,
    /// Its id, `rk_…`, which receipts name as `kid`.
    pub id: ReceiptKeyId,
    /// The gateway that signs with it.
    pub gateway_id: GatewayId,
    /// The gateway key that it was registered with; null once it was withdrawn.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub gateway_key_id: Option<ApiKeyId>,
    /// When it was registered, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was withdrawn, in Unix seconds; null while it is believed.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub withdrawn_at: Option<UnixSeconds>,
}

impl Listed for ReceiptKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl ReceiptKeyId {
    /// The id of a key: the first half of its SHA-256.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let digest = Sha256::of(key.as_bytes());
        let half = digest.as_bytes().first_chunk().copied();
        Self::from_random(u128::from_be_bytes(half.unwrap_or_default()))
    }
}

impl ReceiptKeyProof {
    /// Signs it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn sign(&self, key: &SigningKey) -> Result<String, serde_json::Error> {
        key.sign(RECEIPT_KEY_PROOF_TYPE, self)
    }

    /// What a proof proves; none if it proves nothing.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let unverified = Unverified::read(text.as_bytes(), RECEIPT_KEY_PROOF_TYPE)?;
        let claimed: Self = unverified.claims_unverified()?;
        unverified.verify(&claimed.public_key)
    }
}

/// A key from its seed, with the id that receipts name it by.
///
/// # Errors
/// When the seed is not 32 bytes.
pub fn receipt_key(seed: &[u8]) -> Result<(SigningKey, PublicKey, ReceiptKeyId), UnusableKey> {
    let public = SigningKey::new("", seed)?.public_key()?;
    let id = ReceiptKeyId::of(&public);
    Ok((SigningKey::new(id.as_str(), seed)?, public, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_believed_of_whoever_has_the_key_alone() {
        let (key, public_key, id) = receipt_key(&[1; 32]).unwrap();
        let proof = ReceiptKeyProof {
            gateway: GatewayId::from_random(1),
            public_key,
        };
        let text = proof.sign(&key).unwrap();
        assert_eq!(ReceiptKeyProof::read(&text), Some(proof.clone()));
        assert_eq!(id, ReceiptKeyId::of(&public_key));
        let (other, ..) = receipt_key(&[2; 32]).unwrap();
        let stolen = proof.sign(&other).unwrap();
        let receipt = key.sign(RECEIPT_TYPE, &proof).unwrap();
        for wrong in ["", &stolen, &receipt, &text[..text.len() - 2]] {
            assert_eq!(ReceiptKeyProof::read(wrong), None, "{wrong}");
        }
        assert!(receipt_key(&[1; 31]).is_err());
    }
}
