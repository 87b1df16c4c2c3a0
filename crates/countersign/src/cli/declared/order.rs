//! The order of the changes: at no time may a scope have a trust anchor active with a policy that
//! the file does not give it there.
//!
//! A policy belongs to the trust anchor, an activation to a scope. So an anchor gets its new policy
//! before a scope that gains it is changed, and after a scope that loses it is changed.

use super::{
    file::Declared,
    plan::{Move, PlannedScope, Step},
    server::Known,
};
use crate::failure::{CommandResult, Failure};

/// The steps of a plan, in order.
pub(super) fn in_order(
    declared: &Declared,
    held: &[Option<Known>],
    scopes: &[PlannedScope],
    delete: &[Known],
) -> CommandResult<Vec<Step>> {
    let mut steps = Vec::new();
    let mut policies = Vec::new();
    for (index, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let Some(known) = held else {
            // An upload brings its name and policy with it, and is active nowhere yet.
            steps.push(Step::Upload(index));
            continue;
        };
        if wanted.name.is_some() && wanted.name != known.name {
            steps.push(Step::Rename(index));
        }
        if wanted.policy != known.policy {
            policies.push(index);
        }
    }
    let changed = scopes.iter().enumerate();
    let changed = changed.filter(|(_, scope)| !scope.moves.is_empty());
    let mut waiting: Vec<Step> = policies.iter().map(|index| Step::Policy(*index)).collect();
    waiting.extend(changed.map(|(index, _)| Step::Scope(index)));
    // At most 50 certificates, so taking the first free step again and again is fast enough. When
    // none is free, the steps wait for each other in a circle.
    while !waiting.is_empty() {
        let free = |step: &Step| waiting.iter().all(|other| !precedes(*other, *step, scopes));
        let Some(next) = waiting.iter().position(free) else {
            return Err(entangled(declared, &waiting));
        };
        steps.push(waiting.remove(next));
    }
    steps.extend((0..delete.len()).map(Step::Delete));
    Ok(steps)
}

/// Whether the first step must be done before the second.
fn precedes(first: Step, second: Step, scopes: &[PlannedScope]) -> bool {
    let any = |scope: usize, test: &dyn Fn(&Move) -> bool| {
        scopes
            .get(scope)
            .is_some_and(|scope| scope.moves.iter().any(test))
    };
    match (first, second) {
        (Step::Policy(anchor), Step::Scope(scope)) => any(
            scope,
            &|each| matches!(each, Move::Activate(index, _) | Move::Promote(index) if *index == anchor),
        ),
        (Step::Scope(scope), Step::Policy(anchor)) => any(scope, &|each| match each {
            Move::Demote(index) | Move::Deactivate(_, Some(index)) => *index == anchor,
            _ => false,
        }),
        _ => false,
    }
}

fn entangled(declared: &Declared, waiting: &[Step]) -> Failure {
    let keys: Vec<String> = waiting
        .iter()
        .filter_map(|step| match step {
            Step::Policy(index) => declared.certificates.get(*index),
            _ => None,
        })
        .map(|wanted| format!("`{}`", wanted.key))
        .collect();
    Failure::new(format_args!(
        "the policies of {} change while these certificates move between scopes, and no order of \
         changes keeps every scope right all the time",
        keys.join(", ")
    ))
    .hint("apply two files: first the scopes, then the policies")
}
