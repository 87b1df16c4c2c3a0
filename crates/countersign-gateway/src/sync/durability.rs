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
    /// The organizations of a change.
    Some,
    /// Every organization.
    All,
}

/// What is to be written to disk. One write is under way at a time; what changes meanwhile waits for
/// its end, and is then written as it is in force.
#[derive(Debug)]
pub(super) struct Durability {
    writing: Writing,
    /// When that began.
    began: Duration,
    /// What is to be written after that, so that what is on disk is what is in force.
    waiting: Option<Rows>,
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
            began: Duration::ZERO,
            waiting: (!kept).then_some(Rows::All),
            retry_at: Duration::ZERO,
            pauses: pauses(),
            contact_at: None,
        }
    }

    /// Whether a restart would begin with what is in force.
    pub(super) fn is_durable(&self) -> bool {
        self.waiting.is_none() && !self.is_writing()
    }

    fn is_writing(&self) -> bool {
        matches!(self.writing, Writing::Some | Writing::All)
    }

    /// Whether a change is being written, which takes no longer for all there is besides.
    pub(super) fn is_writing_change(&self) -> bool {
        self.writing == Writing::Some
    }

    /// Until when it is no news that the write under way has not ended.
    pub(super) fn is_late_at(&self, patience: Duration) -> Option<Duration> {
        self.is_writing().then(|| self.began + patience)
    }

    /// What to write after a change.
    pub(super) fn change(&mut self, now: Duration, rows: Rows) -> Option<Rows> {
        self.waiting = Some(match self.waiting.take() {
            Some(waiting) => waiting.and(rows),
            None => rows,
        });
        self.retry(now)
    }

    /// What to write after an answer without a change: at times, that there was one.
    pub(super) fn contact(&mut self, now: Duration) -> Option<Rows> {
        let idle = self.writing == Writing::Nothing && self.waiting.is_none();
        let due = self.contact_at.is_none_or(|at| now >= at + CONTACT_EVERY);
        (idle && due).then(|| {
            self.begin(now, Writing::Contact);
            Rows::None
        })
    }

    /// What waits to be written, if it is time.
    pub(super) fn retry(&mut self, now: Duration) -> Option<Rows> {
        if self.writing != Writing::Nothing || now < self.retry_at {
            return None;
        }
        let rows = self.waiting.take()?;
        let all = matches!(rows, Rows::All);
        self.begin(now, if all { Writing::All } else { Writing::Some });
        Some(rows)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let waits = self.writing == Writing::Nothing && self.waiting.is_some();
        waits.then_some(self.retry_at)
    }

    /// The write under way came to an end. A failed one leaves nothing on disk.
    pub(super) fn stored(&mut self, now: Duration, kept: bool) {
        self.writing = Writing::Nothing;
        if kept {
            self.pauses = pauses();
        } else {
            self.waiting = Some(Rows::All);
            self.retry_at = now + self.pauses.next().unwrap_or(LONGEST_RETRY);
        }
    }

    const fn begin(&mut self, now: Duration, writing: Writing) {
        (self.writing, self.began) = (writing, now);
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
