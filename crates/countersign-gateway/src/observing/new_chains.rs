//! How many new chains of one organization are reported. Whoever has a key of it can present as many
//! different chains as it likes, and the control plane keeps each.

use std::collections::{HashMap, HashSet};

use countersign_types::{UnixSeconds, digest::ChainDigest, id::OrganizationId};
use metrics::counter;

use super::tally::Tally;

const MINUTE: UnixSeconds = 60;

/// The most bytes of new chains of refused requests that one organization has reported in a minute:
/// sixty leaves of an ordinary size.
const MAX_REFUSED_BYTES: usize = 64 * 1024;

/// The most chains of one organization that are known to have been reported.
const MAX_KNOWN: usize = 16_384;

/// What one organization may have reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportLimits {
    /// New chains in a minute.
    pub(crate) chains: u32,
    /// How many of them may be of requests that were refused.
    pub(crate) refused_chains: u32,
    /// Observations that wait.
    pub(crate) observations: usize,
}

/// The chains that were reported, by organization.
#[derive(Debug)]
pub(crate) struct NewChains {
    limits: ReportLimits,
    organizations: HashMap<OrganizationId, Reported>,
    minute: UnixSeconds,
}

#[derive(Debug, Default)]
struct Reported {
    known: HashSet<ChainDigest>,
    /// In this minute.
    new: u32,
    new_refused: u32,
    new_refused_bytes: usize,
    used: UnixSeconds,
}

impl NewChains {
    pub(crate) fn new(limits: ReportLimits) -> Self {
        Self {
            limits,
            organizations: HashMap::new(),
            minute: 0,
        }
    }

    /// Whether what a tally counted may be reported, with its chain if that is new.
    pub(crate) fn may_report(&mut self, tally: &Tally, now: UnixSeconds) -> bool {
        let subject = &tally.subject;
        let Some(chain) = subject.identity.chain else {
            return true;
        };
        self.begin_minute(now / MINUTE);
        let (limits, minute) = (self.limits, self.minute);
        let of = self.organizations.entry(subject.organization.clone());
        let reported = of.or_default();
        reported.used = minute;
        if reported.known.contains(&chain) {
            return true;
        }
        let refused = subject.outcome.code.is_some();
        let bytes = if refused { tally.chain.bytes() } else { 0 };
        if reported.new >= limits.chains {
            return limited("chains");
        }
        if refused
            && (reported.new_refused >= limits.refused_chains
                || reported.new_refused_bytes + bytes > MAX_REFUSED_BYTES)
        {
            return limited("refused_chains");
        }
        reported.new += 1;
        reported.new_refused += u32::from(refused);
        reported.new_refused_bytes += bytes;
        if reported.known.len() >= MAX_KNOWN {
            reported.known.clear();
        }
        reported.known.insert(chain);
        true
    }

    fn begin_minute(&mut self, minute: UnixSeconds) {
        if self.minute == minute {
            return;
        }
        self.minute = minute;
        // An organization without traffic for an hour costs nothing.
        self.organizations
            .retain(|_, reported| minute.abs_diff(reported.used) < 60);
        for reported in self.organizations.values_mut() {
            (reported.new, reported.new_refused) = (0, 0);
            reported.new_refused_bytes = 0;
        }
    }
}

/// Counts what one organization has too much of.
pub(super) fn limited(limit: &'static str) -> bool {
    counter!("countersign_gateway_organization_limited_total", "limit" => limit).increment(1);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observing::tally::Subject,
        verdict::{chain::Chain, outcome::Outcome},
    };
    use countersign_types::{error::ErrorCode, workload::ObservedWorkload};
    use countersign_verify::presented::Presented;
    use rustls_pki_types::CertificateDer;
    use std::sync::Arc;

    fn tally(organization: u128, number: u8, bytes: usize, refused: bool) -> Tally {
        let mut der = vec![7; bytes];
        der[0] = number;
        let chain = Chain::new(Presented::new(vec![CertificateDer::from(der)]));
        let subject = Subject {
            organization: OrganizationId::from_random(organization),
            identity: ObservedWorkload {
                chain: Some(chain.digest),
                ..ObservedWorkload::default()
            },
            outcome: Outcome {
                code: refused.then_some(ErrorCode::CertificateVerificationFailed),
                anchor: None,
                reported: None,
                refused_by: None,
                reported_by: None,
            },
        };
        Tally::new(subject, &Arc::new(chain), 0)
    }

    #[test]
    fn new_chains_of_an_organization_are_limited_and_those_of_refused_requests_more() {
        let mut chains = NewChains::new(ReportLimits {
            chains: 4,
            refused_chains: 2,
            observations: 1,
        });
        let mut may = |organization, number, refused, now| {
            chains.may_report(&tally(organization, number, 10, refused), now)
        };
        assert!(may(1, 1, true, 0) && may(1, 2, true, 59));
        assert!(!may(1, 3, true, 59), "two of refused requests");
        assert!(may(1, 2, true, 59), "known by now");
        assert!(may(1, 4, false, 59) && may(1, 5, false, 59));
        assert!(!may(1, 6, false, 59), "four in all");
        assert!(may(2, 3, true, 59), "another organization");
        assert!(
            may(1, 3, true, 60) && may(1, 6, false, 60),
            "another minute"
        );
    }

    #[test]
    fn large_chains_of_refused_requests_are_limited_by_their_bytes() {
        let mut chains = NewChains::new(ReportLimits {
            chains: 100,
            refused_chains: 100,
            observations: 1,
        });
        let mut may = |number, refused| {
            chains.may_report(&tally(1, number, MAX_REFUSED_BYTES / 2, refused), 0)
        };
        assert!(may(1, true) && may(2, true) && !may(3, true));
        assert!(may(3, false));
    }
}
