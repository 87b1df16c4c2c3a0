//! Work that is done once for all who ask for it at about the same time: who comes while some is under way
//! waits for a turn, and is then served together with all that wait too. What a turn finds out is as of
//! after each of them came.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::StoreError;

/// Who is served together, and what came of it.
struct Batch<I, O> {
    items: Mutex<Vec<I>>,
    done: OnceLock<O>,
}

impl<I, O> Default for Batch<I, O> {
    fn default() -> Self {
        Self {
            items: Mutex::default(),
            done: OnceLock::new(),
        }
    }
}

/// Who waits for a turn.
pub(super) struct Turns<I, O> {
    /// Whom the next turn serves.
    next: Mutex<Arc<Batch<I, O>>>,
    turn: tokio::sync::Mutex<()>,
}

impl<I, O> Default for Turns<I, O> {
    fn default() -> Self {
        Self {
            next: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl<I: Clone, O: Clone> Turns<I, O> {
    /// Has the work done for an item, by `work` or by whoever has a turn before. `work` is given all that
    /// wait, in the order in which they came.
    pub(super) async fn take(
        &self,
        item: I,
        work: impl AsyncFnOnce(Vec<I>) -> Result<O, StoreError>,
    ) -> Result<O, StoreError> {
        let batch = {
            let next = lock(&self.next);
            lock(&next.items).push(item);
            Arc::clone(&next)
        };
        let _turn = self.turn.lock().await;
        if let Some(done) = batch.done.get() {
            return Ok(done.clone());
        }
        // Whoever comes from now on is of the next batch. It is another already if somebody had a turn for
        // this one, and failed or was given up.
        {
            let mut next = lock(&self.next);
            if Arc::ptr_eq(&next, &batch) {
                *next = Arc::default();
            }
        }
        let items = lock(&batch.items).clone();
        let done = work(items).await?;
        let _ = batch.done.set(done.clone());
        Ok(done)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_that_wait_are_served_together() {
        let (turns, served) = (Turns::default(), RefCell::new(Vec::new()));
        let take = |item: u32| {
            turns.take(item, async |items| {
                served.borrow_mut().push(items);
                tokio::task::yield_now().await;
                Ok(served.borrow().len())
            })
        };
        let results = join_all([1, 3, 2].map(take)).await;
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [1, 2, 2]);
        assert_eq!(
            served.take(),
            [vec![1], vec![3, 2]],
            "the first did not wait"
        );
    }

    #[tokio::test]
    async fn who_waits_for_one_that_fails_does_the_work_instead() {
        let (turns, tries) = (Turns::default(), Cell::new(0));
        let take = |item: u32| {
            turns.take(item, async |_| {
                tries.set(tries.get() + 1);
                tokio::task::yield_now().await;
                let failed = StoreError::Internal("once".to_owned());
                if tries.get() == 2 {
                    Err(failed)
                } else {
                    Ok(())
                }
            })
        };
        let results = join_all([1, 2, 3].map(take)).await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!((failed, tries.get()), (1, 3));
    }
}
