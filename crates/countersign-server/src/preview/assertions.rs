//! Whether assertions hold by what is in force, and which of them a change of trust breaks.

use std::{collections::HashMap, sync::Arc, vec::IntoIter};

use countersign_types::{
    UnixSeconds,
    assertion::{AssertionResult, AssertionRun, AssertionRunObject, Expectation},
    bundle::{BundleCertificate, BundleDenial, BundleProject, OrganizationBundle},
    certificate::Scope,
    digest::Sha256,
    error::ErrorCode,
    id::{CertificateId, OrganizationId, ProjectId},
    workload::WorkloadLeaf,
};
use countersign_verify::{
    certificate::{LeafSummary, leaf_validity},
    judge::judge,
    trust::TrustSet,
};

use super::{
    sides::{Refused, SideVerdict},
    trial::{Trial, TrialError, TrialJudge},
};
use crate::store::{KeptAssertion, NewAssertion};

/// How many are judged in one turn: hostile chains of so many keep a core busy for some twenty
/// milliseconds, so that other organizations' turns come.
const AT_A_TIME: usize = 10;

impl TrialJudge {
    /// The assertions that a change breaks: they hold before it and not after it. One that was broken
    /// before is nobody's fault now, and none could be mended if it counted.
    ///
    /// As [`Self::judge`], hold no write while calling this. Assertions are read when the organization's
    /// turn has come, so that many changes at once hold those of one in memory.
    pub(crate) async fn broken(
        &self,
        organization: &OrganizationId,
        trial: Trial,
    ) -> Result<Vec<AssertionResult>, TrialError> {
        let _trial = self.trial(organization).await?;
        let assertions = self.store().every_assertion(organization).await?;
        if assertions.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let begin = move || Judging {
            before: Some(Side::new(trial.before)),
            after: Side::new(trial.after),
            waiting: assertions.into_iter(),
            results: Vec::new(),
            now,
        };
        self.judge_all(begin).await
    }

    /// Whether each of an organization's assertions holds by what is in force.
    pub(crate) async fn run(
        &self,
        organization: &OrganizationId,
    ) -> Result<AssertionRun, TrialError> {
        let _trial = self.trial(organization).await?;
        let (trust, assertions) = self.store().asserted_trust(organization).await?;
        let now = self.now();
        let begin = move || Judging {
            before: None,
            after: Side::new(Arc::new(trust)),
            waiting: assertions.into_iter(),
            results: Vec::new(),
            now,
        };
        let results = self.judge_all(begin).await?;
        Ok(AssertionRun {
            object: AssertionRunObject::Run.into(),
            judged_at: now,
            holds: results.iter().all(|result| result.holds),
            results,
        })
    }

    async fn judge_all(
        &self,
        begin: impl FnOnce() -> Judging + Send + 'static,
    ) -> Result<Vec<AssertionResult>, TrialError> {
        let mut judging = self.take_turn(begin).await?;
        while judging.waiting.len() > 0 {
            judging = self.take_turn(move || judging.judge_some()).await?;
        }
        Ok(judging.results)
    }
}

/// Assertions that are being judged.
struct Judging {
    /// What is in force before a change; `None` where nothing changes, and every result is wanted.
    before: Option<Side>,
    after: Side,
    waiting: IntoIter<KeptAssertion>,
    results: Vec<AssertionResult>,
    now: UnixSeconds,
}

impl Judging {
    fn judge_some(mut self) -> Self {
        for assertion in self.waiting.by_ref().take(AT_A_TIME) {
            let scope = &assertion.says.scope;
            if let Some(before) = &self.before {
                if before.applicable(scope) == self.after.applicable(scope) {
                    continue;
                }
                let after = self.after.result(&assertion, self.now);
                if !after.holds && before.result(&assertion, self.now).holds {
                    self.results.push(after);
                }
            } else {
                let result = self.after.result(&assertion, self.now);
                self.results.push(result);
            }
        }
        self
    }
}

/// What decides verdicts at a scope. Where it is the same before and after, so are they.
#[derive(PartialEq)]
struct Applicable<'a> {
    archived: bool,
    own: Vec<Option<&'a BundleCertificate>>,
    of_organization: Vec<Option<&'a BundleCertificate>>,
    denials: Vec<&'a BundleDenial>,
}

/// What is in force, ready to judge by.
struct Side {
    bundle: Arc<OrganizationBundle>,
    trust: TrustSet,
    projects: HashMap<ProjectId, usize>,
}

impl Side {
    fn new(bundle: Arc<OrganizationBundle>) -> Self {
        let ids = bundle.projects.iter().map(|project| project.id.clone());
        Self {
            trust: TrustSet::compile(&bundle),
            projects: ids.zip(0..).collect(),
            bundle,
        }
    }

    fn project(&self, scope: &Scope) -> Option<&BundleProject> {
        let place = self.projects.get(scope.project()?)?;
        self.bundle.projects.get(*place)
    }

    fn is_archived(&self, scope: &Scope) -> bool {
        self.project(scope).is_some_and(|project| project.archived)
    }

    /// What decides verdicts at a scope, in its order: a project's anchors, then the organization's.
    fn applicable(&self, scope: &Scope) -> Applicable<'_> {
        let own = self.project(scope).map(|project| &project.active[..]);
        let certificate = |id: &CertificateId| {
            let mut all = self.bundle.certificates.iter();
            all.find(|certificate| certificate.id == *id)
        };
        let denials = self.bundle.denials.iter().filter(|denial| {
            let project = denial.project.as_ref();
            project.is_none_or(|project| Some(project) == scope.project())
        });
        let all = |ids: &[CertificateId]| ids.iter().map(certificate).collect();
        Applicable {
            archived: self.is_archived(scope),
            own: all(own.unwrap_or_default()),
            of_organization: all(&self.bundle.active),
            denials: denials.collect(),
        }
    }

    fn verdict(&self, says: &NewAssertion, now: UnixSeconds) -> SideVerdict {
        if self.is_archived(&says.scope) {
            return SideVerdict::Refused(Refused {
                code: ErrorCode::InvalidApiKey,
                reason: "the project is archived, so its keys are refused".to_owned(),
            });
        }
        judge(&self.trust, &says.scope, &says.presented, now).into()
    }

    fn result(&self, assertion: &KeptAssertion, now: UnixSeconds) -> AssertionResult {
        let says = &assertion.says;
        let verdict = self.verdict(says, now);
        let (happens, code, why) = match verdict {
            SideVerdict::Permitted(anchor, scope) => {
                let why = format!("it verifies under `{anchor}`, which is active for {scope}");
                (Expectation::Permit, None, why)
            }
            SideVerdict::Open => {
                let why = "no anchor is active, so no certificate is required".to_owned();
                (Expectation::Permit, None, why)
            }
            SideVerdict::Refused(Refused { code, reason }) => {
                (Expectation::Deny, Some(code), reason)
            }
        };
        let wanted = says.code.map(|code| code.code());
        AssertionResult {
            assertion_id: assertion.id.clone(),
            name: says.name.clone(),
            project_id: says.scope.project().cloned(),
            expect: says.expect.into(),
            code: says.code.map(Into::into),
            holds: happens == says.expect && (wanted.is_none() || wanted == code),
            verdict: happens.into(),
            verdict_code: code.map(Into::into),
            why,
            leaf: says.presented.leaf().map(|der| leaf(der)),
            leaf_expired: says.presented.leaf().is_some_and(|der| {
                leaf_validity(der).is_none_or(|(from, to)| !(from..=to).contains(&now))
            }),
        }
    }
}

fn leaf(der: &[u8]) -> WorkloadLeaf {
    let summary = LeafSummary::of(der);
    WorkloadLeaf {
        sha256: Sha256::of(der),
        subject: summary.subject,
        sans: summary.names,
    }
}
