//! New keys: drawn at random, shown once, and stored as a digest.

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    id::{ApiKeyId, ProjectId, ServiceAccountId},
    secret::Secret,
};

use super::{StoreError, sources::Sources};

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
            project: None,
            service_account: None,
            permissions: String::new(),
            created_at: sources.now(),
            expires_at: None,
        })
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
