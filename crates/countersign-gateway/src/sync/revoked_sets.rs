//! The serial numbers that revocation lists name. A bundle has their digests; the sets are fetched by those, once,
//! whichever organizations have them.
//!
//! What a bundle says is put in force only with all of its sets. Of what changed, a set that cannot be had holds back
//! only the anchor that it belongs to: that one keeps the lists that it had, and the change is not reported. A set
//! that a later list has replaced is not there any more; then the next pull brings that list.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use countersign_client::{Countersign, Error};
use countersign_types::{
    bundle::{Bundle, OrganizationBundle},
    digest::Sha256,
    id::CertificateId,
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
        list.set = Some(find(countersign, known, list.revoked).await?);
    }
    Ok(())
}

/// Puts its set to every list of what changed. An anchor of whose lists a set cannot be had keeps the lists that it
/// has in force; an organization where that anchor is new is left out. What could not be had, if anything could
/// not.
pub(super) async fn complete_changes(
    countersign: &Countersign,
    known: &KnownSets,
    in_force: &ArcSwap<Snapshot>,
    changed: &mut Vec<OrganizationBundle>,
) -> Result<Option<Error>, Error> {
    let mut trouble = None;
    let mut kept = Vec::with_capacity(changed.len());
    for mut organization in std::mem::take(changed) {
        let mut without = HashSet::new();
        for certificate in &mut organization.certificates {
            let lists = certificate.revocation.iter_mut();
            for list in lists.flat_map(|each| &mut each.lists) {
                match find(countersign, known, list.revoked).await {
                    Ok(set) => list.set = Some(set),
                    Err(error) if is_of_the_set(&error) => {
                        without.insert(certificate.id.clone());
                        trouble = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if without.is_empty() || keep_lists(&mut organization, &without, &in_force.load()) {
            kept.push(organization);
        }
    }
    *changed = kept;
    Ok(trouble)
}

/// Whether the control plane answered, and has not got the set as it should be.
fn is_of_the_set(error: &Error) -> bool {
    matches!(error, Error::Decode { .. }) || matches!(error.status(), Some(404 | 500))
}

/// Gives anchors the lists that they have in force, if all of them are.
fn keep_lists(
    organization: &mut OrganizationBundle,
    anchors: &HashSet<CertificateId>,
    in_force: &Snapshot,
) -> bool {
    let before = in_force.organization(&organization.id);
    let before = before.map_or(&[][..], |before| &before.bundle().certificates);
    let certificates = organization.certificates.iter_mut();
    for certificate in certificates.filter(|each| anchors.contains(&each.id)) {
        let Some(before) = before.iter().find(|each| each.id == certificate.id) else {
            return false;
        };
        certificate.revocation.clone_from(&before.revocation);
    }
    // It is not what the control plane has, and must not pass for it.
    let digest = organization.digest.map(|digest| digest.to_string());
    organization.digest = digest.map(|digest| Sha256::of(format!("earlier lists: {digest}")));
    true
}

async fn find(
    countersign: &Countersign,
    known: &KnownSets,
    sha256: Sha256,
) -> Result<Arc<RevokedSet>, Error> {
    Ok(match known.find(sha256) {
        Some(set) => set,
        None => known.add(Arc::new(fetch(countersign, sha256).await?)),
    })
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
