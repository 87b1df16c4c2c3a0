//! The public keys of tokens, as a JWK set (RFC 7517, RFC 8037).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::json;

use crate::caller::snapshot::Snapshot;

/// Where they are.
pub(super) const PATH: &str = "/.well-known/jwks.json";

/// The set as it was written last, and for which revision.
#[derive(Debug, Default)]
pub(crate) struct PublicKeys(Mutex<Option<(u64, Bytes)>>);

impl PublicKeys {
    /// The keys of all organizations in force. They are written once for each revision.
    pub(crate) fn of(&self, snapshot: &Snapshot) -> Bytes {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((revision, set)) if *revision == snapshot.revision => set.clone(),
            _ => {
                let set = written(snapshot);
                *kept = Some((snapshot.revision, set.clone()));
                set
            }
        }
    }
}

fn written(snapshot: &Snapshot) -> Bytes {
    let organizations = snapshot.organizations();
    let mut keys: Vec<_> = organizations
        .flat_map(|organization| organization.federation().keys())
        .collect();
    keys.sort_by_key(|(id, _)| (*id).clone());
    let keys = keys.into_iter().map(|(id, key)| {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": key, "kid": id, "alg": "EdDSA", "use": "sig",
        })
    });
    let set = json!({ "keys": keys.collect::<Vec<_>>() });
    Bytes::from(set.to_string())
}
