//! The right to be forwarded: given by the judge, and remembered for each chain that was judged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, certificate::Scope, digest::Sha256, token::TokenClaims,
};
use countersign_verify::{
    judge::{Verdict, judge, judge_again, judge_both},
    permit::{NoAnchorApplies, Permit},
    presented::Presented,
    trust::TrustSet,
    unchanged::unchanged_until,
};
use http::HeaderValue;
use metrics::counter;

use super::{
    chain::Chain,
    refused_chain::RefusedChain,
    remembered_chains::{ChainAt, RememberedChains},
    report_only::ReportOnlyVerdict,
};
use crate::{
    json_line::Fields,
    log_fields::{SharedFields, write_verdict},
};

/// The most permitted chains that are remembered for one organization.
const MAX_PERMITTED: usize = 16_384;

/// The most refused chains that are remembered for one organization. A refusal names every active
/// anchor, so it is larger than a permit.
const MAX_REFUSED: usize = 1_024;

/// What was decided about a chain.
pub(crate) type Judged = Result<Arc<Authorization>, Arc<RefusedChain>>;

/// What lets a request through: nothing can be forwarded without one.
#[derive(Debug)]
pub(crate) struct Authorization {
    basis: Basis,
    /// What anchors that are only reported would say, where there are any.
    pub(crate) report_only: Option<Arc<ReportOnlyVerdict>>,
    /// As they go upstream, if a certificate was verified.
    pub(crate) certificate_headers: Option<CertificateHeaders>,
    log_fields: SharedFields,
    /// The denials that it was judged under.
    under: Arc<Denials>,
}

/// Tells the denials that something was judged under from every other's, before and after a change.
#[derive(Debug)]
struct Denials;

/// Why a request passes.
#[derive(Debug)]
enum Basis {
    /// Its certificate verified.
    Verified(Permit),
    /// No anchor is active for it.
    Open(NoAnchorApplies),
}

/// The verified certificate, as it is named upstream.
#[derive(Debug)]
pub(crate) struct CertificateHeaders {
    pub(crate) certificate: HeaderValue,
    pub(crate) leaf_sha256: HeaderValue,
}

impl CertificateHeaders {
    /// Made once for each permitted chain, and not for each request.
    fn new(permit: &Permit) -> Self {
        // An id and hexadecimal digits are always valid in a header.
        let header =
            |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            certificate: header(permit.anchor().as_str()),
            leaf_sha256: header(&permit.leaf_sha256().to_string()),
        }
    }
}

impl Authorization {
    fn new(basis: Basis, report_only: Option<Arc<ReportOnlyVerdict>>, under: Arc<Denials>) -> Self {
        let certificate_headers = match &basis {
            Basis::Open(_) => None,
            Basis::Verified(permit) => Some(CertificateHeaders::new(permit)),
        };
        Self {
            basis,
            report_only,
            certificate_headers,
            log_fields: SharedFields::default(),
            under,
        }
    }

    /// The leaf that was verified, or that was judged under what is only reported.
    pub(crate) fn leaf_sha256(&self) -> Option<Sha256> {
        match self.permit() {
            Some(permit) => Some(permit.leaf_sha256()),
            None => self.report_only.as_ref()?.leaf_sha256,
        }
    }

    /// What the access log has of it.
    pub(crate) fn log_fields(&self) -> &Fields {
        self.log_fields.get_or_write(|line| {
            let anchor = self.permit().map(|permit| permit.anchor().as_str());
            write_verdict(line, anchor, Some(self.revision()), self.leaf_sha256());
        })
    }

    /// The permit, if a certificate was verified.
    pub(crate) const fn permit(&self) -> Option<&Permit> {
        match &self.basis {
            Basis::Verified(permit) => Some(permit),
            Basis::Open(_) => None,
        }
    }

    /// The revision of the organization that was judged under.
    pub(crate) const fn revision(&self) -> u64 {
        match &self.basis {
            Basis::Verified(permit) => permit.revision(),
            Basis::Open(open) => open.revision(),
        }
    }

    /// Whether it still lets requests through at this time, and what it reports is still true.
    pub(crate) fn holds_at(&self, now: UnixSeconds) -> bool {
        let permit_holds = self.permit().is_none_or(|permit| permit.holds_at(now));
        let report_holds = |verdict: &Arc<ReportOnlyVerdict>| verdict.holds_at(now);
        permit_holds && self.report_only.as_ref().is_none_or(report_holds)
    }
}

/// An organization's trust, compiled, and what was decided under it.
#[derive(Debug)]
pub(crate) struct OrganizationTrust {
    enforced: TrustSet,
    /// The same with what is only reported, if anything is.
    with_reported: Option<TrustSet>,
    denials: Arc<Denials>,
    /// Shared with the trust before a change of denials alone: what passed under that one is looked up
    /// among these denials when it is asked for.
    permitted: Arc<RememberedChains<Authorization>>,
    refused: RememberedChains<RefusedChain>,
    /// Whether the log has it that a revocation list is missing: it is said once of what is in force.
    told_missing_list: AtomicBool,
}

impl OrganizationTrust {
    pub(crate) fn compile(bundle: &OrganizationBundle) -> Self {
        Self {
            enforced: TrustSet::compile(bundle),
            with_reported: TrustSet::compile_reported(bundle),
            denials: Arc::new(Denials),
            permitted: Arc::new(RememberedChains::new(MAX_PERMITTED)),
            refused: RememberedChains::new(MAX_REFUSED),
            told_missing_list: AtomicBool::new(false),
        }
    }

    /// The trust after a change of nothing but denials and keys.
    pub(crate) fn with_denials_of(&self, bundle: &OrganizationBundle) -> Self {
        let reported = self.with_reported.as_ref();
        Self {
            enforced: self.enforced.with_denials_of(bundle),
            with_reported: TrustSet::reported_with_denials_of(bundle, &self.enforced, reported),
            denials: Arc::new(Denials),
            permitted: Arc::clone(&self.permitted),
            refused: RememberedChains::new(MAX_REFUSED),
            told_missing_list: AtomicBool::new(false),
        }
    }

    /// Counts a chain that passes without a current revocation list.
    fn note_missing_list(&self, permit: &Permit) {
        if !permit.without_current_list() {
            return;
        }
        counter!("countersign_gateway_without_revocation_list_total").increment(1);
        if !self.told_missing_list.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                anchor = %permit.anchor(), revision = permit.revision(),
                "there is no current revocation list of an issuer, and what it issued is let pass"
            );
        }
    }

    /// Whether the leaf that a token was exchanged for is denied.
    pub(crate) fn denies_token(&self, claims: &TokenClaims, now: UnixSeconds) -> bool {
        let scope = Scope::Project(claims.project.clone());
        self.enforced
            .denies_token(&scope, claims.leaf.as_deref(), now)
    }

    /// What was decided about a chain before, if that still holds. A refusal may end at any second
    /// at which something that was looked at becomes valid or expires.
    pub(crate) fn remembered(
        &self,
        scope: &Scope,
        chain: &Chain,
        now: UnixSeconds,
    ) -> Option<Judged> {
        let at = (scope.clone(), chain.digest);
        let permitted = self.permitted.find(&at, |known| known.holds_at(now));
        match permitted {
            Some(known) if Arc::ptr_eq(&known.under, &self.denials) => Some(Ok(known)),
            // A refusal of these denials may stand beside a permit of those before.
            permitted => {
                let refused = self.refused.find(&at, |known| known.holds_at(now));
                let refused = refused.map(Err);
                refused.or_else(|| self.judge_again(at, chain, &*permitted?, now))
            }
        }
    }

    /// Judges what passed under the denials before a change again, under these: only they are looked up. `None`
    /// where that does not decide it.
    fn judge_again(
        &self,
        (scope, digest): ChainAt,
        chain: &Chain,
        passed: &Authorization,
        now: UnixSeconds,
    ) -> Option<Judged> {
        let presented = &chain.presented;
        let again = |trust: &TrustSet, permit| judge_again(trust, &scope, presented, permit, now);
        let verdict = match &passed.basis {
            Basis::Verified(permit) => again(&self.enforced, permit),
            // Nothing is looked at where nothing is active.
            Basis::Open(_) => judge(&self.enforced, &scope, presented, now),
        };
        let reported = self.with_reported.as_ref();
        let report_only = match reported.filter(|trust| trust.reports_at(&scope)) {
            None => None,
            Some(reported) => {
                // Where nothing was reported, what was enforced was all there is.
                let permit = match &passed.report_only {
                    Some(before) => before.permit(),
                    None => passed.permit(),
                };
                let verdict = again(reported, permit?);
                Some(Arc::new(ReportOnlyVerdict::new(verdict, presented, now)))
            }
        };
        Some(self.remember((scope, digest), chain, (verdict, report_only), now))
    }

    /// Judges a chain, and remembers what was decided. No lock is held meanwhile: signatures take
    /// time, and others need not wait for them.
    pub(crate) fn judge(&self, scope: &Scope, chain: &Chain, now: UnixSeconds) -> Judged {
        let verdicts = self.verdicts(scope, &chain.presented, now);
        self.remember((scope.clone(), chain.digest), chain, verdicts, now)
    }

    fn remember(
        &self,
        at: ChainAt,
        chain: &Chain,
        (verdict, report_only): (Verdict, Option<Arc<ReportOnlyVerdict>>),
        now: UnixSeconds,
    ) -> Judged {
        let (scope, presented) = (&at.0, &chain.presented);
        let basis = match verdict {
            Verdict::Permit(permit) => {
                self.note_missing_list(&permit);
                Basis::Verified(permit)
            }
            Verdict::NoAnchorApplies(open) => Basis::Open(open),
            Verdict::Refusal(refusal) => {
                let until = unchanged_until(&self.enforced, scope, presented, now);
                let until = until.min(refusal.denied_until());
                let refused = Arc::new(RefusedChain::new(refusal, report_only, now, until));
                self.refused.remember(at, &refused);
                return Err(refused);
            }
        };
        let under = Arc::clone(&self.denials);
        let authorization = Arc::new(Authorization::new(basis, report_only, under));
        self.permitted.remember(at, &authorization);
        Ok(authorization)
    }

    /// The verdict on a chain, and what anchors that are only reported would say, where there are any.
    fn verdicts(
        &self,
        scope: &Scope,
        presented: &Presented,
        now: UnixSeconds,
    ) -> (Verdict, Option<Arc<ReportOnlyVerdict>>) {
        let reported = self.with_reported.as_ref();
        let Some(reported) = reported.filter(|trust| trust.reports_at(scope)) else {
            return (judge(&self.enforced, scope, presented, now), None);
        };
        let [verdict, reported] = judge_both([&self.enforced, reported], scope, presented, now);
        let reported = ReportOnlyVerdict::new(reported, presented, now);
        (verdict, Some(Arc::new(reported)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testca::{Minted, root};
    use countersign_types::{
        bundle::BundleCertificate,
        id::{CertificateId, OrganizationId},
    };
    use rustls_pki_types::CertificateDer;

    /// 2027-01-15T08:00:00Z, when everything minted is valid.
    const NOW: UnixSeconds = 1_800_000_000;

    fn trust(anchor: &Minted) -> OrganizationTrust {
        let id = CertificateId::from_random(1);
        OrganizationTrust::compile(&OrganizationBundle {
            id: OrganizationId::from_random(1),
            revision: 1,
            digest: None,
            certificates: vec![BundleCertificate {
                id: id.clone(),
                pem: anchor.pem(),
                cel_policy: None,
                reported_policy: None,
                revocation: None,
                floor: None,
                reported_floor: None,
            }],
            active: vec![id],
            with_reported: Vec::new(),
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        })
    }

    fn chain(leaf: &Minted) -> Chain {
        let der = CertificateDer::from(leaf.der().to_vec());
        Chain::new(Presented::new(vec![der]))
    }

    fn remembered(trust: &OrganizationTrust, chain: &Chain, now: UnixSeconds) -> Option<bool> {
        let known = trust.remembered(&Scope::Organization, chain, now);
        known.map(|judged| judged.is_ok())
    }

    #[test]
    fn a_refusal_is_remembered_for_seconds_and_only_under_its_own_trust() {
        let (ours, theirs) = (root("Ours").mint(), root("Theirs").mint());
        let (trust_in_ours, untrusted) = (trust(&ours), chain(&theirs.leaf("a").mint()));
        assert_eq!(remembered(&trust_in_ours, &untrusted, NOW), None);
        assert!(
            trust_in_ours
                .judge(&Scope::Organization, &untrusted, NOW)
                .is_err()
        );
        for (now, known) in [
            (NOW, Some(false)),
            (NOW + 4, Some(false)),
            (NOW + 5, None),
            (NOW - 1, None),
        ] {
            assert_eq!(remembered(&trust_in_ours, &untrusted, now), known, "{now}");
        }
        assert_eq!(remembered(&trust(&ours), &untrusted, NOW), None);
    }

    #[test]
    fn a_refusal_ends_at_the_second_at_which_its_leaf_becomes_valid() {
        let ca = root("Ours").mint();
        let from = i64::try_from(NOW).unwrap() + 2;
        let early = chain(&ca.leaf("early").valid(from, from + 1).mint());
        let trust = trust(&ca);
        assert!(trust.judge(&Scope::Organization, &early, NOW).is_err());
        assert_eq!(remembered(&trust, &early, NOW + 1), Some(false));
        assert_eq!(remembered(&trust, &early, NOW + 2), None);
        assert!(trust.judge(&Scope::Organization, &early, NOW + 2).is_ok());
        assert_eq!(remembered(&trust, &early, NOW + 3), Some(true));
        assert_eq!(remembered(&trust, &early, NOW + 4), None, "it has expired");
    }

    #[test]
    fn the_refusals_remembered_are_bounded() {
        let (ours, theirs) = (root("Ours").mint(), root("Theirs").mint());
        let (trust, leaf) = (trust(&ours), theirs.leaf("a").mint());
        let der = CertificateDer::from(leaf.der().to_vec());
        for number in 0..=MAX_REFUSED {
            let padding = CertificateDer::from(number.to_le_bytes().to_vec());
            let chain = Chain::new(Presented::new(vec![der.clone(), padding]));
            assert!(trust.judge(&Scope::Organization, &chain, NOW).is_err());
        }
        let first = CertificateDer::from(0_usize.to_le_bytes().to_vec());
        let first = Chain::new(Presented::new(vec![der, first]));
        assert_eq!(remembered(&trust, &first, NOW), None);
    }
}
