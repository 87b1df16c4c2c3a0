//! Which observations a gateway can have made at all.

use countersign_types::{
    error::ErrorCode,
    observation::{AnchorScope, Observation},
    refusal::RefusalSummary,
};

/// More requests than one observation can have counted, far from where a sum would overflow.
const MAX_REQUESTS: u64 = 1 << 40;

/// Whether one count of a gateway can be of so many requests.
pub(super) fn is_plausible_number(requests: u64) -> bool {
    (1..=MAX_REQUESTS).contains(&requests)
}

/// Whether a gateway can have refused requests like this.
pub(super) fn is_plausible_refusal(summary: &RefusalSummary) -> bool {
    is_plausible_number(summary.requests) && is_of_a_verdict(summary.code)
}

const fn is_of_a_verdict(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CertificateRequired
            | ErrorCode::InvalidCertificate
            | ErrorCode::CertificateVerificationFailed
            | ErrorCode::CertificateAttributeVerificationFailed
            | ErrorCode::AuthenticationTemporarilyUnavailable
    )
}

/// Whether a gateway can have made this observation.
pub(super) fn is_plausible(observation: &Observation) -> bool {
    let judged = |code: Option<ErrorCode>| code.is_none_or(is_of_a_verdict);
    let reported = observation.reported.as_ref();
    let has_anchor = observation.anchor.is_some();
    let names_anchor = has_anchor || reported.is_some_and(|it| it.anchor.is_some());
    is_plausible_number(observation.requests)
        && (observation.identity.project.is_some() || observation.identity.key.is_some())
        && judged(observation.code)
        && judged(reported.and_then(|it| it.code))
        && (!names_anchor || observation.identity.chain.is_some())
        && has_anchor == observation.anchor_scope.is_some()
        && (observation.anchor_scope != Some(AnchorScope::Project)
            || observation.identity.project.is_some())
}
