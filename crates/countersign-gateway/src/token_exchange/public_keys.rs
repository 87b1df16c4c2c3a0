//! The public keys of tokens, as a JWK set (RFC 7517, RFC 8037).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use countersign_types::UnixSeconds;
use serde_json::json;

use crate::caller::snapshot::Snapshot;

/// Where they are.
pub(super) const PATH: &str = "/.well-known/jwks.json";

/// How long a set is shown without another look, in seconds. Whoever likes may ask for it, it has the keys of all
/// organizations, and a client that reads slowly keeps what it was given: it is not written anew at each change. A
/// new key signs after ten minutes.
const LIFE: UnixSeconds = 10;

/// The set as it was written last, of which revision, and when.
#[derive(Debug, Default)]
pub(crate) struct PublicKeys(Mutex<Option<Written>>);

#[derive(Debug)]
struct Written {
    set: Bytes,
    revision: u64,
    at: UnixSeconds,
}

impl PublicKeys {
    /// The keys of all organizations in force.
    pub(crate) fn of(&self, snapshot: &Snapshot, now: UnixSeconds) -> Bytes {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = &*kept {
            let is_young = written.at <= now && now < written.at.saturating_add(LIFE);
            if is_young || written.revision == snapshot.revision {
                return written.set.clone();
            }
        }
        let set = written(snapshot);
        // One with the same keys is the same: nothing of it is kept twice.
        let set = match &*kept {
            Some(before) if before.set == set => before.set.clone(),
            _ => set,
        };
        *kept = Some(Written {
            set: set.clone(),
            revision: snapshot.revision,
            at: now,
        });
        set
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
