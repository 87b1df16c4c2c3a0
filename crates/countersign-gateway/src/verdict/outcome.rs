//! The outcomes of requests, as they are counted.

use countersign_types::{
    error::ErrorCode,
    id::CertificateId,
    observation::{AnchorScope, ReportedOutcome},
    refused_by::RefusedBy,
};
use countersign_verify::refusal::Refusal;

use super::{authorization::Authorization, report_only::ReportOnlyVerdict};

/// What became of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    /// The code that they were refused with.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) anchor: Option<(CertificateId, AnchorScope)>,
    pub(crate) reported: Option<ReportedOutcome>,
    /// The denial, floor or revocation list that refused them.
    pub(crate) refused_by: Option<RefusedBy>,
    /// What would have refused them, of requests that passed, if everything that is only reported were enforced.
    pub(crate) reported_by: Option<RefusedBy>,
}

impl Outcome {
    /// They passed, under an anchor if a certificate was verified.
    pub(crate) fn passed(authorization: &Authorization) -> Self {
        let permit = authorization.permit();
        Self {
            code: None,
            anchor: permit.map(|permit| (permit.anchor().clone(), permit.scope().into())),
            reported: authorization.report_only.as_deref().map(reported),
            refused_by: None,
            reported_by: authorization.report_only.as_deref().and_then(reported_by),
        }
    }

    /// They were refused. An anchor is named where the chain verified and its policy said no.
    pub(crate) fn refused(refusal: &Refusal, report_only: Option<&ReportOnlyVerdict>) -> Self {
        let verified = refusal.verified_under();
        Self {
            code: Some(refusal.code()),
            anchor: verified.map(|(anchor, scope)| (anchor.clone(), scope.into())),
            reported: report_only.map(reported),
            refused_by: refusal.refused_by(),
            reported_by: None,
        }
    }
}

fn reported_by(verdict: &ReportOnlyVerdict) -> Option<RefusedBy> {
    verdict.refusal()?.refused_by()
}

fn reported(verdict: &ReportOnlyVerdict) -> ReportedOutcome {
    ReportedOutcome {
        code: verdict.code(),
        anchor: verdict.anchor().cloned(),
    }
}
