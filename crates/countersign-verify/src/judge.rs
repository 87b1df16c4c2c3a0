//! The judgement (docs/specification.md, section 2): a pure function of what is trusted, what
//! was presented and the time.

use countersign_types::{UnixSeconds, certificate::Scope, digest::Sha256, error::ErrorCode};
use rustls_pki_types::CertificateDer;

use crate::{
    budget::{MAX_INTERMEDIATE_BYTES, MAX_INTERMEDIATES},
    denial::{Denial, Finding, Reason, Step},
    path::{Leaf, Verifier},
    permit::{NoAnchorApplies, Permit, Proven},
    policy::{LeafFacts, Policy},
    presented::Presented,
    rules,
    trust::{Applicable, Candidate, TrustSet, TrustedAnchor},
    walk::{Link, Walk, may_have_issued},
    x509::Certificate,
};

/// What was decided. A request goes on only by handing over what one of the first two holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The leaf stands under an active anchor whose policy, if any, agrees.
    Permit(Permit),
    /// Nothing is active, so no certificate is asked for.
    NoAnchorApplies(NoAnchorApplies),
    /// The request is refused.
    Denial(Denial),
}

/// Judges what a client presented against what is active at `scope`, a project or (for admin keys)
/// the organization, at `now`.
///
/// Several active anchors may have the key that signed the leaf, as when a CA was issued again
/// with the same key: the first that verifies is selected, and failing the direct path is final
/// only when none of them does. An anchor that has the key but another name, or that is outside
/// its own validity, is not selected, so it does not make the direct path fail for good.
#[must_use]
pub fn judge(trust: &TrustSet, scope: &Scope, presented: &Presented, now: UnixSeconds) -> Verdict {
    let revision = trust.revision();
    let Some(applicable) = trust.applicable(scope) else {
        // Not knowing what is active at a project is no reason to let its requests through.
        let code = ErrorCode::AuthenticationTemporarilyUnavailable;
        let refused = Refused::early(code, Step::Trust, Reason::UnknownProject);
        return Verdict::Denial(Denial::new(refused.code, refused.trace, revision));
    };
    if applicable.is_empty() {
        return Verdict::NoAnchorApplies(NoAnchorApplies::new(revision));
    }
    let judged = Judgement::open(applicable, presented, now).and_then(Judgement::conclude);
    match judged {
        Ok(proven) => Verdict::Permit(Permit::new(proven, revision)),
        Err(refused) => Verdict::Denial(Denial::new(refused.code, refused.trace, revision)),
    }
}

/// A refusal in the making.
struct Refused {
    code: ErrorCode,
    trace: Vec<Finding>,
}

impl Refused {
    /// A refusal before any anchor was looked at.
    fn early(code: ErrorCode, step: Step, reason: Reason) -> Self {
        let finding = Finding {
            anchor: None,
            certificate: (step == Step::Leaf).then_some(0),
            step,
            reason,
        };
        Self {
            code,
            trace: vec![finding],
        }
    }
}

/// An anchor under which the leaf verified.
struct Selected<'a> {
    candidate: Candidate<'a>,
    /// The earliest `notAfter` on the path.
    not_after: UnixSeconds,
}

/// One judgement under way.
struct Judgement<'a> {
    applicable: Applicable<'a>,
    now: UnixSeconds,
    presented: &'a Presented,
    der: &'a CertificateDer<'static>,
    fields: Certificate<'a>,
    leaf: Leaf<'a>,
    /// The identifier of the key that signed the leaf.
    issuer_key: &'a [u8],
    verifier: Verifier,
    trace: Vec<Finding>,
}

impl<'a> Judgement<'a> {
    /// Step 2: there is a leaf, and it can be read.
    fn open(
        applicable: Applicable<'a>,
        presented: &'a Presented,
        now: UnixSeconds,
    ) -> Result<Self, Refused> {
        let der = presented.leaf().ok_or_else(|| {
            Refused::early(
                ErrorCode::CertificateRequired,
                Step::Leaf,
                Reason::NotPresented,
            )
        })?;
        let invalid = |reason| Refused::early(ErrorCode::InvalidCertificate, Step::Leaf, reason);
        let fields = Certificate::read(der).map_err(|what| invalid(Reason::Malformed(what)))?;
        let leaf = Leaf::read(der).map_err(invalid)?;
        let issuer_key = fields
            .extensions
            .authority_key
            .ok_or_else(|| invalid(Reason::NoAuthorityKeyIdentifier))?;
        Ok(Self {
            applicable,
            now,
            presented,
            der,
            fields,
            leaf,
            issuer_key,
            verifier: Verifier::new(),
            trace: Vec::new(),
        })
    }

    /// Steps 3 to 6.
    fn conclude(mut self) -> Result<Proven, Refused> {
        let selected = match self.direct_path()? {
            Some(selected) => selected,
            None => self.chain_path()?,
        };
        let candidate = selected.candidate;
        if let Some(policy) = &candidate.anchor.policy {
            self.ask(policy, candidate)?;
        }
        Ok(Proven {
            anchor: candidate.id.clone(),
            scope: candidate.scope.clone(),
            leaf_sha256: Sha256::of(self.der),
            not_after: selected.not_after,
            signature_checks: self.verifier.signature_checks(),
        })
    }

    /// Step 3. `None` is an ordinary no-match: no anchor was selected.
    fn direct_path(&mut self) -> Result<Option<Selected<'a>>, Refused> {
        let fit = self.leaf_is_fit();
        let mut failed = false;
        for candidate in self.applicable.candidates(self.issuer_key) {
            if !may_have_issued(candidate.anchor, &self.fields, self.now) {
                continue;
            }
            let verified = fit.clone().and_then(|()| self.verify(&[], candidate));
            match verified {
                Ok(()) => {
                    let not_after = candidate.anchor.not_after.min(self.fields.not_after);
                    return Ok(Some(Selected {
                        candidate,
                        not_after,
                    }));
                }
                Err(reason) => {
                    failed = true;
                    self.note(Some(candidate), Some(0), Step::DirectPath, reason)?;
                }
            }
        }
        if failed {
            return Err(self.refuse());
        }
        Ok(None)
    }

    /// Step 4.
    fn chain_path(&mut self) -> Result<Selected<'a>, Refused> {
        if let Err(reason) = self.leaf_is_fit() {
            self.note(None, Some(0), Step::ChainPath, reason)?;
            return Err(self.refuse());
        }
        let links = self.links()?;
        let walk = Walk {
            leaf: &self.fields,
            links: &links,
            applicable: self.applicable,
            now: self.now,
        };
        let found = match walk.routes() {
            Ok(found) => found,
            Err(reason) => {
                self.note(None, None, Step::ChainPath, reason)?;
                return Err(self.refuse());
            }
        };
        for place in found.closed_links {
            self.note(None, Some(place), Step::ChainPath, Reason::PathLength)?;
        }
        for candidate in found.closed_anchors.into_values() {
            self.note(Some(candidate), None, Step::ChainPath, Reason::PathLength)?;
        }
        for route in found.routes {
            let candidate = route.candidate;
            let through: Vec<_> = route
                .through
                .iter()
                .filter_map(|&at| links.get(at))
                .collect();
            let ders: Vec<_> = through.iter().map(|link| borrowed(link.der)).collect();
            match self.verify(&ders, candidate) {
                Ok(()) => {
                    let ends = through.iter().map(|link| link.fields.not_after);
                    let first = self.fields.not_after.min(candidate.anchor.not_after);
                    return Ok(Selected {
                        candidate,
                        not_after: ends.fold(first, UnixSeconds::min),
                    });
                }
                Err(reason) => self.note(Some(candidate), None, Step::ChainPath, reason)?,
            }
        }
        Err(self.refuse())
    }

    /// The presented intermediates that may stand on a path.
    fn links(&mut self) -> Result<Vec<Link<'a>>, Refused> {
        let intermediates = self.presented.intermediates();
        let bytes: usize = intermediates.iter().map(|der| der.len()).sum();
        if intermediates.len() > MAX_INTERMEDIATES || bytes > MAX_INTERMEDIATE_BYTES {
            self.note(
                None,
                None,
                Step::ChainPath,
                Reason::Budget("certificates presented"),
            )?;
        }
        let mut links = Vec::new();
        for (der, place) in intermediates.iter().zip(1..) {
            match Link::read(place, der, self.now) {
                Ok(link) => links.push(link),
                Err(reason) => self.note(None, Some(place), Step::ChainPath, reason)?,
            }
        }
        Ok(links)
    }

    /// Step 6: the selected anchor's policy decides, and no other anchor overrules it.
    fn ask(&mut self, policy: &Policy, candidate: Candidate<'a>) -> Result<(), Refused> {
        let (code, reason) = match LeafFacts::from_der(self.der) {
            Ok(facts) => match policy.evaluate(&facts) {
                Ok(true) => return Ok(()),
                Ok(false) => (
                    ErrorCode::CertificateAttributeVerificationFailed,
                    Reason::PolicyDenied,
                ),
                Err(error) => (
                    ErrorCode::AuthenticationTemporarilyUnavailable,
                    Reason::PolicyFailed(error.to_string()),
                ),
            },
            Err(error) => (
                ErrorCode::InvalidCertificate,
                Reason::PolicyFailed(error.to_string()),
            ),
        };
        self.trace
            .push(finding(Some(candidate), Some(0), Step::Policy, reason));
        Err(Refused {
            code,
            trace: std::mem::take(&mut self.trace),
        })
    }

    /// The rules that the leaf meets or fails whatever the path.
    fn leaf_is_fit(&self) -> Result<(), Reason> {
        rules::check_dates(&self.fields, self.now)?;
        rules::check_leaf(&self.fields)
    }

    fn verify(
        &self,
        through: &[CertificateDer<'_>],
        candidate: Candidate<'_>,
    ) -> Result<(), Reason> {
        let key = &candidate.anchor.key;
        self.verifier.verify(&self.leaf, through, key, self.now)
    }

    /// Traces a failure; a budget that is used up ends the judgement.
    fn note(
        &mut self,
        candidate: Option<Candidate<'_>>,
        certificate: Option<usize>,
        step: Step,
        reason: Reason,
    ) -> Result<(), Refused> {
        let ends = matches!(reason, Reason::Budget(_));
        self.trace
            .push(finding(candidate, certificate, step, reason));
        if ends { Err(self.refuse()) } else { Ok(()) }
    }

    /// Refuses for want of a path, and says of every active anchor that the trace does not name
    /// yet why it was no candidate.
    fn refuse(&mut self) -> Refused {
        let mut trace = std::mem::take(&mut self.trace);
        let tried = trace.len();
        for (id, scope, anchor) in self.applicable.all() {
            let is_this = |finding: &Finding| {
                let anchor = finding.anchor.as_ref();
                anchor.is_some_and(|(tried, at)| tried == id && at == scope)
            };
            if trace.iter().take(tried).any(is_this) {
                continue;
            }
            trace.push(Finding {
                anchor: Some((id.clone(), scope.clone())),
                certificate: None,
                step: Step::Candidate,
                reason: self.why_no_candidate(anchor),
            });
        }
        Refused {
            code: ErrorCode::CertificateVerificationFailed,
            trace,
        }
    }

    fn why_no_candidate(&self, anchor: Result<&TrustedAnchor, &str>) -> Reason {
        match anchor {
            Err(why) => Reason::AnchorUnusable(why.to_owned()),
            Ok(anchor) if self.now < anchor.not_before => {
                Reason::AnchorNotYetValid(anchor.not_before)
            }
            Ok(anchor) if self.now > anchor.not_after => Reason::AnchorExpired(anchor.not_after),
            Ok(anchor) if *anchor.subject_key == *self.issuer_key => Reason::OtherIssuer,
            Ok(_) if self.presented.intermediates().is_empty() => Reason::OtherKey,
            Ok(_) => Reason::NoPath,
        }
    }
}

fn borrowed<'a>(der: &'a CertificateDer<'_>) -> CertificateDer<'a> {
    CertificateDer::from(der.as_ref())
}

fn finding(
    candidate: Option<Candidate<'_>>,
    certificate: Option<usize>,
    step: Step,
    reason: Reason,
) -> Finding {
    Finding {
        anchor: candidate.map(|candidate| (candidate.id.clone(), candidate.scope.clone())),
        certificate,
        step,
        reason,
    }
}
