//! Reports of gateways that wait to be written. After a change, all gateways report at once: who comes while
//! others are written waits for a turn, and is then written with all that wait too.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use countersign_types::{
    UnixSeconds,
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId},
};

use super::StoreError;

/// What a gateway reports.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) gateway: GatewayId,
    pub(super) name: String,
    pub(super) key: ApiKeyId,
    pub(super) enforced: HistoryPoint,
    pub(super) durable: bool,
    pub(super) seen_at: UnixSeconds,
}

/// Reports that are written together, and whether they were.
#[derive(Default)]
struct Batch {
    reports: Mutex<Vec<Report>>,
    written: OnceLock<()>,
}

/// The reports that wait.
#[derive(Default)]
pub(super) struct ReportsWaiting {
    /// What the next to have a turn writes.
    next: Mutex<Arc<Batch>>,
    turn: tokio::sync::Mutex<()>,
}

impl ReportsWaiting {
    /// Has a report written, by `write` or by whoever has a turn before. `write` is given the latest report of
    /// each gateway, in the order of their ids.
    pub(super) async fn write(
        &self,
        report: Report,
        write: impl AsyncFnOnce(Vec<Report>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let batch = {
            let next = self.next();
            lock(&next.reports).push(report);
            Arc::clone(&next)
        };
        let _turn = self.turn.lock().await;
        if batch.written.get().is_some() {
            return Ok(());
        }
        // Whoever comes from now on is of the next batch. It is another already if somebody had a turn for
        // this one, and failed or was given up.
        {
            let mut next = self.next();
            if Arc::ptr_eq(&next, &batch) {
                *next = Arc::default();
            }
        }
        let mut reports = lock(&batch.reports).clone();
        // Stable, so that of one gateway's the last one stays: the first in reverse.
        reports.reverse();
        reports.sort_by(|one, other| one.gateway.cmp(&other.gateway));
        reports.dedup_by(|one, other| one.gateway == other.gateway);
        write(reports).await?;
        let _ = batch.written.set(());
        Ok(())
    }

    fn next(&self) -> MutexGuard<'_, Arc<Batch>> {
        lock(&self.next)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::future::join_all;

    use super::*;

    fn report(gateway: u128, revision: u64) -> Report {
        Report {
            gateway: GatewayId::from_random(gateway),
            name: "edge".to_owned(),
            key: ApiKeyId::from_random(1),
            enforced: HistoryPoint {
                revision,
                ..HistoryPoint::START
            },
            durable: true,
            seen_at: 0,
        }
    }

    #[tokio::test]
    async fn all_that_wait_are_written_together_the_latest_of_each() {
        let (waiting, writes) = (ReportsWaiting::default(), RefCell::new(Vec::new()));
        let write = |gateway, revision| {
            waiting.write(report(gateway, revision), async |reports| {
                let all = reports.iter().map(|each| each.enforced.revision);
                writes.borrow_mut().push(all.collect::<Vec<_>>());
                tokio::task::yield_now().await;
                Ok(())
            })
        };
        let all = [(1, 1), (3, 3), (2, 2), (3, 4)];
        let results = join_all(all.map(|(gateway, revision)| write(gateway, revision))).await;
        assert!(results.iter().all(Result::is_ok));
        let mut last = writes.take();
        assert_eq!(last.remove(0), [1], "the first did not wait");
        assert_eq!(last, [[2, 4]]);
    }

    #[tokio::test]
    async fn who_waits_for_one_that_fails_writes_instead() {
        let (waiting, writes) = (ReportsWaiting::default(), RefCell::new(0));
        let write = |gateway| {
            waiting.write(report(gateway, 1), async |_| {
                *writes.borrow_mut() += 1;
                tokio::task::yield_now().await;
                let failed = StoreError::Internal("once".to_owned());
                if *writes.borrow() == 2 {
                    Err(failed)
                } else {
                    Ok(())
                }
            })
        };
        let results = join_all([1, 2, 3].map(write)).await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!((failed, writes.take()), (1, 3));
    }
}
