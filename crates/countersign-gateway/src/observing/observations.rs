//! Collecting what was counted: every few seconds the counts are taken from the tallies, added up,
//! and sent. None of it is on the path of a request.

use std::{sync::Arc, time::Duration};

use countersign_client::Client;
use countersign_types::{id::GatewayId, live_streams::LiveReport};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    delivery::{Delivery, WaitingCounts},
    live_report::LiveReports,
    new_chains::{NewChains, ReportLimits},
    pending::Pending,
    refusals::Refusals,
    refused_by::RefusedByCounts,
    tally::{Tally, dropped},
};

/// How long a stop waits for the last counts to be sent.
const FINAL_DELIVERY: Duration = Duration::from_secs(5);

/// Takes counts from tallies and sends them to the control plane.
pub(crate) struct Observations {
    every: Duration,
    started: mpsc::Receiver<Arc<Tally>>,
    tallies: Vec<Arc<Tally>>,
    new_chains: NewChains,
    pending: Pending,
    refusals: Refusals,
    refused_by: RefusedByCounts,
    live: LiveReports,
    delivery: Delivery,
}

impl Observations {
    pub(crate) fn new(
        every: Duration,
        started: mpsc::Receiver<Arc<Tally>>,
        client: watch::Receiver<Client>,
        gateway: GatewayId,
        limits: ReportLimits,
    ) -> Self {
        Self {
            every: every.max(Duration::from_millis(1)),
            started,
            tallies: Vec::new(),
            new_chains: NewChains::new(limits),
            pending: Pending::new(limits.observations),
            refusals: Refusals::default(),
            refused_by: RefusedByCounts::default(),
            live: LiveReports::default(),
            delivery: Delivery::new(client, gateway),
        }
    }

    /// Works for ever; `live` says which streams are under way. It may be cancelled at any await, and loses nothing by it.
    pub(crate) async fn run(&mut self, live: impl Fn() -> LiveReport) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.collect();
                    self.delivery.report_live(self.live.next(live()));
                    self.deliver().await;
                }
                Some(tally) = self.started.recv() => self.tallies.push(tally),
            }
        }
    }

    /// Sends the remaining counts, once, and gives up after a while.
    pub(crate) async fn finish(mut self) {
        self.collect();
        if timeout(FINAL_DELIVERY, self.deliver()).await.is_err() {
            tracing::warn!("the control plane takes too long; the latest observations are lost");
        }
        let waiting = self.pending.requests() + self.refusals.only_here();
        let lost = waiting + self.delivery.requests();
        if lost > 0 {
            dropped().increment(lost);
            tracing::warn!(
                requests = lost,
                "stopped before the control plane had the latest observations"
            );
        }
    }

    async fn deliver(&mut self) {
        let waiting = WaitingCounts {
            pending: &mut self.pending,
            refusals: &mut self.refusals,
            refused_by: &mut self.refused_by,
        };
        self.delivery.deliver(waiting).await;
    }

    /// Takes the counts of every tally. A tally that nobody else holds has ended.
    fn collect(&mut self) {
        while let Ok(tally) = self.started.try_recv() {
            self.tallies.push(tally);
        }
        let (pending, new_chains) = (&mut self.pending, &mut self.new_chains);
        let (refusals, refused_by) = (&mut self.refusals, &mut self.refused_by);
        self.tallies.retain(|tally| {
            // Checked before the counts are taken: whoever counts after that still holds it here.
            let held = Arc::strong_count(tally) > 1;
            if let Some(counts) = tally.take() {
                refused_by.add(tally, counts);
                let observed = new_chains.may_report(tally, counts.last_seen);
                if observed {
                    pending.add(tally, counts);
                }
                if !refusals.add(tally, counts, observed) && !observed {
                    dropped().increment(counts.requests);
                }
            }
            held
        });
    }
}
