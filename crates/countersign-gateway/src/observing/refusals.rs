//! Refused requests, summed up by caller, leaf and code, without the chains. Whoever has a key can
//! present as many leaves as it likes, so what waits is bounded: above that, the leaves of a caller are
//! counted together, and then the callers of an organization. No count is lost by it.

use std::collections::HashMap;

use countersign_types::{
    digest::Sha256,
    error::ErrorCode,
    id::OrganizationId,
    refusal::{RefusalSummary, RefusedLeaf},
    workload::ObservedWorkload,
};
use countersign_verify::certificate::LeafSummary;

use super::tally::{Counts, Subject, Tally};

/// How many leaves of one caller are kept apart until they are sent.
const LEAVES_OF_A_CALLER: usize = 50;
/// How many summaries of one organization wait, and how many of all of them: some 16 MB. Beyond it
/// there is one for each organization and code.
const OF_AN_ORGANIZATION: usize = 1000;
const OF_ALL: usize = 16_384;
/// An upper bound of what a summary takes in a batch, in bytes: three ids, a subject of which JSON
/// escapes each byte, and the rest.
pub(crate) const SUMMARY_BYTES: usize = 2560;

/// What is summed up together. Without a chain: none, or several.
type Key = (OrganizationId, ObservedWorkload, ErrorCode);

/// A summary that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) summary: RefusalSummary,
    /// How many of its requests are in no observation.
    pub(crate) only_here: u64,
}

/// Summaries that were not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    entries: HashMap<Key, Waiting>,
    of_each: HashMap<OrganizationId, usize>,
    leaves: HashMap<(OrganizationId, ObservedWorkload), usize>,
}

impl Refusals {
    /// Adds what a tally counted, if its requests were refused, and tells whether it did.
    pub(crate) fn add(&mut self, tally: &Tally, counts: Counts, observed: bool) -> bool {
        let Some(code) = tally.subject.outcome.code else {
            return false;
        };
        let key = self.key(&tally.subject, code);
        let only_here = if observed { 0 } else { counts.requests };
        if let Some(waiting) = self.entries.get_mut(&key) {
            let summary = &mut waiting.summary;
            summary.requests = summary.requests.saturating_add(counts.requests);
            summary.first_seen = summary.first_seen.min(counts.first_seen);
            summary.last_seen = summary.last_seen.max(counts.last_seen);
            waiting.only_here = waiting.only_here.saturating_add(only_here);
            return true;
        }
        let (organization, identity, _) = &key;
        *self.of_each.entry(organization.clone()).or_default() += 1;
        let leaf = identity.chain.and_then(|_| tally.chain.presented.leaf());
        if leaf.is_some() {
            let caller = (organization.clone(), without_chain(identity));
            *self.leaves.entry(caller).or_default() += 1;
        }
        let summary = RefusalSummary {
            organization: organization.clone(),
            project: identity.project.clone(),
            key: identity.key.clone(),
            leaf: leaf.map(|der| RefusedLeaf::new(Sha256::of(der), &LeafSummary::of(der).subject)),
            code,
            requests: counts.requests,
            first_seen: counts.first_seen,
            last_seen: counts.last_seen,
        };
        self.entries.insert(key, Waiting { summary, only_here });
        true
    }

    /// Under what requests are summed up: as exactly as there is room for.
    fn key(&self, subject: &Subject, code: ErrorCode) -> Key {
        let organization = &subject.organization;
        let key = |identity| (organization.clone(), identity, code);
        let exact = key(subject.identity.clone());
        if self.entries.contains_key(&exact) {
            return exact;
        }
        let of_this = self.of_each.get(organization).copied().unwrap_or_default();
        let room = of_this < OF_AN_ORGANIZATION && self.entries.len() < OF_ALL;
        let caller = without_chain(&subject.identity);
        let of_caller = (organization.clone(), caller);
        let leaves = self.leaves.get(&of_caller).copied().unwrap_or_default();
        let (_, caller) = of_caller;
        if room && (exact.1.chain.is_none() || leaves < LEAVES_OF_A_CALLER) {
            return exact;
        }
        let of_caller = key(caller);
        if room || self.entries.contains_key(&of_caller) {
            return of_caller;
        }
        key(ObservedWorkload::default())
    }

    /// Takes at most so many.
    pub(crate) fn next(&mut self, most: usize) -> Vec<Waiting> {
        let keys: Vec<_> = self.entries.keys().take(most).cloned().collect();
        let next = keys.iter().filter_map(|key| self.entries.remove(key));
        let next = next.collect();
        if self.entries.is_empty() {
            *self = Self::default();
        }
        next
    }

    /// How many requests are counted nowhere else.
    pub(crate) fn only_here(&self) -> u64 {
        self.entries.values().map(|waiting| waiting.only_here).sum()
    }
}

fn without_chain(identity: &ObservedWorkload) -> ObservedWorkload {
    ObservedWorkload {
        chain: None,
        ..identity.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{chain::Chain, outcome::Outcome};
    use countersign_types::id::ApiKeyId;
    use countersign_verify::presented::Presented;
    use rustls::pki_types::CertificateDer;
    use std::sync::Arc;

    fn tally(organization: u128, key: u128, number: u32, refused: bool) -> Tally {
        let der = CertificateDer::from(number.to_be_bytes().to_vec());
        let chain = Chain::new(Presented::new(vec![der]));
        let subject = Subject {
            organization: OrganizationId::from_random(organization),
            identity: ObservedWorkload {
                key: Some(ApiKeyId::from_random(key)),
                chain: Some(chain.digest),
                ..ObservedWorkload::default()
            },
            outcome: Outcome {
                code: refused.then_some(ErrorCode::InvalidCertificate),
                anchor: None,
                reported: None,
                refused_by: None,
                reported_by: None,
            },
        };
        Tally::new(subject, &Arc::new(chain), 0)
    }

    const COUNTS: Counts = Counts {
        requests: 3,
        first_seen: 7,
        last_seen: 9,
    };

    fn requests(all: &[Waiting]) -> u64 {
        all.iter().map(|each| each.summary.requests).sum()
    }

    #[test]
    fn leaves_are_named_until_there_are_too_many_and_no_request_is_lost() {
        let mut refusals = Refusals::default();
        assert!(!refusals.add(&tally(1, 1, 0, false), COUNTS, true));
        for number in 0..10_000 {
            assert!(refusals.add(&tally(1, 1, number, true), COUNTS, number > 0));
        }
        // Another caller is still named.
        refusals.add(&tally(1, 2, 1, true), COUNTS, true);
        assert_eq!(refusals.only_here(), 3);
        let all = refusals.next(usize::MAX);
        assert_eq!(all.len(), LEAVES_OF_A_CALLER + 2);
        assert_eq!(requests(&all), 3 * 10_001);
        let of_other = |each: &&Waiting| each.summary.key == Some(ApiKeyId::from_random(2));
        let other = all.iter().find(of_other).unwrap();
        let digest = Sha256::of(1_u32.to_be_bytes());
        assert_eq!(other.summary.leaf.as_ref().unwrap().sha256, digest);
        assert_eq!((other.summary.first_seen, other.summary.last_seen), (7, 9));
    }

    #[test]
    fn one_organization_leaves_room_for_the_others() {
        let mut refusals = Refusals::default();
        for key in 0..5_000 {
            refusals.add(&tally(1, key, 1, true), COUNTS, true);
        }
        refusals.add(&tally(2, 1, 1, true), COUNTS, true);
        let mut all = Vec::new();
        loop {
            let some = refusals.next(100);
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        assert_eq!(all.len(), OF_AN_ORGANIZATION + 2);
        assert_eq!(requests(&all), 3 * 5_001);
        let nobody = |each: &&Waiting| each.summary.key.is_none();
        assert_eq!(all.iter().filter(nobody).count(), 1);
        // What was sent makes room.
        refusals.add(&tally(1, 9_999, 1, true), COUNTS, true);
        assert!(refusals.next(1)[0].summary.leaf.is_some());
    }
}
