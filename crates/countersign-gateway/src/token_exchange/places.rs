//! How many exchanges the control plane is asked about at once, and whose: no organization takes all places from
//! the others, and in it no leaf from the others. What has no place waits for one, in the order of arrival.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_types::{digest::Sha256, id::OrganizationId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The most exchanges that the control plane is asked about at once.
pub(crate) const MOST_AT_ONCE: usize = 64;
/// Of them, the most of one organization: it also waits in line with no more, so that whoever comes next waits
/// for as many of each other organization at most.
const OF_ORGANIZATION: usize = 16;
/// Of these, the most of one leaf.
const OF_LEAF: usize = 4;
/// The most exchanges that wait at once for a rule that the gateway does not know yet.
const MOST_UNKNOWN: usize = 256;
/// How many organizations, and leaves of one, are known before those without a place are forgotten.
const MOST_KNOWN: usize = 1024;

/// The places of all exchanges.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    organizations: Mutex<HashMap<OrganizationId, Arc<OfOrganization>>>,
    /// Of exchanges that wait for a rule which the gateway does not know yet.
    unknown: Semaphore,
}

#[derive(Debug)]
struct OfOrganization {
    places: Arc<Semaphore>,
    leaves: Mutex<HashMap<Sha256, Arc<Semaphore>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            organizations: Mutex::default(),
            unknown: Semaphore::new(MOST_UNKNOWN),
        }
    }
}

/// One exchange's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    // In the order in which they are given back: whoever waits for the last may have the others already.
    _place: OwnedSemaphorePermit,
    _of_organization: OwnedSemaphorePermit,
    _of_leaf: OwnedSemaphorePermit,
    /// As long as one has a place, it is known.
    _organization: Arc<OfOrganization>,
}

impl Places {
    /// Waits for a place. Whoever waits for the leaf's turn takes none of the organization's, and whoever waits
    /// for the organization's none of all.
    pub(super) async fn take(&self, organization: &OrganizationId, leaf: Sha256) -> Option<Place> {
        let own = self.of(organization);
        let of_leaf = own.of(leaf).acquire_owned().await.ok()?;
        let of_organization = Arc::clone(&own.places).acquire_owned().await.ok()?;
        let place = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place {
            _place: place,
            _of_organization: of_organization,
            _of_leaf: of_leaf,
            _organization: own,
        })
    }

    /// Lets an exchange wait for its rule, if not too many do already: whoever makes ids up may.
    pub(super) fn wait_for_rule(&self) -> Option<SemaphorePermit<'_>> {
        self.unknown.try_acquire().ok()
    }

    fn of(&self, organization: &OrganizationId) -> Arc<OfOrganization> {
        let mut known = lock(&self.organizations);
        if let Some(own) = known.get(organization) {
            return Arc::clone(own);
        }
        if known.len() >= MOST_KNOWN {
            known.retain(|_, own| Arc::strong_count(own) > 1);
        }
        let own = Arc::new(OfOrganization {
            places: Arc::new(Semaphore::new(OF_ORGANIZATION)),
            leaves: Mutex::default(),
        });
        known.insert(organization.clone(), Arc::clone(&own));
        own
    }
}

impl OfOrganization {
    fn of(&self, leaf: Sha256) -> Arc<Semaphore> {
        let mut known = lock(&self.leaves);
        if let Some(own) = known.get(&leaf) {
            return Arc::clone(own);
        }
        if known.len() >= MOST_KNOWN {
            // A place holds its semaphore as well.
            known.retain(|_, own| Arc::strong_count(own) > 1);
        }
        let own = Arc::new(Semaphore::new(OF_LEAF));
        known.insert(leaf, Arc::clone(&own));
        own
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_random(number)
    }

    /// Takes what is free at once.
    fn taken(
        places: &Places,
        organization: &OrganizationId,
        leaves: u8,
        each: usize,
    ) -> Vec<Place> {
        let leaves = (0..leaves).map(|leaf| Sha256::of([leaf]));
        let tries = leaves.flat_map(|leaf| std::iter::repeat_n(leaf, each));
        let take = |leaf| places.take(organization, leaf).now_or_never()?;
        tries.filter_map(take).collect()
    }

    #[test]
    fn neither_a_leaf_nor_an_organization_takes_all_places() {
        let places = Places::default();
        let (hostile, other) = (organization(1), organization(2));
        let one_leaf = taken(&places, &hostile, 1, 100);
        assert_eq!(one_leaf.len(), OF_LEAF);
        let more = taken(&places, &hostile, 100, 2);
        assert_eq!(one_leaf.len() + more.len(), OF_ORGANIZATION);
        assert_eq!(taken(&places, &other, 1, 1).len(), 1);
        drop(one_leaf);
        assert_eq!(taken(&places, &hostile, 1, 100).len(), OF_LEAF);
    }

    #[test]
    fn whoever_comes_while_all_places_are_taken_is_next_however_many_others_wait() {
        let places = Places::default();
        let hostile: Vec<_> = (1..=4).map(organization).collect();
        let mut held: Vec<_> = hostile
            .iter()
            .flat_map(|one| taken(&places, one, 16, 1))
            .collect();
        assert_eq!(held.len(), MOST_AT_ONCE);
        let mut more: Vec<_> = (0..1000)
            .map(|_| Box::pin(places.take(&hostile[0], Sha256::of([200]))))
            .collect();
        for waiting in &mut more {
            assert!(waiting.now_or_never().is_none());
        }
        let other = organization(9);
        let mut other = Box::pin(places.take(&other, Sha256::of([1])));
        assert!((&mut other).now_or_never().is_none());
        held.pop();
        assert!(other.now_or_never().flatten().is_some());
    }

    #[test]
    fn those_that_have_no_place_are_forgotten() {
        let places = Places::default();
        let kept = taken(&places, &organization(0), 1, 1);
        for number in 1..3000 {
            assert_eq!(taken(&places, &organization(number), 1, 1).len(), 1);
        }
        assert!(lock(&places.organizations).len() <= MOST_KNOWN);
        assert!(lock(&places.organizations).contains_key(&organization(0)));
        assert_eq!(kept.len(), 1);
    }
}
