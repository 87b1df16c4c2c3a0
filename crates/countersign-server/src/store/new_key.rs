//! New keys: drawn at random, shown once, and stored as a digest.

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    digest::KeyDigest,
    id::{ApiKeyId, OrganizationId, ProjectId, ServiceAccountId},
    secret::Secret,
};

use super::{StoreError, connection::Connection, sources::Sources, value::params};

/// 200 bits: lists show the last 20 of them, so 180 stay secret (docs/specification.md,
/// section 1, asks for 160).
const RANDOM_BYTES: usize = 25;

/// Lower-case Crockford base 32, as ids are written.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A key that is about to be stored, all but its value.
pub(super) struct NewKey<'a> {
    pub id: ApiKeyId,
    pub kind: KeyKind,
    pub value: Secret,
    pub name: &'a str,
    pub organization: Option<&'a OrganizationId>,
    pub project: Option<&'a ProjectId>,
    pub service_account: Option<&'a ServiceAccountId>,
    /// Names of permissions, a space between them.
    pub permissions: String,
    pub created_at: UnixSeconds,
    pub expires_at: Option<UnixSeconds>,
}

impl<'a> NewKey<'a> {
    /// Draws a key that belongs to nobody yet and has no permissions.
    pub(super) fn mint(
        sources: &Sources,
        kind: KeyKind,
        name: &'a str,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: ApiKeyId::from_random(sources.id()?),
            kind,
            value: Secret::new(kind.prefix().to_owned() + &encode(&sources.bytes()?)),
            name,
            organization: None,
            project: None,
            service_account: None,
            permissions: String::new(),
            created_at: sources.now(),
            expires_at: None,
        })
    }

    pub(super) async fn insert(&self, connection: &mut Connection) -> Result<u64, StoreError> {
        let redacted = self.value.redacted();
        connection
            .execute(
                "INSERT INTO api_keys (id, kind, organization_id, project_id, \
                 service_account_id, name, digest, redacted_value, permissions, created_at, \
                 expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                params![
                    self.id,
                    self.kind.as_str(),
                    self.organization.map(OrganizationId::as_str),
                    self.project.map(ProjectId::as_str),
                    self.service_account.map(ServiceAccountId::as_str),
                    self.name,
                    KeyDigest::of(self.value.reveal()).as_bytes(),
                    redacted,
                    self.permissions,
                    self.created_at,
                    self.expires_at,
                ],
            )
            .await
    }
}

/// Five bits a character; 25 bytes are 40 of them.
fn encode(random: &[u8; RANDOM_BYTES]) -> String {
    let mut text = String::with_capacity(RANDOM_BYTES * 8 / 5);
    for five in random.chunks_exact(5) {
        let bits = five
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = usize::try_from((bits >> (5 * place)) & 31).unwrap_or_default();
            text.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
        }
    }
    text
}
