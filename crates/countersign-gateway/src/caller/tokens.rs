//! The tokens that were verified: each once, and then known by its digest.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    compact_jws::Unverified,
    digest::KeyDigest,
    id::TokenKeyId,
    token::{ISSUER, TOKEN_TYPE, TokenClaims},
};

use super::{
    identity::{Identity, TokenIdentity},
    snapshot::Snapshot,
    token::Token,
};

/// The longest text that is looked at as a token.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The most tokens that are known at a time.
const MOST_KNOWN: usize = 65_536;

/// The tokens that were verified, by the digests of their texts.
#[derive(Debug, Default)]
pub(crate) struct Tokens(RwLock<HashMap<KeyDigest, Arc<Token>>>);

impl Tokens {
    /// The token of this text, if it is one.
    pub(crate) fn find(
        &self,
        text: &[u8],
        snapshot: &Snapshot,
        now: UnixSeconds,
    ) -> Option<Arc<Token>> {
        let digest = KeyDigest::of(text);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = known.get(&digest) {
            return Some(Arc::clone(token));
        }
        drop(known);
        let token = Arc::new(verify(text, snapshot, now)?);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, token| now < token.claims.exp);
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(digest, Arc::clone(&token));
        Some(token)
    }
}

/// Reads a token and verifies its signature with the key of its organization; none if it is no token of ours,
/// or nobody's.
fn verify(text: &[u8], snapshot: &Snapshot, now: UnixSeconds) -> Option<Token> {
    if text.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let unverified = Unverified::read(text, TOKEN_TYPE)?;
    let claimed: TokenClaims = unverified.claims_unverified()?;
    let key: TokenKeyId = unverified.key().parse().ok()?;
    let organization = snapshot.organization(&claimed.organization)?;
    let public_key = organization.federation().key(&key, now)?;
    let claims: TokenClaims = unverified.verify(public_key)?;
    if claims.iss != ISSUER || claims.exp <= now {
        return None;
    }
    let identity = Identity::of_token(
        claims.organization.clone(),
        Scope::Project(claims.project.clone()),
        claims.exp,
        TokenIdentity {
            id: claims.jti.clone(),
            service_account: claims.sub.clone(),
            scope: claims.scope.clone(),
        },
    );
    Some(Token {
        claims,
        key,
        identity: Arc::new(identity),
    })
}
