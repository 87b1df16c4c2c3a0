//! How many requests each denial, floor and revocation list refused, or would have refused. There is one
//! count for each of these and day, so clients cannot make more of them; what waits is bounded all the same.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    certificate::Enforcement,
    id::OrganizationId,
    refused_by::{RefusedBy, RefusedByCount},
};

use super::{
    new_chains::limited,
    tally::{Counts, Tally},
};

/// How many counts of one organization wait, and how many of all of them: some 12 MB.
const OF_AN_ORGANIZATION: usize = 20_000;
const OF_ALL: usize = 65_536;
/// An upper bound of what a count takes in a batch, in bytes: two ids, a digest, and the rest.
pub(crate) const COUNT_BYTES: usize = 512;
/// What is refused is counted apart for each UTC day.
const DAY: UnixSeconds = 24 * 60 * 60;

/// What is counted together.
type Key = (OrganizationId, RefusedBy, Enforcement, u64);

/// Counts that were not sent yet.
#[derive(Debug, Default)]
pub(crate) struct RefusedByCounts {
    entries: HashMap<Key, RefusedByCount>,
    of_each: HashMap<OrganizationId, usize>,
}

impl RefusedByCounts {
    /// Adds what a tally counted, where something took the access of its requests away or would have.
    pub(crate) fn add(&mut self, tally: &Tally, counts: Counts) {
        let subject = &tally.subject;
        let enforced = subject.outcome.refused_by.as_ref();
        let reported = subject.outcome.reported_by.as_ref();
        for (by, enforcement) in [
            (enforced, Enforcement::Enforce),
            (reported, Enforcement::Report),
        ] {
            if let Some(by) = by {
                self.add_to(&subject.organization, by, enforcement, counts);
            }
        }
    }

    fn add_to(
        &mut self,
        organization: &OrganizationId,
        by: &RefusedBy,
        enforcement: Enforcement,
        counts: Counts,
    ) {
        let day = counts.last_seen / DAY;
        let key = (organization.clone(), by.clone(), enforcement, day);
        if let Some(known) = self.entries.get_mut(&key) {
            known.requests = known.requests.saturating_add(counts.requests);
            known.last_seen = known.last_seen.max(counts.last_seen);
            return;
        }
        let of_this = self.of_each.entry(organization.clone()).or_default();
        if *of_this >= OF_AN_ORGANIZATION || self.entries.len() >= OF_ALL {
            limited("refused_by");
            return;
        }
        *of_this += 1;
        let count = RefusedByCount {
            organization: organization.clone(),
            by: by.clone(),
            enforcement,
            requests: counts.requests,
            last_seen: counts.last_seen,
        };
        self.entries.insert(key, count);
    }

    /// Takes at most so many.
    pub(crate) fn next(&mut self, most: usize) -> Vec<RefusedByCount> {
        let keys: Vec<_> = self.entries.keys().take(most).cloned().collect();
        let next = keys.iter().filter_map(|key| self.entries.remove(key));
        let next: Vec<_> = next.collect();
        for count in &next {
            if let Some(of_this) = self.of_each.get_mut(&count.organization) {
                *of_this = of_this.saturating_sub(1);
            }
        }
        self.of_each.retain(|_, waiting| *waiting > 0);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::id::DenialId;

    #[test]
    fn what_waits_is_added_up_by_day_and_bounded_for_each_organization() {
        let mut all = RefusedByCounts::default();
        let organization = OrganizationId::from_random(1);
        let counts = |last_seen| Counts {
            requests: 2,
            first_seen: 0,
            last_seen,
        };
        let denial = |number| RefusedBy::Denial(DenialId::from_random(number));
        for last_seen in [7, 5, DAY] {
            all.add_to(
                &organization,
                &denial(1),
                Enforcement::Enforce,
                counts(last_seen),
            );
        }
        all.add_to(&organization, &denial(1), Enforcement::Report, counts(9));
        let mut first = all.next(usize::MAX);
        first.sort_by_key(|each| each.last_seen);
        let shown = |each: &RefusedByCount| (each.requests, each.last_seen);
        let shown: Vec<_> = first.iter().map(shown).collect();
        assert_eq!(shown, [(4, 7), (2, 9), (2, DAY)]);
        for number in 0..20_005 {
            all.add_to(
                &organization,
                &denial(number),
                Enforcement::Enforce,
                counts(1),
            );
        }
        let other = OrganizationId::from_random(2);
        all.add_to(&other, &denial(1), Enforcement::Enforce, counts(1));
        assert_eq!(all.entries.len(), OF_AN_ORGANIZATION + 1);
        while !all.next(1_000).is_empty() {}
        assert!(all.of_each.is_empty());
    }
}
