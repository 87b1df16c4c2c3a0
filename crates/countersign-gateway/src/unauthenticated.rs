//! Connections on which no request has passed yet. Anyone may open them, so near the limit on
//! connections the oldest of them end first, and a flood of them cannot keep out or push out those
//! on which requests pass.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::counter;
use tokio::sync::Notify;

/// Every connection on which no request has passed yet, by age.
#[derive(Debug, Default)]
pub(crate) struct UnauthenticatedConnections(Mutex<ByAge>);

#[derive(Debug, Default)]
struct ByAge {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl UnauthenticatedConnections {
    /// Adds a connection: it is among them until the first value is dropped, and is to end when it is
    /// notified.
    pub(crate) fn enter(self: &Arc<Self>) -> (UnauthenticatedConnection, Arc<Notify>) {
        let ended = Arc::new(Notify::new());
        let mut unauthenticated = self.lock();
        let number = unauthenticated.next;
        unauthenticated.next += 1;
        unauthenticated.waiting.insert(number, Arc::clone(&ended));
        let unauthenticated = UnauthenticatedConnection {
            number,
            unauthenticated: Arc::clone(self),
        };
        (unauthenticated, ended)
    }

    /// Ends the one that has been here for longest, if there is any.
    pub(crate) fn end_oldest(&self) {
        if let Some((_, oldest)) = self.lock().waiting.pop_first() {
            counter!("countersign_gateway_unauthenticated_connections_ended_total").increment(1);
            oldest.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ByAge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct UnauthenticatedConnection {
    number: u64,
    unauthenticated: Arc<UnauthenticatedConnections>,
}

impl Drop for UnauthenticatedConnection {
    fn drop(&mut self) {
        self.unauthenticated.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn the_oldest_that_is_not_yet_authenticated_ends_first() {
        let unauthenticated = Arc::new(UnauthenticatedConnections::default());
        let [first, second, third] = [(); 3].map(|()| unauthenticated.enter());
        let ended = |each: &(UnauthenticatedConnection, Arc<Notify>)| {
            each.1.notified().now_or_never().is_some()
        };
        drop(first.0);
        unauthenticated.end_oldest();
        assert!(ended(&second) && !ended(&third));
        assert!(first.1.notified().now_or_never().is_none());
        unauthenticated.end_oldest();
        assert!(ended(&third));
        unauthenticated.end_oldest();
    }
}
