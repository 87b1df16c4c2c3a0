//! What is remembered of chains under one compiled trust. It is forgotten with that trust, so no
//! change can leave any of it behind.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_types::{certificate::Scope, digest::ChainDigest};

/// A chain at a scope.
pub(crate) type ChainAt = (Scope, ChainDigest);

/// What is remembered of chains, up to a number of them.
#[derive(Debug)]
pub(crate) struct RememberedChains<T> {
    most: usize,
    known: Mutex<HashMap<ChainAt, Arc<T>>>,
}

impl<T> RememberedChains<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    /// What is remembered of a chain, if it holds.
    pub(crate) fn find(&self, chain: &ChainAt, holds: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let known = self.lock();
        known
            .get(chain)
            .filter(|known| holds(known))
            .map(Arc::clone)
    }

    pub(crate) fn remember(&self, chain: ChainAt, what: &Arc<T>) {
        let mut known = self.lock();
        // Cleared, and not evicted one by one: a chain that is still in use is judged once more,
        // and open connections remember their own permits.
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(chain, Arc::clone(what));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChainAt, Arc<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
