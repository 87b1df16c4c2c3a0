//! A plan as changes of trust that the server can be asked about, and that it can make together.

use countersign_types::{
    certificate::{Enforcement, UploadCertificateRequest},
    id::CertificateId,
    preview::{ActiveAfterwards, AfterwardsActive, TrustChange},
};

use super::{
    federation_plan,
    file::{Declared, Wanted},
    plan::{Plan, PlannedScope, Step},
};

/// The changes of a plan that can refuse or admit somebody; none if it only renames and deletes.
pub(super) fn changes(plan: &Plan, declared: &Declared) -> Vec<TrustChange> {
    let uploads: Vec<usize> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Upload(index) => Some(*index),
            _ => None,
        })
        .collect();
    let held = |index: usize| Some(plan.held.get(index)?.as_ref()?.id.clone());
    let entry = |index: usize, enforcement| AfterwardsActive {
        certificate_id: held(index),
        upload: uploads.iter().position(|uploaded| *uploaded == index),
        enforcement,
    };
    let change = |step: &Step| match *step {
        Step::Upload(index) => Some(upload(declared.certificates.get(index)?)),
        // One that is only reported refuses and admits nobody.
        Step::ReportPolicy(_) | Step::Floor(_, Enforcement::Report) => None,
        Step::Deny(index) if is_reported(plan, index) => None,
        Step::Federation(step) => federation_plan::trial(step, &plan.federation),
        step => trust(step, (plan, declared), &held, &entry),
    };
    plan.steps.iter().filter_map(change).collect()
}

fn is_reported(plan: &Plan, denial: usize) -> bool {
    let denial = plan.denials.create.get(denial);
    denial.is_some_and(|denial| denial.enforcement == Enforcement::Report)
}

/// The certificates that a plan uploads with a floor, by their keys in the file: a server knows no floor of what it
/// does not have, so that nobody can say beforehand whom it refuses.
pub(super) fn unforeseen(plan: &Plan, declared: &Declared) -> Vec<String> {
    let floor = |step: &Step| match *step {
        Step::Floor(index, Enforcement::Enforce) if plan.held.get(index)?.is_none() => {
            Some(declared.certificates.get(index)?.key.clone())
        }
        _ => None,
    };
    plan.steps.iter().filter_map(floor).collect()
}

/// The changes of trust of a plan, made with the ids that its certificates have now. Each scope is set
/// only from what the plan found there.
pub(super) fn made(
    plan: &Plan,
    declared: &Declared,
    ids: &[Option<CertificateId>],
) -> Vec<(Step, TrustChange)> {
    let id = |index: usize| ids.get(index).cloned().flatten();
    let entry = |index: usize, enforcement| AfterwardsActive {
        certificate_id: id(index),
        upload: None,
        enforcement,
    };
    let change = |step: &Step| Some((*step, trust(*step, (plan, declared), &id, &entry)?));
    plan.steps.iter().filter_map(change).collect()
}

/// One step as a change of trust, if it is one.
fn trust(
    step: Step,
    (plan, declared): (&Plan, &Declared),
    id: &dyn Fn(usize) -> Option<CertificateId>,
    entry: &dyn Fn(usize, Enforcement) -> AfterwardsActive,
) -> Option<TrustChange> {
    let policy = |index: usize, of: fn(&Wanted) -> Option<String>, enforcement| {
        Some(TrustChange::SetCertificatePolicy {
            certificate_id: id(index)?,
            cel_policy: of(declared.certificates.get(index)?),
            enforcement,
        })
    };
    match step {
        Step::Policy(index) => policy(index, |wanted| wanted.policy.clone(), Enforcement::Enforce),
        Step::ReportPolicy(index) => {
            policy(index, |wanted| wanted.reported.clone(), Enforcement::Report)
        }
        Step::Scope(index) => Some(set_active(plan.scopes.get(index)?, entry)),
        Step::Deny(index) => {
            let request = plan.denials.create.get(index)?;
            Some(TrustChange::CreateDenial(request.clone()))
        }
        Step::LetIn(index) => Some(TrustChange::DeleteDenial {
            denial_id: plan.denials.delete.get(index)?.0.clone(),
        }),
        Step::Floor(index, enforcement) => Some(TrustChange::SetCertificateFloor {
            certificate_id: id(index)?,
            refuse_issued_before: declared.certificates.get(index)?.floors.of(enforcement),
            enforcement,
        }),
        _ => None,
    }
}

fn upload(wanted: &Wanted) -> TrustChange {
    TrustChange::UploadCertificate(UploadCertificateRequest {
        certificate: wanted.pem.clone(),
        name: wanted.name.clone(),
        cel_policy: wanted.policy.clone(),
    })
}

fn set_active(
    scope: &PlannedScope,
    entry: &dyn Fn(usize, Enforcement) -> AfterwardsActive,
) -> TrustChange {
    let wanted = scope.wanted.iter();
    TrustChange::SetActiveCertificates(ActiveAfterwards {
        project_id: scope.scope.project().cloned(),
        active: wanted
            .map(|(index, enforcement)| entry(*index, *enforcement))
            .collect(),
        expected: Some(scope.before.clone()),
    })
}
