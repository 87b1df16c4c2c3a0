//! In which order changes are made, so that at no moment a scope has an anchor with a policy that
//! the file does not give it there.
//!
//! A policy belongs to the anchor, an activation to a scope. An anchor that a scope gets must have
//! its new policy before, and one that a scope loses must keep its old policy until then.

use super::{
    file::Declared,
    plan::{Move, PlannedScope},
    server::Known,
};
use crate::failure::{Failure, Outcome};

/// One call, or the calls for one scope. Numbers are places: of a certificate in the file, of a
/// scope in the plan, of a certificate among those to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Upload(usize),
    Rename(usize),
    Policy(usize),
    Scope(usize),
    Delete(usize),
}

/// The steps of a plan, in order.
pub(super) fn in_order(
    declared: &Declared,
    held: &[Option<Known>],
    scopes: &[PlannedScope],
    delete: &[Known],
) -> Outcome<Vec<Step>> {
    let mut steps = Vec::new();
    let mut policies = Vec::new();
    for (place, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let Some(known) = held else {
            steps.push(Step::Upload(place));
            continue;
        };
        if wanted.name.is_some() && wanted.name != known.name {
            steps.push(Step::Rename(place));
        }
        if wanted.policy != known.policy {
            policies.push(place);
        }
    }
    let changed = scopes.iter().enumerate();
    let changed = changed.filter(|(_, scope)| !scope.moves.is_empty());
    let mut waiting: Vec<Step> = policies.iter().map(|place| Step::Policy(*place)).collect();
    waiting.extend(changed.map(|(place, _)| Step::Scope(place)));
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

/// Whether the first of two steps must be done before the second.
fn precedes(first: Step, second: Step, scopes: &[PlannedScope]) -> bool {
    let any = |scope: usize, test: &dyn Fn(&Move) -> bool| {
        scopes
            .get(scope)
            .is_some_and(|scope| scope.moves.iter().any(test))
    };
    match (first, second) {
        (Step::Policy(anchor), Step::Scope(scope)) => any(
            scope,
            &|each| matches!(each, Move::Activate(place, _) | Move::Promote(place) if *place == anchor),
        ),
        (Step::Scope(scope), Step::Policy(anchor)) => any(scope, &|each| match each {
            Move::Demote(place) | Move::Deactivate(_, Some(place)) => *place == anchor,
            _ => false,
        }),
        _ => false,
    }
}

fn entangled(declared: &Declared, waiting: &[Step]) -> Failure {
    let keys: Vec<String> = waiting
        .iter()
        .filter_map(|step| match step {
            Step::Policy(place) => declared.certificates.get(*place),
            _ => None,
        })
        .map(|wanted| format!("`{}`", wanted.key))
        .collect();
    Failure::new(format_args!(
        "the policies of {} change while these certificates change places between scopes, and in \
         no order is each scope right at every moment",
        keys.join(", ")
    ))
    .hint("do it in two files: first the scopes, then the policies")
}
