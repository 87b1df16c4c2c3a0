//! The judgement (docs/specification.md, section 2): a pure function of what is trusted, what
//! was presented and the time.

mod trace;

use countersign_types::{UnixSeconds, certificate::Scope, digest::Sha256, error::ErrorCode};
use rustls_pki_types::CertificateDer;

use self::trace::{At, Refused, Situation, Trace, issuer_not_presented, same_text};
use crate::{
    budget::{self, Budget, MAX_INTERMEDIATE_BYTES, MAX_INTERMEDIATES},
    denial::{Denial, Reason, Step},
    path::{Fault, Leaf, Path, Verifier},
    path_building::{Found, Intermediate, PathBuilder, PossiblePath, may_have_issued},
    permit::{NoAnchorApplies, Permit, Proven, VerifiedPath},
    policy::{EvaluationError, LeafFacts, Policy},
    presented::Presented,
    rules,
    trust::{Applicable, Candidate, TrustSet},
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

/// An anchor under which the leaf verified.
struct Selected<'a> {
    candidate: Candidate<'a>,
    path: VerifiedPath,
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
    budget: Budget,
    trace: Trace,
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
            now,
            presented,
            der,
            fields,
            leaf,
            issuer_key,
            verifier: Verifier::default(),
            budget,
            trace: Trace::default(),
        })
    }

    /// Steps 3 to 6.
    fn conclude(mut self) -> Result<Proven, Refused> {
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
                .refuse_for_want_of_a_path(self.applicable, &situation));
        };
        let candidate = selected.candidate;
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
            leaf_sha256: Sha256::of(self.der),
            path: selected.path,
            not_after: selected.not_after,
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
                Ok(()) => {
                    return Ok(Some(Selected {
                        candidate,
                        path: VerifiedPath::default(),
                        not_after: candidate.anchor.not_after.min(self.fields.not_after),
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
        let step = Step::ChainPath;
        if let Err(reason) = self.leaf_is_fit() {
            let leaf = Some(At(0, Some(&self.fields)));
            self.trace.add(None, leaf, step, reason);
            return None;
        }
        let intermediates = match self.intermediates() {
            Ok(intermediates) => intermediates,
            Err(reason) => {
                self.trace.add(None, None, step, reason);
                return None;
            }
        };
        let (usable, unusable): (Vec<_>, Vec<_>) = intermediates
            .into_iter()
            .partition(|one| matches!(one, Read::Usable(_)));
        let usable: Vec<_> = usable.into_iter().filter_map(Read::usable).collect();
        let found = PathBuilder::find(
            &self.fields,
            &usable,
            self.applicable,
            self.now,
            &self.budget,
        );
        for one in &unusable {
            if let Read::Unusable(position, fields, reason) = one {
                let at = At(*position, fields.as_ref());
                self.trace.add(None, Some(at), step, reason.clone());
            }
        }
        let found = match found {
            Ok(found) => found,
            Err(reason) => {
                self.trace.add(None, None, step, reason);
                return None;
            }
        };
        self.trace_ends(&found, &usable, &unusable);
        self.first_that_verifies(found.paths, &usable)
    }

    /// Verifies paths in their order.
    fn first_that_verifies(
        &mut self,
        paths: Vec<PossiblePath<'a>>,
        usable: &[Intermediate<'a>],
    ) -> Option<Selected<'a>> {
        for path in paths {
            let candidate = path.candidate;
            let through = path.through.iter().filter_map(|&index| usable.get(index));
            let through: Vec<_> = through.collect();
            match self.verify(&through, candidate) {
                Ok(()) => {
                    let ends = through.iter().map(|one| one.fields.not_after);
                    let first = self.fields.not_after.min(candidate.anchor.not_after);
                    return Some(Selected {
                        candidate,
                        path: VerifiedPath::through(through.iter().map(|one| one.position)),
                        not_after: ends.fold(first, UnixSeconds::min),
                    });
                }
                Err(Fault {
                    reason,
                    certificate,
                }) => {
                    let at = certificate.and_then(|index| match index.checked_sub(1) {
                        None => Some(At(0, Some(&self.fields))),
                        Some(above) => {
                            let one = through.get(above)?;
                            Some(At(one.position, Some(&one.fields)))
                        }
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

    /// The presented intermediates, and which of them may stand on a path.
    fn intermediates(&self) -> Result<Vec<Read<'a>>, Reason> {
        let presented = self.presented.intermediates();
        let bytes: usize = presented.iter().map(|der| der.len()).sum();
        if presented.len() > MAX_INTERMEDIATES || bytes > MAX_INTERMEDIATE_BYTES {
            return Err(Reason::Budget("certificates presented"));
        }
        let read = |(der, position): (&'a CertificateDer<'static>, usize)| {
            let price = budget::reading(der.len());
            let charged = self.budget.charge(price);
            charged.map_err(|_| Reason::Budget("bytes of certificates presented"))?;
            Ok(Read::one(position, der, self.now))
        };
        presented.iter().zip(1..).map(read).collect()
    }

    /// Traces where paths ended: at a CA that allows no path so long, or for want of an issuer.
    fn trace_ends(
        &mut self,
        found: &Found<'_>,
        usable: &[Intermediate<'_>],
        unusable: &[Read<'_>],
    ) {
        let step = Step::ChainPath;
        for position in &found.closed_intermediates {
            let one = usable.iter().find(|one| one.position == *position);
            let at = At(*position, one.map(|one| &one.fields));
            self.trace.add(None, Some(at), step, Reason::PathLength);
        }
        for candidate in found.closed_anchors.values() {
            self.trace
                .add(Some(*candidate), None, step, Reason::PathLength);
        }
        // What cannot be read may well be the issuer that seems to be missing.
        let unread = |one: &Read<'_>| matches!(one, Read::Unusable(_, None, _));
        let unread = unusable.iter().any(unread)
            || self.applicable.all().any(|(_, _, anchor)| anchor.is_err());
        if !found.paths.is_empty() || unread {
            return;
        }
        for end in &found.dead_ends {
            let issued = match end {
                None => Some(At(0, Some(&self.fields))),
                Some(index) => usable
                    .get(*index)
                    .map(|one| At(one.position, Some(&one.fields))),
            };
            let Some(at @ At(_, Some(fields))) = issued else {
                continue;
            };
            let was_presented = unusable.iter().any(|one| one.has_key_that_signed(fields));
            if !was_presented && let Some(reason) = issuer_not_presented(fields) {
                self.trace.add(None, Some(at), step, reason);
            }
        }
        // The right key under a name that is only written otherwise.
        for one in usable {
            let key = one.fields.extensions.subject_key;
            let issued = [&self.fields].into_iter();
            let issued = issued.chain(usable.iter().map(|one| &one.fields));
            let issued = issued.filter(|issued| issued.extensions.authority_key == key);
            let reason = issued
                .filter(|issued| issued.issuer != one.fields.subject)
                .find_map(|issued| same_text(issued.issuer, one.fields.subject));
            if let Some(reason) = reason {
                let at = At(one.position, Some(&one.fields));
                self.trace.add(None, Some(at), step, reason);
            }
        }
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

    fn verify(&self, through: &[&Intermediate<'_>], candidate: Candidate<'_>) -> Result<(), Fault> {
        let leaf = [(self.der, &self.fields)].into_iter();
        let certificates: Vec<_> = leaf
            .chain(through.iter().map(|one| (one.der, &one.fields)))
            .collect();
        let path = Path {
            leaf: &self.leaf,
            certificates: &certificates,
            anchor: &candidate.anchor.key,
        };
        self.verifier.verify(&path, self.now, &self.budget)
    }
}

/// The direct path failed for good: there is no asking for another one.
struct Final;

/// A presented certificate after the leaf.
enum Read<'a> {
    /// It may stand on a path.
    Usable(Intermediate<'a>),
    /// It could not sign on any path: its position, its fields if they can be read, and why.
    Unusable(usize, Option<Certificate<'a>>, Reason),
}

impl<'a> Read<'a> {
    fn one(position: usize, der: &'a CertificateDer<'static>, now: UnixSeconds) -> Self {
        let fields = match Certificate::read(der) {
            Ok(fields) => fields,
            Err(what) => return Self::Unusable(position, None, Reason::Malformed(what)),
        };
        let checked = rules::check_dates(&fields, now);
        match checked.and_then(|()| rules::check_intermediate(&fields)) {
            Ok(()) => Self::Usable(Intermediate {
                position,
                der,
                fields,
            }),
            Err(reason) => Self::Unusable(position, Some(fields), reason),
        }
    }

    fn usable(self) -> Option<Intermediate<'a>> {
        match self {
            Self::Usable(intermediate) => Some(intermediate),
            Self::Unusable(..) => None,
        }
    }

    /// Whether it is unusable and has the key, by its identifier or its owner's name, that signed
    /// a certificate.
    fn has_key_that_signed(&self, issued: &Certificate<'_>) -> bool {
        let Self::Unusable(_, Some(fields), _) = self else {
            return false;
        };
        let same_key = fields.extensions.subject_key.is_some()
            && fields.extensions.subject_key == issued.extensions.authority_key;
        same_key || fields.subject == issued.issuer
    }
}
