//! The verdict of trust anchors that are only reported: found as if they were enforced, counted and
//! logged, and never enforced.

use countersign_types::{UnixSeconds, digest::Sha256, error::ErrorCode, id::CertificateId};
use countersign_verify::{judge::Verdict, permit::Permit, presented::Presented, refusal::Refusal};

/// How long a refusal is remembered, in seconds: a certificate in the chain may become valid at
/// any time.
const REFUSAL_HOLDS: UnixSeconds = 5;

/// What a request's verdict would be if every anchor were enforced.
#[derive(Debug)]
pub(crate) struct ReportOnlyVerdict {
    verdict: Verdict,
    judged_at: UnixSeconds,
    /// The leaf that was presented.
    pub(crate) leaf_sha256: Option<Sha256>,
}

impl ReportOnlyVerdict {
    /// The verdict on a chain under trust that includes what is only reported.
    pub(crate) fn new(verdict: Verdict, presented: &Presented, now: UnixSeconds) -> Self {
        Self {
            verdict,
            judged_at: now,
            leaf_sha256: presented.leaf().map(Sha256::of),
        }
    }

    /// Whether it is still true at this time.
    pub(crate) fn holds_at(&self, now: UnixSeconds) -> bool {
        match &self.verdict {
            Verdict::Permit(permit) => permit.holds_at(now),
            Verdict::NoAnchorApplies(_) => true,
            Verdict::Refusal(refusal) => {
                now.abs_diff(self.judged_at) < REFUSAL_HOLDS && now < refusal.denied_until()
            }
        }
    }

    /// The code that the request would be refused with.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.refusal().map(Refusal::code)
    }

    /// The anchor that would let the request pass.
    pub(crate) const fn anchor(&self) -> Option<&CertificateId> {
        match &self.verdict {
            Verdict::Permit(permit) => Some(permit.anchor()),
            Verdict::NoAnchorApplies(_) | Verdict::Refusal(_) => None,
        }
    }

    /// What lets the request pass, if a certificate would.
    pub(crate) const fn permit(&self) -> Option<&Permit> {
        match &self.verdict {
            Verdict::Permit(permit) => Some(permit),
            Verdict::NoAnchorApplies(_) | Verdict::Refusal(_) => None,
        }
    }

    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        match &self.verdict {
            Verdict::Refusal(refusal) => Some(refusal),
            Verdict::Permit(_) | Verdict::NoAnchorApplies(_) => None,
        }
    }
}
