//! What is to be written to disk, and whether what is in force would survive a restart.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::messages::Rows;

/// How often the time of contact alone is written.
const CONTACT_EVERY: Duration = Duration::from_secs(60);
/// How long after a failed write the whole is tried again: from this, doubling, to that.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Nothing,
    /// The time of contact: what is there stays true whatever becomes of it.
    Contact,
    Organizations,
}

/// What is to be written to disk. One write is under way at a time; what changes meanwhile makes
/// the whole be written after it.
#[derive(Debug)]
pub(super) struct Durability {
    writing: Writing,
    /// Whether what is on disk, after the write under way, is not what is in force.
    behind: bool,
    retry_at: Duration,
    pauses: ExponentialBackoff,
    /// When contact was last written.
    contact_at: Option<Duration>,
}

impl Durability {
    /// `kept` says whether what is in force was read from disk.
    pub(super) fn new(kept: bool) -> Self {
        Self {
            writing: Writing::Nothing,
            behind: !kept,
            retry_at: Duration::ZERO,
            pauses: pauses(),
            contact_at: None,
        }
    }

    /// Whether a restart would begin with what is in force.
    pub(super) fn is_durable(&self) -> bool {
        !self.behind && self.writing != Writing::Organizations
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing == Writing::Organizations
    }

    /// What to write after a change.
    pub(super) fn change(&mut self, now: Duration, rows: Rows) -> Option<Rows> {
        if self.writing != Writing::Nothing || self.behind {
            self.behind = true;
            return self.retry(now);
        }
        self.begin(now, Writing::Organizations);
        Some(rows)
    }

    /// What to write after an answer without a change: at times, that there was one.
    pub(super) fn contact(&mut self, now: Duration) -> Option<Rows> {
        let idle = self.writing == Writing::Nothing && !self.behind;
        let due = self.contact_at.is_none_or(|at| now >= at + CONTACT_EVERY);
        (idle && due).then(|| {
            self.begin(now, Writing::Contact);
            Rows::None
        })
    }

    /// The whole, if that is to be written and it is time.
    pub(super) fn retry(&mut self, now: Duration) -> Option<Rows> {
        let due = self.writing == Writing::Nothing && self.behind && now >= self.retry_at;
        due.then(|| {
            self.behind = false;
            self.begin(now, Writing::Organizations);
            Rows::All
        })
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let waits = self.writing == Writing::Nothing && self.behind;
        waits.then_some(self.retry_at)
    }

    /// The write under way came to an end. A failed one leaves nothing on disk.
    pub(super) fn stored(&mut self, now: Duration, kept: bool) {
        self.writing = Writing::Nothing;
        if kept {
            self.pauses = pauses();
        } else {
            self.behind = true;
            self.retry_at = now + self.pauses.next().unwrap_or(LONGEST_RETRY);
        }
    }

    const fn begin(&mut self, now: Duration, writing: Writing) {
        self.writing = writing;
        self.contact_at = Some(now);
    }
}

/// How long to wait after each failed write in a row.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_RETRY)
        .without_max_times()
        .build()
}
