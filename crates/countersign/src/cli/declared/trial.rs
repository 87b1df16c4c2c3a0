//! A plan as changes of trust that the server can be asked about.

use countersign_types::{
    certificate::{Enforcement, UploadCertificateRequest},
    preview::{ActiveAfterwards, AfterwardsActive, TrustChange},
};

use super::{
    file::Declared,
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
    let change = |step: &Step| match *step {
        Step::Upload(index) => upload(declared, index),
        Step::Policy(index) => policy(plan, declared, index),
        Step::Scope(index) => Some(set_active(plan, plan.scopes.get(index)?, &uploads)),
        Step::Rename(_)
        | Step::Delete(_)
        | Step::DeleteAssertion(_)
        | Step::Reason(_)
        | Step::CreateAssertion(_) => None,
    };
    plan.steps.iter().filter_map(change).collect()
}

fn upload(declared: &Declared, index: usize) -> Option<TrustChange> {
    let wanted = declared.certificates.get(index)?;
    Some(TrustChange::UploadCertificate(UploadCertificateRequest {
        certificate: wanted.pem.clone(),
        name: wanted.name.clone(),
        cel_policy: wanted.policy.clone(),
    }))
}

fn policy(plan: &Plan, declared: &Declared, index: usize) -> Option<TrustChange> {
    Some(TrustChange::SetCertificatePolicy {
        certificate_id: plan.held.get(index)?.as_ref()?.id.clone(),
        cel_policy: declared.certificates.get(index)?.policy.clone(),
    })
}

fn set_active(plan: &Plan, scope: &PlannedScope, uploads: &[usize]) -> TrustChange {
    let active = |(index, enforcement): &(usize, Enforcement)| {
        let held = plan.held.get(*index).and_then(Option::as_ref);
        AfterwardsActive {
            certificate_id: held.map(|known| known.id.clone()),
            upload: uploads.iter().position(|uploaded| uploaded == index),
            enforcement: *enforcement,
        }
    };
    TrustChange::SetActiveCertificates(ActiveAfterwards {
        project_id: scope.scope.project().cloned(),
        active: scope.wanted.iter().map(active).collect(),
    })
}
