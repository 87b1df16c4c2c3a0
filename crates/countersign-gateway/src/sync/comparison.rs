//! The comparison by digests: what is in force is compared with what the control plane says it
//! should be, page by page, so that neither side has more to do at a time than for a change. An
//! organization is wrong only if it differs *and* no pull brings it: whatever a pull brought since
//! the first digests were asked for, or brings in the first pull after the last of them, was merely
//! changing.

use std::{collections::HashSet, time::Duration};

use countersign_types::{
    bundle::{Bundle, BundleDigests, OrganizationBundle},
    id::OrganizationId,
};

use super::{held::Held, messages::Output};

/// How long after one comparison the next one begins, give or take a tenth.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How long after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5 * 60);
/// How long after one page the next is asked for: reading them is work for the control plane, which has
/// changes to send meanwhile.
const BETWEEN_PAGES: Duration = Duration::from_millis(20);
/// How many organizations are fetched at a time.
const AT_A_TIME: usize = 50;

#[derive(Debug)]
enum Step {
    Resting(Duration),
    /// The digests were asked for, or a page of them.
    Asked,
    /// Then the page after this organization is asked for.
    BetweenPages(Duration, OrganizationId),
    /// All pages are there. The first answer to a pull after that one decides whether what differs is wrong.
    Confirming(u64),
    /// These are being fetched; the rest comes after them.
    Fetching(Vec<OrganizationId>, Vec<OrganizationId>),
}

/// What differs indeed, as it should be.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) changed: Vec<OrganizationBundle>,
    pub(super) removed: Vec<OrganizationId>,
}

/// The comparison, from one to the next.
#[derive(Debug)]
pub(super) struct Comparison {
    step: Step,
    /// What differs so far.
    suspects: Vec<OrganizationId>,
    /// What changed since the digests were asked for.
    changed: HashSet<OrganizationId>,
    every: Duration,
}

impl Comparison {
    /// The first one is due at once. The seed spreads gateways over the hour.
    pub(super) fn new(seed: u64) -> Self {
        let tenths = EVERY / 5 * u32::try_from(seed % 1000).unwrap_or(0) / 1000;
        Self {
            step: Step::Resting(Duration::ZERO),
            suspects: Vec::new(),
            changed: HashSet::new(),
            every: EVERY - EVERY / 10 + tenths,
        }
    }

    pub(super) const fn deadline(&self) -> Option<Duration> {
        match self.step {
            // The very first waits for the start, not for the time.
            Step::Resting(until) if until.is_zero() => None,
            Step::Resting(until) | Step::BetweenPages(until, _) => Some(until),
            _ => None,
        }
    }

    /// The digests to ask for now, if it is time; then they count as asked for.
    pub(super) fn due(&mut self, now: Duration, held: &mut Held) -> Option<Output> {
        let from = match &self.step {
            Step::Resting(until) if now >= *until => {
                held.begin_comparison();
                self.suspects.clear();
                self.changed.clear();
                None
            }
            Step::BetweenPages(until, from) if now >= *until => Some(from.clone()),
            _ => return None,
        };
        self.step = Step::Asked;
        Some(Output::AskDigests(from))
    }

    /// Notes what a pull brought.
    pub(super) fn changed(&mut self, ids: &[OrganizationId]) {
        if !matches!(self.step, Step::Resting(_)) {
            self.changed.extend(ids.iter().cloned());
        }
    }

    /// The digests, or a page of them, while pull number `pull` is under way or was the latest.
    pub(super) fn digests(
        &mut self,
        held: &mut Held,
        answer: BundleDigests,
        pull: u64,
        now: Duration,
    ) {
        if !matches!(self.step, Step::Asked) {
            return;
        }
        for said in answer.organizations {
            held.meet(&said.id);
            if !held.is(&said.id, Some(said.digest)) {
                self.suspects.push(said.id);
            }
        }
        if let Some(next) = answer.next {
            self.step = Step::BetweenPages(now + BETWEEN_PAGES, next);
            return;
        }
        self.suspects.append(&mut held.unmet());
        self.suspects.retain(|id| !self.changed.contains(id));
        self.step = if self.suspects.is_empty() {
            Step::Resting(now + self.every)
        } else {
            Step::Confirming(pull)
        };
    }

    /// Pull number `pull` was answered, and put in force: what is to be fetched now, if anything.
    pub(super) fn pulled(
        &mut self,
        pull: u64,
        complete: bool,
        now: Duration,
    ) -> Option<Vec<OrganizationId>> {
        if complete && !matches!(self.step, Step::Resting(_)) {
            // Everything was replaced; what comes of the old comparison says nothing.
            self.step = Step::Resting(now + self.every);
            return None;
        }
        match self.step {
            Step::Confirming(after) if pull > after => {
                let suspects = std::mem::take(&mut self.suspects);
                self.begin(suspects, now)
            }
            _ => None,
        }
    }

    /// What was fetched: of that, what differs indeed.
    pub(super) fn fetched(&mut self, held: &Held, answer: Bundle) -> Difference {
        let Step::Fetching(asked, _) = &self.step else {
            return Difference::default();
        };
        let mut gone: HashSet<_> = asked.iter().cloned().collect();
        let mut difference = Difference::default();
        for bundle in answer.organizations {
            let expected = gone.remove(&bundle.id) && !self.changed.contains(&bundle.id);
            if expected && !held.is(&bundle.id, bundle.digest) {
                difference.changed.push(bundle);
            }
        }
        gone.retain(|id| held.contains(id) && !self.changed.contains(id));
        difference.removed.extend(gone);
        difference.removed.sort();
        difference
    }

    /// What is to be fetched after that.
    pub(super) fn more(&mut self, now: Duration) -> Option<Vec<OrganizationId>> {
        match &mut self.step {
            Step::Fetching(_, rest) => {
                let rest = std::mem::take(rest);
                self.begin(rest, now)
            }
            _ => None,
        }
    }

    pub(super) fn failed(&mut self, now: Duration) {
        self.step = Step::Resting(now + AFTER_FAILURE);
    }

    fn begin(
        &mut self,
        mut suspects: Vec<OrganizationId>,
        now: Duration,
    ) -> Option<Vec<OrganizationId>> {
        suspects.retain(|id| !self.changed.contains(id));
        suspects.sort();
        if suspects.is_empty() {
            self.step = Step::Resting(now + self.every);
            return None;
        }
        let rest = suspects.split_off(suspects.len().min(AT_A_TIME));
        self.step = Step::Fetching(suspects.clone(), rest);
        Some(suspects)
    }
}
