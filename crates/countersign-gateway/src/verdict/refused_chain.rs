//! A refusal, remembered for a few seconds: who is refused may ask again at once, and that must not
//! cost a verdict each time.

use std::sync::{Arc, OnceLock};

use countersign_types::UnixSeconds;
use countersign_verify::refusal::Refusal;

use super::report_only::ReportOnlyVerdict;

/// How long a refusal is remembered at the most, in seconds. Time alone may end it earlier.
const LIFE: UnixSeconds = 5;

/// A refusal, and what else was found about its chain.
#[derive(Debug)]
pub(crate) struct RefusedChain {
    pub(crate) refusal: Refusal,
    /// What anchors that are only reported would say, where there are any.
    pub(crate) report_only: Option<Arc<ReportOnlyVerdict>>,
    /// Its findings in one line, once somebody wants them.
    pub(crate) reason: OnceLock<String>,
    judged_at: UnixSeconds,
    /// The first second at which it no longer holds.
    until: UnixSeconds,
}

impl RefusedChain {
    /// `unchanged_until` is when something that was looked at becomes valid or expires.
    pub(crate) fn new(
        refusal: Refusal,
        report_only: Option<Arc<ReportOnlyVerdict>>,
        judged_at: UnixSeconds,
        unchanged_until: UnixSeconds,
    ) -> Self {
        Self {
            refusal,
            report_only,
            reason: OnceLock::new(),
            judged_at,
            until: judged_at.saturating_add(LIFE).min(unchanged_until),
        }
    }

    /// Whether the verdict is still known to be the same. Never after the clock went back.
    pub(crate) fn holds_at(&self, now: UnixSeconds) -> bool {
        let report_holds = |verdict: &Arc<ReportOnlyVerdict>| verdict.holds_at(now);
        self.judged_at <= now
            && now < self.until
            && self.report_only.as_ref().is_none_or(report_holds)
    }
}
