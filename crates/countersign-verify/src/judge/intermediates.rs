//! What a client presented after its leaf: what may be on a path, what may not and why, and what
//! seems to be missing.

use countersign_types::UnixSeconds;

use super::trace::{At, Trace, issuer_not_presented};
use crate::{
    budget::{self, Budget, MAX_INTERMEDIATE_BYTES, MAX_INTERMEDIATES},
    path_building::{Found, Intermediate},
    presented::Presented,
    refusal::{Reason, Step},
    rules,
    x509::Certificate,
};

/// The most missing issuers that are named. A chain that lacks one has one such end, seldom two.
const MAX_MISSING: usize = 4;

/// The certificates after the leaf.
pub(super) struct Intermediates<'a> {
    /// Those that may be on a path.
    pub(super) usable: Vec<Intermediate<'a>>,
    unusable: Vec<Unusable<'a>>,
}

/// A certificate that could not sign on any path.
struct Unusable<'a> {
    /// Its fields, if they can be read.
    fields: Option<Certificate<'a>>,
}

impl<'a> Intermediates<'a> {
    /// Reads what was presented, and traces what cannot be used.
    pub(super) fn read(
        presented: &'a Presented,
        now: UnixSeconds,
        budget: &Budget,
        trace: &mut Trace,
    ) -> Result<Self, Reason> {
        let ders = presented.intermediates();
        let bytes: usize = ders.iter().map(|der| der.len()).sum();
        if ders.len() > MAX_INTERMEDIATES || bytes > MAX_INTERMEDIATE_BYTES {
            return Err(Reason::Budget("certificates presented"));
        }
        let (mut usable, mut unusable) = (Vec::new(), Vec::new());
        for (der, position) in ders.iter().zip(1..) {
            let charged = budget.charge(budget::reading(der.len()));
            charged.map_err(|_| Reason::Budget("bytes of certificates presented"))?;
            let (fields, reason) = match Certificate::read(der) {
                Err(what) => (None, Reason::Malformed(what)),
                Ok(fields) => match check(&fields, now) {
                    Err(reason) => (Some(fields), reason),
                    Ok(()) => {
                        usable.push(Intermediate {
                            position,
                            der,
                            fields,
                        });
                        continue;
                    }
                },
            };
            let at = At(position, fields.as_ref());
            trace.add(None, Some(at), Step::ChainPath, reason);
            unusable.push(Unusable { fields });
        }
        Ok(Self { usable, unusable })
    }

    /// An intermediate by its index among the usable ones, as the trace names it.
    pub(super) fn at(&self, index: usize) -> Option<At<'_>> {
        let one = self.usable.get(index)?;
        Some(At(one.position, Some(&one.fields)))
    }

    /// Traces where paths ended because nothing has the issuer's key. Not if it was presented and
    /// could not be used, which the trace says already, or if something that cannot be read may be
    /// the issuer.
    pub(super) fn trace_missing(
        &self,
        leaf: &Certificate<'_>,
        found: &Found<'_>,
        trace: &mut Trace,
    ) {
        if self.unusable.iter().any(|one| one.fields.is_none()) {
            return;
        }
        for end in found.dead_ends.iter().take(MAX_MISSING) {
            let issued = match end {
                None => Some(At(0, Some(leaf))),
                Some(index) => self.at(*index),
            };
            let Some(at @ At(_, Some(fields))) = issued else {
                continue;
            };
            let unusable = self.unusable.iter().any(|one| one.may_have_signed(fields));
            if !unusable && let Some(reason) = issuer_not_presented(fields) {
                trace.add(None, Some(at), Step::ChainPath, reason);
            }
        }
    }

    /// Traces intermediates with the right key whose name the certificates below write in other
    /// string types.
    pub(super) fn trace_other_encodings(&self, leaf: &Certificate<'_>, trace: &mut Trace) {
        for (index, one) in self.usable.iter().enumerate() {
            let below = self.usable.iter().map(|one| &one.fields);
            let reason = [leaf]
                .into_iter()
                .chain(below)
                .filter(|issued| {
                    issued.extensions.authority_key == one.fields.extensions.subject_key
                })
                .filter(|issued| issued.issuer != one.fields.subject)
                .find_map(|issued| trace.same_text(issued.issuer, one.fields.subject));
            if let Some(reason) = reason {
                trace.add(None, self.at(index), Step::ChainPath, reason);
            }
        }
    }
}

/// Whether a certificate could sign on any path.
fn check(fields: &Certificate<'_>, now: UnixSeconds) -> Result<(), Reason> {
    rules::check_dates(fields, now)?;
    rules::check_intermediate(fields)
}

impl Unusable<'_> {
    /// Whether it has the key, by its identifier or its owner's name, that signed a certificate.
    fn may_have_signed(&self, issued: &Certificate<'_>) -> bool {
        self.fields.as_ref().is_some_and(|fields| {
            let key = fields.extensions.subject_key;
            let same_key = key.is_some() && key == issued.extensions.authority_key;
            same_key || fields.subject == issued.issuer
        })
    }
}
