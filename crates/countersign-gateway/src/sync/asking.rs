//! The pulls under way: the latest, and beside it at most one that was silent for too long.
//!
//! Nobody can tell an answer that was lost from one that takes long to begin. So a pull that is silent is
//! asked again soon, which gets past what was lost, and is still waited for, which lets a large answer
//! arrive. The one that is kept is given up for a later one in the end, since its connection may be
//! dead: each is waited for twice as long as the one before.

use std::time::Duration;

use countersign_types::{UnixSeconds, history::HistoryPoint};

use super::messages::{Moment, Pull, Report};

/// How long an answer may be silent, beyond the time for which it may be held, until it is asked for again.
const SILENCE: Duration = Duration::from_secs(3);
/// The same while nothing is in force yet that could be out of date: the answer is everything, and large.
const SILENCE_AT_FIRST: Duration = Duration::from_secs(30);
/// How long the last of several that are kept in a row may be silent.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// A pull under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    number: u64,
    sent: Duration,
    wait: Duration,
    report: Report,
    /// Since when its answer is silent: until then it may be held, or parts of it arrived.
    heard: Duration,
    silence: Duration,
    arriving: bool,
}

impl UnderWay {
    const fn new(pull: &Pull, now: Duration, silence: Duration) -> Self {
        let (number, wait, report) = (pull.number, pull.wait, pull.report);
        Self {
            number,
            sent: now,
            wait,
            report,
            heard: now.saturating_add(wait),
            silence,
            arriving: false,
        }
    }

    fn silent_at(&self) -> Duration {
        self.heard + self.silence
    }

    /// The time that its answer counts as of, by the clock: one that took longer than it may be held is as
    /// much older.
    pub(super) fn answered_as_of(&self, now: Moment) -> UnixSeconds {
        let late = now.elapsed.saturating_sub(self.sent + self.wait);
        now.clock.saturating_sub(late.as_secs())
    }
}

/// The pulls under way.
#[derive(Debug)]
pub(super) struct Asking {
    /// The number of the latest.
    count: u64,
    latest: Option<UnderWay>,
    kept: Option<UnderWay>,
    /// How long the one that is kept may be silent.
    patience: Duration,
}

impl Asking {
    pub(super) const fn new() -> Self {
        Self {
            count: 0,
            latest: None,
            kept: None,
            patience: SILENCE,
        }
    }

    /// The number of the latest pull.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// What the latest pull reports, while it is under way.
    pub(super) fn report(&self) -> Option<Report> {
        self.latest.map(|latest| latest.report)
    }

    /// When the latest is to be asked again.
    pub(super) fn silent_at(&self) -> Option<Duration> {
        self.latest.map(|latest| latest.silent_at())
    }

    /// Until when nothing is to be asked beside an answer that is arriving: that would only make it
    /// slower.
    pub(super) fn arrives_until(&self) -> Option<Duration> {
        let both = [self.latest, self.kept].into_iter().flatten();
        let arriving = both.filter(|each| each.arriving);
        arriving.map(|each| each.silent_at()).max()
    }

    /// One more pull. It takes the place of the latest, which is kept if it was silent and none is, or
    /// none that is worth waiting for. `late` says whether what is in force may be out of date.
    pub(super) fn ask(
        &mut self,
        now: Duration,
        after: HistoryPoint,
        wait: Duration,
        report: Report,
        late: bool,
    ) -> Pull {
        let silent = self.latest.filter(|latest| now >= latest.silent_at());
        let patience = self.patience;
        let over = |kept: UnderWay| now >= kept.heard + patience;
        if silent.is_some() && self.kept.is_none_or(over) {
            self.kept = silent;
            self.patience = LONGEST_PATIENCE.min(patience * 2);
        }
        self.count += 1;
        let pull = Pull {
            number: self.count,
            beside: self.kept.map(|kept| kept.number),
            after,
            wait,
            patience: LONGEST_PATIENCE,
            report,
        };
        let silence = if late { SILENCE } else { SILENCE_AT_FIRST };
        self.latest = Some(UnderWay::new(&pull, now, silence));
        pull
    }

    /// A part of the answer to a pull arrived.
    pub(super) fn arriving(&mut self, now: Duration, number: u64) {
        let both = [&mut self.latest, &mut self.kept].into_iter().flatten();
        for each in both.filter(|each| each.number == number) {
            (each.heard, each.arriving) = (now, true);
        }
    }

    /// A pull is answered. Then the others are of no use, and an answer to one of them would be of before;
    /// `None` for one of those.
    pub(super) fn answered(&mut self, number: u64) -> Option<UnderWay> {
        let mut both = [self.latest, self.kept].into_iter().flatten();
        let answered = both.find(|each| each.number == number)?;
        self.give_up();
        self.patience = SILENCE;
        Some(answered)
    }

    /// A pull failed. Returns whether it was the latest: another says nothing about new connections.
    pub(super) fn failed(&mut self, number: u64) -> bool {
        self.kept.take_if(|kept| kept.number == number);
        let latest = self.latest.take_if(|latest| latest.number == number);
        latest.is_some()
    }

    /// Nothing that is under way is waited for.
    pub(super) const fn give_up(&mut self) {
        (self.latest, self.kept) = (None, None);
    }
}
