//! What is in force, by digests, and which of it a comparison has met so far.

use std::collections::HashMap;

use countersign_types::{digest::Sha256, id::OrganizationId};

#[derive(Debug)]
struct Entry {
    digest: Option<Sha256>,
    /// The comparison that met it last.
    met_in: u32,
}

/// The organizations in force.
#[derive(Debug)]
pub(super) struct Held {
    organizations: HashMap<OrganizationId, Entry>,
    /// Comparisons are counted, so that a new one need not touch every organization.
    comparison: u32,
    /// How many organizations this comparison has met.
    met: usize,
}

impl Held {
    pub(super) fn new(digests: HashMap<OrganizationId, Option<Sha256>>) -> Self {
        let met = digests.len();
        let digests = digests.into_iter();
        let organizations = digests.map(|(id, digest)| (id, Entry { digest, met_in: 0 }));
        Self {
            organizations: organizations.collect(),
            comparison: 0,
            met,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.organizations.is_empty()
    }

    pub(super) fn contains(&self, id: &OrganizationId) -> bool {
        self.organizations.contains_key(id)
    }

    /// Whether an organization is in force with this digest.
    pub(super) fn is(&self, id: &OrganizationId, digest: Option<Sha256>) -> bool {
        let held = self.organizations.get(id);
        held.is_some_and(|held| held.digest == digest)
    }

    /// An organization as it is in force now. The comparison need not meet it any more.
    pub(super) fn put(&mut self, id: OrganizationId, digest: Option<Sha256>) {
        let met_in = self.comparison;
        let before = self.organizations.insert(id, Entry { digest, met_in });
        if before.is_none_or(|before| before.met_in != met_in) {
            self.met += 1;
        }
    }

    pub(super) fn remove(&mut self, id: &OrganizationId) {
        let gone = self.organizations.remove(id);
        if gone.is_some_and(|gone| gone.met_in == self.comparison) {
            self.met -= 1;
        }
    }

    pub(super) fn clear(&mut self) {
        self.organizations.clear();
        self.met = 0;
    }

    /// Begins a comparison: it has met none yet.
    pub(super) fn begin_comparison(&mut self) {
        self.comparison = self.comparison.wrapping_add(1);
        self.met = 0;
    }

    /// The comparison meets an organization.
    pub(super) fn meet(&mut self, id: &OrganizationId) {
        if let Some(held) = self.organizations.get_mut(id)
            && held.met_in != self.comparison
        {
            held.met_in = self.comparison;
            self.met += 1;
        }
    }

    /// The organizations that the comparison has not met. They are looked for only if there are any.
    pub(super) fn unmet(&self) -> Vec<OrganizationId> {
        if self.met == self.organizations.len() {
            return Vec::new();
        }
        let unmet = self
            .organizations
            .iter()
            .filter(|(_, held)| held.met_in != self.comparison);
        unmet.map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_comparison_does_not_meet_is_known_whatever_changes_meanwhile() {
        let [a, b, c, d] = [1, 2, 3, 4].map(OrganizationId::from_random);
        let digest = Some(Sha256::of("of old"));
        let mut held = Held::new([(a.clone(), digest), (b.clone(), digest)].into());
        for _ in 0..2 {
            held.begin_comparison();
            held.meet(&a);
            held.meet(&a);
            held.meet(&d);
            assert_eq!(held.unmet(), std::slice::from_ref(&b));
            held.put(c.clone(), digest);
            held.put(a.clone(), None);
            assert_eq!(held.unmet(), std::slice::from_ref(&b));
            held.remove(&a);
            held.remove(&d);
            assert_eq!(held.unmet(), std::slice::from_ref(&b));
            held.put(a.clone(), digest);
            held.put(b.clone(), digest);
            assert!(held.unmet().is_empty());
            held.remove(&c);
        }
        held.begin_comparison();
        assert_eq!(held.unmet().len(), 2);
        held.clear();
        assert!(held.unmet().is_empty() && held.is_empty());
    }
}
