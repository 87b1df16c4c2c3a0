//! What a file is, and whether it would be accepted, for people.

use countersign_types::UnixSeconds;

use super::{anchor::expiry, anchor_rules, facts::Facts, pem, rejection::Rejection};

/// What a PEM text is, and every reason why it would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What its first certificate says, if one could be read.
    pub facts: Option<Facts>,
    /// Why an upload of it would be refused now, the most telling first; empty when it would be
    /// accepted.
    pub reasons: Vec<Rejection>,
}

/// Looks at a PEM text as an upload would be looked at, and reports all of it.
#[must_use]
pub fn inspect(pem: &str, now: UnixSeconds) -> Inspection {
    match pem::first_certificate(pem).and_then(|der| anchor_rules::examine(&der)) {
        Ok((facts, mut reasons)) => {
            reasons.extend(anchor_rules::refused_at_upload(facts.der()));
            reasons.extend(expiry(facts.not_after(), now));
            Inspection {
                facts: Some(facts),
                reasons,
            }
        }
        Err(reason) => Inspection {
            facts: None,
            reasons: vec![reason],
        },
    }
}
