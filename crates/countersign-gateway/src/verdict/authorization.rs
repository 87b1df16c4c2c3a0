//! The right to be forwarded: given by the judge, and remembered for each chain that was permitted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, certificate::Scope, digest::ChainDigest,
};
use countersign_verify::{
    denial::Denial,
    judge::{Verdict, judge},
    permit::{NoAnchorApplies, Permit},
    presented::Presented,
    trust::TrustSet,
};
use http::HeaderValue;

use super::{chain::Chain, report_only::ReportOnlyVerdict};

/// The most permitted chains that are remembered for one organization.
const MAX_PERMITTED: usize = 16_384;

/// What lets a request through: nothing can be forwarded without one.
#[derive(Debug)]
pub(crate) struct Authorization {
    basis: Basis,
    /// What anchors that are only reported would say, where there are any.
    pub(crate) report_only: Option<Arc<ReportOnlyVerdict>>,
    /// As they go upstream, if a certificate was verified.
    pub(crate) certificate_headers: Option<CertificateHeaders>,
}

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
    fn new(basis: Basis, report_only: Option<Arc<ReportOnlyVerdict>>) -> Self {
        let certificate_headers = match &basis {
            Basis::Open(_) => None,
            Basis::Verified(permit) => Some(CertificateHeaders::new(permit)),
        };
        Self {
            basis,
            report_only,
            certificate_headers,
        }
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

/// An organization's trust, compiled, and the chains that it permitted.
#[derive(Debug)]
pub(crate) struct OrganizationTrust {
    enforced: TrustSet,
    /// The same with what is only reported, if anything is.
    with_reported: Option<TrustSet>,
    permitted: PermittedChains,
}

impl OrganizationTrust {
    pub(crate) fn compile(bundle: &OrganizationBundle) -> Self {
        Self {
            enforced: TrustSet::compile(bundle),
            with_reported: TrustSet::compile_reported(bundle),
            permitted: PermittedChains::default(),
        }
    }

    /// Judges a chain, unless it was permitted before and that still holds.
    pub(crate) fn authorize(
        &self,
        scope: &Scope,
        chain: &Chain,
        now: UnixSeconds,
    ) -> Result<Arc<Authorization>, Box<Denial>> {
        let permitted_as = (scope.clone(), chain.digest);
        if let Some(known) = self.permitted.find(&permitted_as, now) {
            return Ok(known);
        }
        // Judged without the lock: signatures take time, and others need not wait for them.
        let basis = match judge(&self.enforced, scope, &chain.presented, now) {
            Verdict::Permit(permit) => Basis::Verified(permit),
            Verdict::NoAnchorApplies(open) => Basis::Open(open),
            Verdict::Denial(denial) => return Err(Box::new(denial)),
        };
        let report_only = self.report_only(scope, &chain.presented, now);
        let authorization = Arc::new(Authorization::new(basis, report_only));
        self.permitted
            .remember(permitted_as, Arc::clone(&authorization));
        Ok(authorization)
    }

    /// What anchors that are only reported would say, where there are any.
    pub(crate) fn report_only(
        &self,
        scope: &Scope,
        presented: &Presented,
        now: UnixSeconds,
    ) -> Option<Arc<ReportOnlyVerdict>> {
        let trust = self.with_reported.as_ref()?;
        ReportOnlyVerdict::find(trust, scope, presented, now)
    }
}

/// The chains that were permitted under one compiled trust. They are forgotten with it, so no
/// change of trust can leave one behind. A denial is never remembered: whoever is refused is judged
/// again, and passes as soon as it may.
#[derive(Debug, Default)]
struct PermittedChains(Mutex<HashMap<(Scope, ChainDigest), Arc<Authorization>>>);

impl PermittedChains {
    fn find(&self, chain: &(Scope, ChainDigest), now: UnixSeconds) -> Option<Arc<Authorization>> {
        let chains = self.lock();
        let known = chains.get(chain)?;
        known.holds_at(now).then(|| Arc::clone(known))
    }

    fn remember(&self, chain: (Scope, ChainDigest), authorization: Arc<Authorization>) {
        let mut chains = self.lock();
        // Cleared, and not evicted one by one: a chain that is still in use is judged once more,
        // and open connections remember their own verdicts.
        if chains.len() >= MAX_PERMITTED {
            chains.clear();
        }
        chains.insert(chain, authorization);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Scope, ChainDigest), Arc<Authorization>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
