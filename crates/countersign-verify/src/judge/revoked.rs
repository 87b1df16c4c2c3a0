//! Holds a path that verified to the revocation lists.

use countersign_types::{UnixSeconds, bundle::CrlMissing};

use crate::{
    budget::{self, Budget},
    crl::IssuerDigest,
    path::Fault,
    refusal::Reason,
    revocation::List,
    revoked_by::NoCurrentList,
    trust::{Applicable, Candidate},
    x509::Certificate,
};

/// What the lists said of a path that none of them refuses.
#[derive(Clone, Copy)]
pub(super) struct Unrevoked {
    /// Until when that holds, in Unix seconds.
    pub(super) until: UnixSeconds,
    /// Whether a current list was missing, and the anchor allows that.
    pub(super) list_missing: bool,
}

impl Unrevoked {
    const NOTHING_SAID: Self = Self {
        until: UnixSeconds::MAX,
        list_missing: false,
    };
}

/// Looks up every certificate of a path, the leaf first, in the lists of its issuer: the next certificate, or
/// the anchor. Lists of every anchor that is active here count, whichever they were kept for: the issuer is a
/// name and a key, so a CA that is an anchor twice, or that two anchors signed, has one list.
pub(super) fn check(
    path: &[&Certificate<'_>],
    (candidate, applicable): (Candidate<'_>, Applicable<'_>),
    now: UnixSeconds,
    budget: &Budget,
) -> Result<Unrevoked, Fault> {
    let anchor = candidate.anchor;
    let missing = anchor.lists.missing();
    if missing.is_none() && !applicable.has_lists() {
        return Ok(Unrevoked::NOTHING_SAID);
    }
    let mut said = Unrevoked::NOTHING_SAID;
    for (position, certificate) in path.iter().enumerate() {
        let fault = |reason| Fault {
            reason,
            certificate: Some(position),
        };
        let price = budget::reading(certificate.serial.len());
        let charged = budget.charge(price);
        charged.map_err(|_| fault(Reason::Budget("serial numbers to look up")))?;
        let issuer = match path.get(position + 1) {
            Some(issuer) => IssuerDigest::of(issuer.subject, issuer.key),
            None => anchor.issuer,
        };
        let list = newest(applicable, issuer, certificate);
        if let Some(revoked) = list.and_then(|list| list.refuses(certificate)) {
            return Err(fault(Reason::Revoked(Box::new(revoked))));
        }
        let ends = list.map(List::next_update);
        let is_current = ends.is_some_and(|ends| now <= ends);
        match missing {
            Some(CrlMissing::Deny) if !is_current => {
                let what = NoCurrentList::new(candidate.id, ends, now);
                return Err(fault(Reason::NoCurrentList(what)));
            }
            Some(CrlMissing::Deny) => said.until = ends.unwrap_or(0).min(said.until),
            Some(CrlMissing::Allow) => said.list_missing |= !is_current,
            None => {}
        }
    }
    Ok(said)
}

/// The latest list of an issuer, of those that speak of a certificate.
fn newest<'t>(
    applicable: Applicable<'t>,
    issuer: IssuerDigest,
    certificate: &Certificate<'_>,
) -> Option<&'t List> {
    let lists = applicable.lists_of(issuer);
    lists
        .filter(|list| list.speaks_of(certificate))
        .max_by_key(|list| (list.this_update(), list.next_update()))
}
