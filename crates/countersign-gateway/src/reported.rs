//! What the anchors that are only reported would make of a request: judged by the same judge as
//! if they were enforced, counted and told, and never in the way of anything.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds, certificate::Scope, digest::Sha256, error::ErrorCode, id::CertificateId,
};
use countersign_verify::{
    denial::Denial,
    judge::{Verdict, judge},
    presented::Presented,
};

use crate::identify::Organization;

/// How long a denial is remembered, in seconds: a certificate in it may become valid any moment.
const DENIAL_HOLDS: UnixSeconds = 5;

/// What a request's verdict would be.
#[derive(Debug)]
pub(crate) struct Reported {
    verdict: Verdict,
    judged_at: UnixSeconds,
    /// The leaf that was judged.
    pub(crate) leaf_sha256: Option<Sha256>,
}

impl Reported {
    /// Judges as if every anchor were enforced; `None` where none is only reported.
    pub(crate) fn judge(
        organization: &Organization,
        scope: &Scope,
        presented: &Presented,
        now: UnixSeconds,
    ) -> Option<Arc<Self>> {
        let trust = organization.reported.as_ref()?;
        trust.reports_at(scope).then(|| {
            Arc::new(Self {
                verdict: judge(trust, scope, presented, now),
                judged_at: now,
                leaf_sha256: presented.leaf().map(Sha256::of),
            })
        })
    }

    /// Whether it would still be so at this moment.
    pub(crate) fn holds_at(&self, now: UnixSeconds) -> bool {
        match &self.verdict {
            Verdict::Permit(permit) => permit.holds_at(now),
            Verdict::NoAnchorApplies(_) => true,
            Verdict::Denial(_) => now.abs_diff(self.judged_at) < DENIAL_HOLDS,
        }
    }

    /// The code of the refusal that it would be.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.denial().map(Denial::code)
    }

    /// The anchor that would let the request through.
    pub(crate) const fn anchor(&self) -> Option<&CertificateId> {
        match &self.verdict {
            Verdict::Permit(permit) => Some(permit.anchor()),
            Verdict::NoAnchorApplies(_) | Verdict::Denial(_) => None,
        }
    }

    pub(crate) const fn denial(&self) -> Option<&Denial> {
        match &self.verdict {
            Verdict::Denial(denial) => Some(denial),
            Verdict::Permit(_) | Verdict::NoAnchorApplies(_) => None,
        }
    }
}
