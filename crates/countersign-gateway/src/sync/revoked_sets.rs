//! The serial numbers that revocation lists name. A bundle has their digests; the sets are fetched by those, once,
//! whichever organizations have them.
//!
//! What a bundle says is put in force only with all of its sets: until then the bundle before it stays in force. A
//! set that a later list has replaced is not there any more; then the next pull brings that list.

use std::sync::Arc;

use countersign_client::{Countersign, Error};
use countersign_types::{
    bundle::Bundle,
    digest::Sha256,
    known_sets::KnownSets,
    revoked_set::{MAX_REVOKED, RECORD_BYTES, RevokedSet},
};
use data_encoding::BASE64;

use crate::caller::snapshot::Snapshot;

/// How many bytes of sets stay in memory that nothing is judged by: some that came while others failed.
const KEPT_IN_MEMORY: usize = 32 * 1024 * 1024;

/// The sets in memory, to begin with those in force.
pub(super) fn in_force(snapshot: &Snapshot) -> KnownSets {
    let known = KnownSets::keeping(KEPT_IN_MEMORY);
    for organization in snapshot.organizations() {
        for list in organization.bundle().revocation_lists() {
            // The organization keeps it.
            let _ = list.set.as_ref().map(|set| known.add(Arc::clone(set)));
        }
    }
    known
}

/// Puts its set to every list of a bundle.
pub(super) async fn complete(
    countersign: &Countersign,
    known: &KnownSets,
    bundle: &mut Bundle,
) -> Result<(), Error> {
    let organizations = bundle.organizations.iter_mut();
    for list in organizations.flat_map(|each| each.revocation_lists_mut()) {
        list.set = Some(match known.find(list.revoked) {
            Some(set) => set,
            None => known.add(Arc::new(fetch(countersign, list.revoked).await?)),
        });
    }
    Ok(())
}

/// Fetches a set, a part at a time.
async fn fetch(countersign: &Countersign, sha256: Sha256) -> Result<RevokedSet, Error> {
    let mut records = Vec::new();
    let mut from = Some(0);
    while let Some(first) = from {
        let part = countersign.revoked_records(sha256, first).await?.value;
        let decoded = BASE64.decode(part.records.as_bytes());
        let decoded = decoded.map_err(|error| wrong(sha256, &error))?;
        if decoded.is_empty() && part.next.is_some()
            || records.len() + decoded.len() > MAX_REVOKED * RECORD_BYTES
        {
            return Err(wrong(sha256, &"it has no end"));
        }
        records.extend_from_slice(&decoded);
        from = part.next;
    }
    let read = tokio::task::spawn_blocking(move || RevokedSet::read(records)).await;
    let read = read.map_err(|error| wrong(sha256, &error))?;
    let set = read.map_err(|error| wrong(sha256, &error))?;
    if set.sha256() != sha256 {
        return Err(wrong(sha256, &"its bytes have another digest"));
    }
    Ok(set)
}

fn wrong(sha256: Sha256, why: &dyn std::fmt::Display) -> Error {
    Error::Decode {
        origin: "the control plane".to_owned(),
        reason: format!("the set of revoked serial numbers {sha256} is not one: {why}"),
        request_id: None,
    }
}
