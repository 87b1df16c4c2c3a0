//! The order of the changes. What is let through is changed in one step where the server can; another
//! server has no policies, so that its scopes may be set one after another.

use super::{
    denial_plan::DenialPlan,
    file::Declared,
    plan::{PlannedScope, Step},
    server::Known,
};

/// The steps of a plan, in order.
pub(super) fn in_order(
    declared: &Declared,
    held: &[Option<Known>],
    scopes: &[PlannedScope],
    (floors, denials): (Vec<Step>, &DenialPlan),
    delete: &[Known],
) -> Vec<Step> {
    let (mut steps, mut policies) = (Vec::new(), Vec::new());
    for (index, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let Some(known) = held else {
            // An upload brings its name and policy with it, and is active nowhere yet.
            steps.push(Step::Upload(index));
            if wanted.reported.is_some() {
                policies.push(Step::ReportPolicy(index));
            }
            continue;
        };
        if wanted.name.is_some() && wanted.name != known.name {
            steps.push(Step::Rename(index));
        }
        let other_policy = wanted.policy != known.policy;
        if other_policy {
            policies.push(Step::Policy(index));
        }
        // A policy that is enforced takes the place of the reported one.
        if wanted.reported != known.reported || (other_policy && wanted.reported.is_some()) {
            policies.push(Step::ReportPolicy(index));
        }
    }
    steps.extend((0..denials.create.len()).map(Step::Deny));
    steps.extend(policies);
    steps.extend(floors);
    let changed = scopes.iter().enumerate();
    let changed = changed.filter(|(_, scope)| !scope.moves.is_empty());
    steps.extend(changed.map(|(index, _)| Step::Scope(index)));
    steps.extend((0..denials.delete.len()).map(Step::LetIn));
    steps.extend((0..delete.len()).map(Step::Delete));
    steps
}
