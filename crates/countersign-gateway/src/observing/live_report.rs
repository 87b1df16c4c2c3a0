//! When the streams under way are reported: as often as other counts are sent if they changed, and now and then if
//! not, so that it is known how old the figure is.

use std::time::{Duration, Instant};

use countersign_types::live_streams::LiveReport;

/// After how long they are reported again although nothing changed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// An upper bound of what a workload takes in a batch, in bytes: two ids, a digest, and the rest; and an organization.
const ENTRY_BYTES: usize = 448;

/// What was reported last.
#[derive(Debug, Default)]
pub(super) struct LiveReports {
    last: Option<(LiveReport, Instant)>,
    /// How many reports there were.
    reports: u64,
}

impl LiveReports {
    /// What is now, if it is to be reported.
    pub(super) fn next(&mut self, now: LiveReport) -> Option<LiveReport> {
        let is_known =
            |(last, at): &(LiveReport, Instant)| *last == now && at.elapsed() < AGAIN_AFTER;
        // The first may come before the control plane knows the gateway.
        if self.reports > 1 && self.last.as_ref().is_some_and(is_known) {
            return None;
        }
        self.reports += 1;
        self.last = Some((now.clone(), Instant::now()));
        Some(now)
    }
}

/// How many bytes a report takes in a batch at the most.
pub(super) fn bytes(report: Option<&LiveReport>) -> usize {
    let organizations = report.map_or(&[][..], |report| &report.organizations);
    let entries = organizations.iter().map(|each| 1 + each.workloads.len());
    entries.sum::<usize>() * ENTRY_BYTES
}
