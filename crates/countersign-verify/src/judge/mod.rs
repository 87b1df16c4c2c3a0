//! The judgement (docs/specification.md, section 2): a pure function of what is trusted, what
//! was presented and the time.

mod intermediates;
mod revoked;
mod trace;

use std::cell::OnceCell;

use countersign_types::{UnixSeconds, certificate::Scope, digest::Sha256, error::ErrorCode};
use rustls_pki_types::CertificateDer;

use self::{
    intermediates::Intermediates,
    revoked::Unrevoked,
    trace::{At, Refused, Situation, Trace},
};
use crate::{
    budget::{self, Budget},
    denial,
    path::{Fault, Leaf, Path, Verifier},
    path_building::{Intermediate, PathBuilder, PossiblePath, may_have_issued},
    permit::{NoAnchorApplies, Permit, Proven, VerifiedPath},
    policy::{EvaluationError, LeafFacts, Policy},
    presented::Presented,
    refusal::{Reason, Refusal, Step},
    rules,
    signatures::Signatures,
    trust::{Applicable, Candidate, TrustSet},
    x509::Certificate,
};

/// What was decided. A request goes on only by handing over what one of the first two holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The leaf verifies under an active anchor whose policy, if there is one, is true.
    Permit(Permit),
    /// Nothing is active, so no certificate is asked for.
    NoAnchorApplies(NoAnchorApplies),
    /// The request is refused.
    Refusal(Refusal),
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
    judge_by(Verifier::default(), trust, scope, presented, now)
}

/// Judges a chain under two trust sets. The verdicts are those of [`judge`], at little more than the price
/// of one: a signature that both look at is checked once.
#[must_use]
pub fn judge_both(
    trusts: [&TrustSet; 2],
    scope: &Scope,
    presented: &Presented,
    now: UnixSeconds,
) -> [Verdict; 2] {
    let checked = Signatures::default();
    trusts.map(|trust| judge_by(Verifier::sharing(&checked), trust, scope, presented, now))
}

fn judge_by(
    verifier: Verifier<'_>,
    trust: &TrustSet,
    scope: &Scope,
    presented: &Presented,
    now: UnixSeconds,
) -> Verdict {
    let revision = trust.revision();
    let Some(applicable) = trust.applicable(scope) else {
        // Not knowing what is active at a project is no reason to let its requests through.
        let code = ErrorCode::AuthenticationTemporarilyUnavailable;
        let refused = Refused::early(code, Step::Trust, Reason::UnknownProject);
        return Verdict::Refusal(Refusal::new(refused.code, refused.trace, revision));
    };
    if applicable.is_empty() {
        return Verdict::NoAnchorApplies(NoAnchorApplies::new(revision));
    }
    let opened = Judgement::open(verifier, (applicable, trust.denied(scope)), presented, now);
    let judged = opened.and_then(Judgement::conclude);
    match judged {
        Ok(proven) => Verdict::Permit(Permit::new(proven, revision)),
        Err(refused) => Verdict::Refusal(Refusal::new(refused.code, refused.trace, revision)),
    }
}

/// Judges a chain again that `permit` lets pass, under a trust set that has the same anchors
/// ([`TrustSet::with_denials_of`]) as the one that the permit was made under. The verdict is that of [`judge`] as
/// long as the permit holds, for the price of looking the leaf up among the denials.
#[must_use]
pub fn judge_again(
    trust: &TrustSet,
    scope: &Scope,
    presented: &Presented,
    permit: &Permit,
    now: UnixSeconds,
) -> Verdict {
    let revision = trust.revision();
    let leaf = presented.leaf();
    let read = leaf.and_then(|der| Some((der, Certificate::read(der).ok()?)));
    let Some((der, fields)) = read.filter(|_| permit.holds_at(now)) else {
        return judge(trust, scope, presented, now);
    };
    let denied = trust.denied(scope);
    let proven = permit.proven();
    let under = (proven.anchor.clone(), proven.scope.clone());
    let refused = denied
        .refuse_at_once(der, &proven.leaf_sha256.into(), &fields, now)
        .map(|reason| (None, reason))
        .or_else(|| {
            let reason = denied.refuse_verified(&fields, now)?;
            Some((Some(under), reason))
        });
    match refused {
        None => Verdict::Permit(Permit::new(proven.clone(), revision)),
        Some((under, reason)) => {
            let refused = Refused::denied(under, &fields, reason);
            Verdict::Refusal(Refusal::new(refused.code, refused.trace, revision))
        }
    }
}

/// An anchor under which the leaf verified.
struct Selected<'a> {
    candidate: Candidate<'a>,
    path: VerifiedPath,
    /// The earliest `notAfter` on the path, or before that the end of a revocation list that must be current.
    not_after: UnixSeconds,
    /// Whether a current revocation list was missing, and the anchor allows that.
    list_missing: bool,
}

/// One judgement while it is made.
struct Judgement<'a> {
    applicable: Applicable<'a>,
    denied: denial::Applicable<'a>,
    now: UnixSeconds,
    presented: &'a Presented,
    der: &'a CertificateDer<'static>,
    fields: Certificate<'a>,
    leaf: Leaf<'a>,
    /// The identifier of the key that signed the leaf.
    issuer_key: &'a [u8],
    verifier: Verifier<'a>,
    budget: Budget,
    trace: Trace,
}

impl<'a> Judgement<'a> {
    /// Step 2: there is a leaf, and it can be read.
    fn open(
        verifier: Verifier<'a>,
        (applicable, denied): (Applicable<'a>, denial::Applicable<'a>),
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
        let budget = Budget::default();
        // What it costs to read one leaf is always within the budget.
        let _ = budget.charge(budget::reading(der.len()));
        let fields = Certificate::read(der).map_err(|what| invalid(Reason::Malformed(what)))?;
        let leaf = Leaf::read(der).map_err(invalid)?;
        let issuer_key = fields
            .extensions
            .authority_key
            .ok_or_else(|| invalid(Reason::NoAuthorityKeyIdentifier))?;
        Ok(Self {
            applicable,
            denied,
            now,
            presented,
            der,
            fields,
            leaf,
            issuer_key,
            verifier,
            budget,
            trace: Trace::default(),
        })
    }

    /// Steps 3 to 6. What takes access away of a leaf whatever its path comes first, since it costs nothing
    /// else; of a leaf that verified, what does so comes before the policy.
    fn conclude(mut self) -> Result<Proven, Refused> {
        let digest = OnceCell::new();
        let denied = self.denied;
        if let Some(reason) = denied.refuse_at_once(self.der, &digest, &self.fields, self.now) {
            return Err(Refused::denied(None, &self.fields, reason));
        }
        let selected = match self.direct_path() {
            Ok(Some(selected)) => Some(selected),
            Ok(None) => self.chain_path(),
            Err(Final) => None,
        };
        let Some(selected) = selected else {
            let situation = Situation {
                now: self.now,
                leaf: &self.fields,
                issuer_key: self.issuer_key,
                alone: self.presented.intermediates().is_empty(),
            };
            return Err(self
                .trace
                .refuse_without_a_path(self.applicable, &situation));
        };
        let candidate = selected.candidate;
        if let Some(reason) = self.denied.refuse_verified(&self.fields, self.now) {
            let under = (candidate.id.clone(), candidate.scope.clone());
            return Err(Refused::denied(Some(under), &self.fields, reason));
        }
        if let Some(policy) = &candidate.anchor.policy
            && let Err((code, reason)) = self.check_policy(policy)
        {
            let leaf = Some(At(0, Some(&self.fields)));
            self.trace.add(Some(candidate), leaf, Step::Policy, reason);
            return Err(self.trace.refuse(code));
        }
        Ok(Proven {
            anchor: candidate.id.clone(),
            scope: candidate.scope.clone(),
            leaf_sha256: *digest.get_or_init(|| Sha256::of(self.der)),
            path: selected.path,
            not_after: selected.not_after,
            list_missing: selected.list_missing,
            signature_checks: self.verifier.signature_checks(),
        })
    }

    /// Step 3. `None` is an ordinary no-match: no anchor was selected.
    fn direct_path(&mut self) -> Result<Option<Selected<'a>>, Final> {
        let fit = self.leaf_is_fit();
        let mut failed = false;
        for candidate in self.applicable.candidates(self.issuer_key) {
            if !may_have_issued(candidate.anchor, &self.fields, self.now) {
                continue;
            }
            let verified = fit.clone().and_then(|()| {
                let verified = self.verify(&[], candidate);
                verified.map_err(|fault| fault.reason)
            });
            match verified {
                Ok(unrevoked) => {
                    let not_after = candidate.anchor.not_after.min(self.fields.not_after);
                    return Ok(Some(Selected {
                        candidate,
                        path: VerifiedPath::default(),
                        not_after: not_after.min(unrevoked.until),
                        list_missing: unrevoked.list_missing,
                    }));
                }
                Err(reason) => {
                    failed = true;
                    let leaf = Some(At(0, Some(&self.fields)));
                    let step = Step::DirectPath;
                    self.trace.add(Some(candidate), leaf, step, reason);
                }
            }
            if self.budget.is_exhausted() {
                break;
            }
        }
        if failed { Err(Final) } else { Ok(None) }
    }

    /// Step 4.
    fn chain_path(&mut self) -> Option<Selected<'a>> {
        if let Err(reason) = self.leaf_is_fit() {
            let leaf = Some(At(0, Some(&self.fields)));
            self.trace.add(None, leaf, Step::ChainPath, reason);
            return None;
        }
        match self.possible_paths() {
            Ok((intermediates, paths)) => self.first_that_verifies(paths, &intermediates),
            Err(reason) => {
                self.trace.add(None, None, Step::ChainPath, reason);
                None
            }
        }
    }

    /// The presented intermediates, and the paths through them, in the order in which they are
    /// tried.
    fn possible_paths(&mut self) -> Result<(Intermediates<'a>, Vec<PossiblePath<'a>>), Reason> {
        let read = Intermediates::read(self.presented, self.now, &self.budget, &mut self.trace);
        let intermediates = read?;
        let found = PathBuilder::find(
            &self.fields,
            &intermediates.usable,
            self.applicable,
            self.now,
            &self.budget,
        )?;
        for index in &found.closed_intermediates {
            let at = intermediates.at(*index);
            self.trace
                .add(None, at, Step::ChainPath, Reason::PathLength);
        }
        for candidate in found.closed_anchors.values() {
            let step = Step::ChainPath;
            self.trace
                .add(Some(*candidate), None, step, Reason::PathLength);
        }
        // An anchor that cannot be used may well be the issuer that seems to be missing.
        let unusable = self.applicable.all().any(|(_, _, anchor)| anchor.is_err());
        if found.paths.is_empty() && !unusable {
            intermediates.trace_missing(&self.fields, &found, &mut self.trace);
            intermediates.trace_other_encodings(&self.fields, &mut self.trace);
        }
        Ok((intermediates, found.paths))
    }

    /// Verifies paths in their order.
    fn first_that_verifies(
        &mut self,
        paths: Vec<PossiblePath<'a>>,
        intermediates: &Intermediates<'a>,
    ) -> Option<Selected<'a>> {
        for path in paths {
            let candidate = path.candidate;
            let usable = &intermediates.usable;
            let through = path.through.iter().filter_map(|&index| usable.get(index));
            let through: Vec<_> = through.collect();
            match self.verify(&through, candidate) {
                Ok(unrevoked) => {
                    let ends = through.iter().map(|one| one.fields.not_after);
                    let first = self.fields.not_after.min(candidate.anchor.not_after);
                    return Some(Selected {
                        candidate,
                        path: VerifiedPath::through(through.iter().map(|one| one.position)),
                        not_after: ends.fold(first, UnixSeconds::min).min(unrevoked.until),
                        list_missing: unrevoked.list_missing,
                    });
                }
                Err(Fault {
                    reason,
                    certificate,
                }) => {
                    // The first certificate of a path is the leaf.
                    let at = certificate.and_then(|index| match index.checked_sub(1) {
                        None => Some(At(0, Some(&self.fields))),
                        Some(above) => intermediates.at(*path.through.get(above)?),
                    });
                    let step = Step::ChainPath;
                    self.trace.add(Some(candidate), at, step, reason);
                }
            }
            if self.budget.is_exhausted() {
                break;
            }
        }
        None
    }

    /// Step 6: the selected anchor's policy decides, and no other anchor overrules it.
    fn check_policy(&self, policy: &Policy) -> Result<(), (ErrorCode, Reason)> {
        let names = self.fields.extensions.alternative_names;
        let facts = LeafFacts::from_fields(self.fields.subject, names).map_err(|error| {
            let reason = Reason::PolicyFailed(error.to_string());
            (ErrorCode::InvalidCertificate, reason)
        })?;
        let left = self.budget.left_for_policy();
        let denied = ErrorCode::CertificateAttributeVerificationFailed;
        match policy.evaluate_within(&facts, left) {
            Ok(true) => Ok(()),
            Ok(false) => Err((denied, Reason::PolicyDenied)),
            // However often the client asks again, its certificate has as many names.
            Err(EvaluationError::TooManyNames) => Err((denied, Reason::TooManyNames)),
            Err(error) => Err((
                ErrorCode::AuthenticationTemporarilyUnavailable,
                Reason::PolicyFailed(error.to_string()),
            )),
        }
    }

    /// The rules that the leaf meets or fails whatever the path.
    fn leaf_is_fit(&self) -> Result<(), Reason> {
        rules::check_dates(&self.fields, self.now)?;
        rules::check_leaf(&self.fields)
    }

    /// Verifies a path, and holds it to the revocation lists.
    fn verify(
        &self,
        through: &[&Intermediate<'_>],
        candidate: Candidate<'_>,
    ) -> Result<Unrevoked, Fault> {
        let leaf = [(self.der, &self.fields)].into_iter();
        let certificates: Vec<_> = leaf
            .chain(through.iter().map(|one| (one.der, &one.fields)))
            .collect();
        let path = Path {
            leaf: &self.leaf,
            certificates: &certificates,
            anchor: &candidate.anchor.key,
        };
        self.verifier.verify(&path, self.now, &self.budget)?;
        // Only of what verifies is it known when the CA issued it.
        if let Some(below) = candidate.anchor.below_floor(self.fields.not_before) {
            return Err(Fault {
                reason: Reason::IssuedBefore(below),
                certificate: Some(0),
            });
        }
        let fields: Vec<_> = certificates.iter().map(|(_, fields)| *fields).collect();
        let under = (candidate, self.applicable);
        revoked::check(&fields, under, self.now, &self.budget)
    }
}

/// The direct path failed, and no other path is looked for.
struct Final;

#[cfg(test)]
mod tests {
    use countersign_testca::root;

    use super::*;

    #[test]
    fn two_verdicts_on_one_chain_check_each_signature_once() {
        const NOW: UnixSeconds = 1_800_000_000;
        let ca = root("Root").mint();
        let issuing = ca.intermediate("Issuing").mint();
        let leaf = issuing.leaf("a").mint();
        let ders = [&leaf, &issuing].map(|each| CertificateDer::from(each.der().to_vec()));
        let presented = Presented::new(ders.to_vec());
        let trusts = [(); 2].map(|()| TrustSet::from_anchors([ca.pem().as_str()], None));
        let checked = Signatures::default();
        let judge = |trust| {
            let verifier = Verifier::sharing(&checked);
            judge_by(verifier, trust, &Scope::Organization, &presented, NOW)
        };
        let permits = trusts.each_ref().map(judge);
        assert_eq!(checked.made(), 2);
        for permit in &permits {
            let Verdict::Permit(permit) = permit else {
                panic!("{permit:?}");
            };
            assert_eq!(permit.signature_checks(), 2, "each pays for its own");
        }
        assert_eq!(permits[0], permits[1]);
    }
}
