//! What a judgement tried and why it failed, gathered while it goes on.

use countersign_types::{UnixSeconds, certificate::Scope, error::ErrorCode, id::CertificateId};

use crate::{
    refusal::{CertificateName, Finding, MissingIssuer, Reason, Step, StringTypes, TimeAndNow},
    trust::{Applicable, Candidate, TrustedAnchor},
    x509::Certificate,
};

/// Why a judgement ended without a permit.
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) trace: Vec<Finding>,
}

impl Refused {
    /// A refusal before any anchor was looked at.
    pub(super) fn early(code: ErrorCode, step: Step, reason: Reason) -> Self {
        let finding = Finding {
            anchor: None,
            certificate: (step == Step::Leaf).then_some(0),
            subject: None,
            step,
            reason,
        };
        Self {
            code,
            trace: vec![finding],
        }
    }

    /// A refusal of a leaf that is denied, under the anchor that it verified under if it did.
    pub(super) fn denied(
        under: Option<(CertificateId, Scope)>,
        leaf: &Certificate<'_>,
        reason: Reason,
    ) -> Self {
        let finding = Finding {
            anchor: under,
            certificate: Some(0),
            subject: Some(CertificateName::new(leaf.subject)),
            step: Step::Denial,
            reason,
        };
        Self {
            code: ErrorCode::CertificateVerificationFailed,
            trace: vec![finding],
        }
    }
}

/// A presented certificate: its position, the leaf being 0, and its fields, where they can be read.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub(super) usize, pub(super) Option<&'a Certificate<'a>>);

/// The most findings that carry a subject, and the most pairs of names whose texts are compared.
/// To show a name takes as long as some hundred steps of judging, a refusal is shown each time, and
/// whoever reads it acts on the first findings.
const MAX_SUBJECTS: usize = 4;
const MAX_COMPARED: usize = 4;

/// The findings so far.
#[derive(Default)]
pub(super) struct Trace {
    findings: Vec<Finding>,
    subjects: usize,
    compared: usize,
}

impl Trace {
    pub(super) fn add(
        &mut self,
        candidate: Option<Candidate<'_>>,
        at: Option<At<'_>>,
        step: Step,
        reason: Reason,
    ) {
        let step = match reason {
            Reason::IssuedBefore(_) => Step::Floor,
            _ => step,
        };
        let subject = at.and_then(|At(_, fields)| fields);
        let subject = subject.filter(|_| self.subjects < MAX_SUBJECTS);
        self.subjects += usize::from(subject.is_some());
        self.findings.push(Finding {
            anchor: candidate.map(|candidate| (candidate.id.clone(), candidate.scope.clone())),
            certificate: at.map(|At(position, _)| position),
            subject: subject.map(|fields| CertificateName::new(fields.subject)),
            step,
            reason,
        });
    }

    pub(super) fn refuse(self, code: ErrorCode) -> Refused {
        Refused {
            code,
            trace: self.findings,
        }
    }

    /// Refuses because no path verified, and says of every active anchor that the trace does not
    /// name yet why it was no candidate.
    pub(super) fn refuse_without_a_path(
        mut self,
        applicable: Applicable<'_>,
        situation: &Situation<'_>,
    ) -> Refused {
        let tried = self.findings.len();
        for (id, scope, anchor) in applicable.all() {
            if self.names(tried, id, scope) {
                continue;
            }
            let reason = situation.why_no_candidate(anchor, &mut self);
            self.findings.push(Finding {
                anchor: Some((id.clone(), scope.clone())),
                certificate: None,
                subject: None,
                step: Step::Candidate,
                reason,
            });
        }
        self.refuse(ErrorCode::CertificateVerificationFailed)
    }

    /// Whether one of the first findings is of this anchor.
    fn names(&self, first: usize, id: &CertificateId, scope: &Scope) -> bool {
        let is_this = |finding: &Finding| {
            let anchor = finding.anchor.as_ref();
            anchor.is_some_and(|(tried, at)| tried == id && at == scope)
        };
        self.findings.iter().take(first).any(is_this)
    }

    /// That an issuer's name and a CA's subject are the same text in other string types, if they
    /// are.
    pub(super) fn same_text(&mut self, issuer: &[u8], subject: &[u8]) -> Option<Reason> {
        if self.compared == MAX_COMPARED {
            return None;
        }
        self.compared += 1;
        let [issuer, subject] = [issuer, subject].map(CertificateName::new);
        let [issuer, subject] = issuer.same_text(&subject)?;
        Some(Reason::OtherEncoding(StringTypes { issuer, subject }))
    }
}

/// What decides whether an anchor was a candidate at all.
pub(super) struct Situation<'a> {
    pub(super) now: UnixSeconds,
    pub(super) leaf: &'a Certificate<'a>,
    /// The identifier of the key that signed the leaf.
    pub(super) issuer_key: &'a [u8],
    /// Whether the leaf came alone.
    pub(super) alone: bool,
}

impl Situation<'_> {
    fn why_no_candidate(&self, anchor: Result<&TrustedAnchor, &str>, trace: &mut Trace) -> Reason {
        let now = self.now;
        match anchor {
            Err(why) => Reason::AnchorUnusable(why.to_owned()),
            Ok(anchor) if now < anchor.not_before => Reason::AnchorNotYetValid(TimeAndNow {
                at: anchor.not_before,
                now,
            }),
            Ok(anchor) if now > anchor.not_after => Reason::AnchorExpired(TimeAndNow {
                at: anchor.not_after,
                now,
            }),
            Ok(anchor) if *anchor.subject_key == *self.issuer_key => {
                let subject = anchor.key.subject();
                // A candidate that the trace does not name was never reached.
                if subject == self.leaf.issuer {
                    return Reason::NotTried;
                }
                let same_text = trace.same_text(self.leaf.issuer, subject);
                same_text.unwrap_or(Reason::OtherIssuer)
            }
            Ok(_) if self.alone => Reason::OtherKey,
            Ok(_) => Reason::NoPath,
        }
    }
}

/// That a certificate's issuer was not presented.
pub(super) fn issuer_not_presented(issued: &Certificate<'_>) -> Option<Reason> {
    let key = issued.extensions.authority_key?;
    let issuer = MissingIssuer::new(issued.issuer, key);
    Some(Reason::IssuerNotPresented(issuer))
}
