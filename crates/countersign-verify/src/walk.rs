//! Finds the paths that could lead from a leaf through presented intermediates to an anchor, by
//! names and key identifiers alone. Each is then verified by `path`; none is believed before.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::UnixSeconds;
use rustls_pki_types::CertificateDer;

use crate::{
    budget::{MAX_PATH_INTERMEDIATES, MAX_ROUTES, MAX_STEPS},
    denial::Reason,
    rules,
    trust::{Applicable, Candidate, TrustedAnchor, Turn},
    x509::Certificate,
};

/// A presented intermediate that may stand on a path.
pub(crate) struct Link<'a> {
    /// Its place in what was presented, the leaf being 0.
    pub(crate) place: usize,
    pub(crate) der: &'a CertificateDer<'static>,
    pub(crate) fields: Certificate<'a>,
}

impl<'a> Link<'a> {
    /// Reads a presented certificate and refuses what could not sign on any path.
    pub(crate) fn read(
        place: usize,
        der: &'a CertificateDer<'static>,
        now: UnixSeconds,
    ) -> Result<Self, Reason> {
        let fields = Certificate::read(der).map_err(Reason::Malformed)?;
        rules::check_dates(&fields, now)?;
        rules::check_ca(&fields)?;
        // RFC 5280 sections 4.2.1.1 and 4.2.1.2: only what is self-signed may go without.
        if fields.extensions.authority_key.is_none() && !fields.is_self_issued() {
            return Err(Reason::NoAuthorityKeyIdentifier);
        }
        if fields.extensions.subject_key.is_none() {
            return Err(Reason::NoSubjectKeyIdentifier);
        }
        Ok(Self { place, der, fields })
    }
}

/// A path to be verified.
pub(crate) struct Route<'t> {
    pub(crate) candidate: Candidate<'t>,
    /// Places in the links, the leaf's issuer first.
    pub(crate) through: Vec<usize>,
}

/// Looks for routes.
pub(crate) struct Walk<'w, 't> {
    pub(crate) leaf: &'w Certificate<'w>,
    pub(crate) links: &'w [Link<'w>],
    pub(crate) applicable: Applicable<'t>,
    pub(crate) now: UnixSeconds,
}

/// What a walk found so far.
#[derive(Default)]
pub(crate) struct Found<'t> {
    pub(crate) routes: Vec<Route<'t>>,
    /// Anchors that a path led to, but that allow no path so long, by their turn.
    pub(crate) closed_anchors: BTreeMap<(Turn, usize), Candidate<'t>>,
    /// Presented certificates of which the same is true, by their place.
    pub(crate) closed_links: BTreeSet<usize>,
    steps: usize,
}

impl<'w, 't> Walk<'w, 't> {
    /// Every route, in the order in which they are verified: by the anchor's turn, then the
    /// shortest first.
    pub(crate) fn routes(&self) -> Result<Found<'t>, Reason> {
        let mut found = Found::default();
        self.extend(&mut Vec::new(), &mut found)?;
        let order = |route: &Route<'_>| (route.candidate.turn, route.through.len());
        found.routes.sort_by_key(order);
        Ok(found)
    }

    /// Goes on from the end of a path: to every anchor and every link that may have issued it.
    fn extend(&self, through: &mut Vec<usize>, found: &mut Found<'t>) -> Result<(), Reason> {
        found.steps += 1;
        if found.steps > MAX_STEPS {
            return Err(Reason::Budget("path building steps"));
        }
        let head = self.head(through);
        // RFC 5280 section 4.2.1.1: whatever is not self-signed names its issuer's key.
        let Some(issuer_key) = head.extensions.authority_key else {
            return Ok(());
        };
        if !through.is_empty() {
            self.arrive(head, issuer_key, through, found)?;
        }
        if through.len() == MAX_PATH_INTERMEDIATES {
            return Ok(());
        }
        for (place, link) in self.links.iter().enumerate() {
            if !self.may_follow(through, head, &link.fields) {
                continue;
            }
            if !allows(link.fields.extensions.path_length, self.counted(through)) {
                found.closed_links.insert(link.place);
                continue;
            }
            through.push(place);
            self.extend(through, found)?;
            through.pop();
        }
        Ok(())
    }

    /// Notes a route for each anchor that may have issued the end of the path.
    fn arrive(
        &self,
        head: &Certificate<'_>,
        issuer_key: &[u8],
        through: &[usize],
        found: &mut Found<'t>,
    ) -> Result<(), Reason> {
        for candidate in self.applicable.candidates(issuer_key) {
            if !may_have_issued(candidate.anchor, head, self.now) {
                continue;
            }
            if !allows(candidate.anchor.path_length, self.counted(through)) {
                found.closed_anchors.insert(candidate.turn, candidate);
                continue;
            }
            if found.routes.len() == MAX_ROUTES {
                return Err(Reason::Budget("possible paths"));
            }
            found.routes.push(Route {
                candidate,
                through: through.to_vec(),
            });
        }
        Ok(())
    }

    /// Whether a link may be the issuer of the end of the path.
    fn may_follow(
        &self,
        through: &[usize],
        head: &Certificate<'_>,
        next: &Certificate<'_>,
    ) -> bool {
        // RFC 4158 section 5.2: the same name with the same key again is a loop.
        let is_loop =
            |earlier: &Certificate<'_>| earlier.subject == next.subject && earlier.key == next.key;
        next.extensions.subject_key == head.extensions.authority_key
            && next.subject == head.issuer
            && !is_loop(self.leaf)
            && !self.on_path(through).any(is_loop)
    }

    fn head(&self, through: &[usize]) -> &Certificate<'w> {
        self.on_path(through).last().unwrap_or(self.leaf)
    }

    fn on_path(&self, through: &[usize]) -> impl Iterator<Item = &Certificate<'w>> {
        let links = through.iter().filter_map(|&place| self.links.get(place));
        links.map(|link| &link.fields)
    }

    /// How many of these count for a path length: the self-issued do not (RFC 5280 section
    /// 6.1.4 (l)).
    fn counted(&self, through: &[usize]) -> usize {
        let counts = |certificate: &&Certificate<'_>| !certificate.is_self_issued();
        self.on_path(through).filter(counts).count()
    }
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
