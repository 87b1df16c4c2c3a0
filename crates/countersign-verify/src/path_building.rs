//! Finds the paths that could lead from a leaf through presented intermediates to an anchor, by
//! names and key identifiers alone. Each is then verified by `path`; none is trusted before.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use countersign_types::UnixSeconds;
use rustls_pki_types::CertificateDer;

use crate::{
    budget::{self, Budget, Exhausted, MAX_PATH_INTERMEDIATES, MAX_POSSIBLE_PATHS},
    refusal::Reason,
    trust::{Applicable, Candidate, Precedence, TrustedAnchor},
    x509::Certificate,
};

/// A presented intermediate that may be on a path.
pub(crate) struct Intermediate<'a> {
    /// Its position in what was presented, the leaf being 0.
    pub(crate) position: usize,
    pub(crate) der: &'a CertificateDer<'static>,
    pub(crate) fields: Certificate<'a>,
}

/// A path to be verified.
pub(crate) struct PossiblePath<'t> {
    pub(crate) candidate: Candidate<'t>,
    /// Indexes of the intermediates, the leaf's issuer first.
    pub(crate) through: Vec<usize>,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found<'t> {
    pub(crate) paths: Vec<PossiblePath<'t>>,
    /// Anchors that a path led to, but that allow no path so long, by their precedence.
    pub(crate) closed_anchors: BTreeMap<(Precedence, usize), Candidate<'t>>,
    /// Intermediates of which the same is true, by their index.
    pub(crate) closed_intermediates: BTreeSet<usize>,
    /// Where paths ended because nothing that is presented or active has the issuer's key: the
    /// index of an intermediate, or `None` for the leaf.
    pub(crate) dead_ends: BTreeSet<Option<usize>>,
}

/// Looks for paths.
pub(crate) struct PathBuilder<'w, 't> {
    leaf: &'w Certificate<'w>,
    intermediates: &'w [Intermediate<'w>],
    applicable: Applicable<'t>,
    now: UnixSeconds,
    budget: &'w Budget,
    /// For each intermediate the first that has the same name and key.
    twins: Vec<usize>,
    /// For the leaf and then each intermediate what may have issued it, once that was asked for.
    issuers: Vec<Option<Rc<Issuers<'t>>>>,
}

/// What may have issued a certificate, by name and key identifier.
#[derive(Default)]
struct Issuers<'t> {
    intermediates: Vec<usize>,
    anchors: Vec<Candidate<'t>>,
    /// Whether anything at all has the key identifier, whatever its name and its dates.
    known_key: bool,
}

impl<'w, 't> PathBuilder<'w, 't> {
    /// Every possible path, in the order in which they are verified: by the anchor's precedence,
    /// then the shortest first.
    pub(crate) fn find(
        leaf: &'w Certificate<'w>,
        intermediates: &'w [Intermediate<'w>],
        applicable: Applicable<'t>,
        now: UnixSeconds,
        budget: &'w Budget,
    ) -> Result<Found<'t>, Reason> {
        let mut builder = Self {
            leaf,
            intermediates,
            applicable,
            now,
            budget,
            twins: twins(leaf, intermediates, budget).map_err(too_many_steps)?,
            issuers: (0..=intermediates.len()).map(|_| None).collect(),
        };
        let mut found = Found::default();
        builder.extend(&mut Vec::new(), &mut found)?;
        let order = |path: &PossiblePath<'_>| (path.candidate.precedence, path.through.len());
        found.paths.sort_by_key(order);
        Ok(found)
    }

    /// Goes on from the end of a path: to every anchor and every intermediate that may have issued
    /// it.
    fn extend(&mut self, through: &mut Vec<usize>, found: &mut Found<'t>) -> Result<(), Reason> {
        let end = through.last().copied();
        // RFC 5280 section 4.2.1.1: whatever is not self-signed names its issuer's key.
        let Some(issuers) = self.issuers_of(end)? else {
            return Ok(());
        };
        if !issuers.known_key {
            found.dead_ends.insert(end);
        }
        // The leaf directly under an anchor is the direct path, which was tried before.
        if end.is_some() {
            self.arrive(&issuers, through, found)?;
        }
        if through.len() == MAX_PATH_INTERMEDIATES {
            return Ok(());
        }
        for &next in &issuers.intermediates {
            self.budget.charge(budget::STEP).map_err(too_many_steps)?;
            let Some(intermediate) = self.intermediates.get(next) else {
                continue;
            };
            // RFC 4158 section 5.2: the same name with the same key again is a loop.
            let twin = |of: &usize| self.twins.get(*of);
            if through.iter().any(|earlier| twin(earlier) == twin(&next)) {
                continue;
            }
            let length = intermediate.fields.extensions.path_length;
            if !allows(length, self.counted(through)) {
                found.closed_intermediates.insert(next);
                continue;
            }
            through.push(next);
            self.extend(through, found)?;
            through.pop();
        }
        Ok(())
    }

    /// Notes a path for each anchor that may have issued its end.
    fn arrive(
        &self,
        issuers: &Issuers<'t>,
        through: &[usize],
        found: &mut Found<'t>,
    ) -> Result<(), Reason> {
        for &candidate in &issuers.anchors {
            self.budget.charge(budget::STEP).map_err(too_many_steps)?;
            if !allows(candidate.anchor.path_length, self.counted(through)) {
                found.closed_anchors.insert(candidate.precedence, candidate);
                continue;
            }
            if found.paths.len() == MAX_POSSIBLE_PATHS {
                return Err(Reason::Budget("possible paths"));
            }
            found.paths.push(PossiblePath {
                candidate,
                through: through.to_vec(),
            });
        }
        Ok(())
    }

    /// What may have issued the leaf (`None`) or an intermediate; nothing when that does not say
    /// which key signed it.
    fn issuers_of(&mut self, issued: Option<usize>) -> Result<Option<Rc<Issuers<'t>>>, Reason> {
        let slot = issued.map_or(0, |index| index + 1);
        if let Some(Some(known)) = self.issuers.get(slot) {
            return Ok(Some(Rc::clone(known)));
        }
        let fields = match issued {
            None => Some(self.leaf),
            Some(index) => self.intermediates.get(index).map(|one| &one.fields),
        };
        let Some((fields, key)) =
            fields.and_then(|fields| Some((fields, fields.extensions.authority_key?)))
        else {
            return Ok(None);
        };
        let issuers = Rc::new(self.look_up(fields, key).map_err(too_many_steps)?);
        if let Some(slot) = self.issuers.get_mut(slot) {
            *slot = Some(Rc::clone(&issuers));
        }
        Ok(Some(issuers))
    }

    fn look_up(&self, issued: &Certificate<'_>, key: &[u8]) -> Result<Issuers<'t>, Exhausted> {
        let each = key.len() + issued.issuer.len();
        let count = self.intermediates.len();
        // Two look-ups of the key identifier, too: at the project and at the organization.
        let price =
            budget::comparisons(count, count * each) + budget::comparisons(20, key.len() * 16);
        self.budget.charge(price)?;
        let mut issuers = Issuers::default();
        for (index, one) in self.intermediates.iter().enumerate() {
            if one.fields.extensions.subject_key != Some(key) {
                continue;
            }
            issuers.known_key = true;
            if one.fields.subject == issued.issuer && !is_twin(&one.fields, self.leaf) {
                issuers.intermediates.push(index);
            }
        }
        for candidate in self.applicable.candidates(key) {
            issuers.known_key = true;
            let price = budget::comparisons(1, issued.issuer.len());
            self.budget.charge(price)?;
            if may_have_issued(candidate.anchor, issued, self.now) {
                issuers.anchors.push(candidate);
            }
        }
        Ok(issuers)
    }

    /// How many of these count for a path length: the self-issued do not (RFC 5280 section
    /// 6.1.4 (l)).
    fn counted(&self, through: &[usize]) -> usize {
        let on_path = through.iter().filter_map(|&at| self.intermediates.get(at));
        on_path.filter(|one| !one.fields.is_self_issued()).count()
    }
}

/// Finds those with the same name and key once, so that no step compares them again.
fn twins(
    leaf: &Certificate<'_>,
    intermediates: &[Intermediate<'_>],
    budget: &Budget,
) -> Result<Vec<usize>, Exhausted> {
    let length = |fields: &Certificate<'_>| fields.subject.len() + fields.key.len();
    let count = intermediates.len();
    let total: usize = intermediates.iter().map(|one| length(&one.fields)).sum();
    let total = total + length(leaf);
    budget.charge(budget::comparisons(count * count, count * total))?;
    let first_twin = |(index, one): (usize, &Intermediate<'_>)| {
        let mut earlier = intermediates.iter().take(index);
        earlier
            .position(|other| is_twin(&other.fields, &one.fields))
            .unwrap_or(index)
    };
    Ok(intermediates.iter().enumerate().map(first_twin).collect())
}

fn is_twin(one: &Certificate<'_>, other: &Certificate<'_>) -> bool {
    one.subject == other.subject && one.key == other.key
}

fn too_many_steps(_: Exhausted) -> Reason {
    Reason::Budget("steps between certificates")
}

/// Whether an anchor is valid now and bears the name of the certificate's issuer. That its key has
/// the right identifier is known: it was looked up by that.
pub(crate) fn may_have_issued(
    anchor: &TrustedAnchor,
    certificate: &Certificate<'_>,
    now: UnixSeconds,
) -> bool {
    (anchor.not_before..=anchor.not_after).contains(&now)
        && anchor.key.subject() == certificate.issuer
}

fn allows(path_length: Option<u8>, below: usize) -> bool {
    path_length.is_none_or(|most| below <= usize::from(most))
}
