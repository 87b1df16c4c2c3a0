//! Compares a file with a server, and plans the changes in the order in which they are made.

use std::collections::BTreeSet;

use countersign_client::Client;
use countersign_types::{
    certificate::{ActiveCertificate, Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    id::ProjectId,
    preview::MAX_TRUST_CHANGES,
};

use super::{
    assertion_plan::AssertionPlan,
    denial_plan::DenialPlan,
    federation_plan::FederationPlan,
    file::{Declared, Owner, Wanted, WantedScope},
    floors,
    order::in_order,
    plan::{Move, Plan, PlannedScope, Step, called},
    projects::Projects,
    server::{self, Known},
};
use crate::failure::{CommandResult, Failure};

/// Compares a file with a server.
pub(super) async fn compare(
    client: &Client,
    declared: &Declared,
    prune: bool,
) -> CommandResult<Plan> {
    let countersign = server::is_countersign(client).await?;
    if !countersign {
        refuse_extensions(declared)?;
    }
    floors::check_supported(client, declared).await?;
    let known = server::certificates(client).await?;
    let mut projects = Projects::new(client);
    let mut scopes = scopes(client, declared, &mut projects).await?;
    let held = matched(declared, &known, &scopes);
    for scope in &mut scopes {
        scope.moves = moves(&scope.before, &scope.wanted, &held);
    }
    check_anchors(declared, &held, &scopes)?;
    let (delete, left): (Vec<Known>, Vec<Known>) = known
        .iter()
        .filter(|known| !held.iter().flatten().any(|held| held.id == known.id))
        .cloned()
        .partition(|_| prune);
    check_room(declared, &held, known.len())?;
    // Reads every scope of the organization, so only when something is to be deleted.
    if !delete.is_empty() {
        check_deletions(client, &delete, &scopes).await?;
    }
    let denials = DenialPlan::compare(client, declared, &mut projects, prune).await?;
    let (floors, left_floors) = floors::compare(declared, &held);
    let assertions = AssertionPlan::compare(client, declared, &mut projects, prune).await?;
    let federation = FederationPlan::compare(client, declared, &mut projects, prune).await?;
    let mut steps: Vec<Step> = (0..assertions.delete.len())
        .map(Step::DeleteAssertion)
        .collect();
    steps.extend(federation.before().into_iter().map(Step::Federation));
    steps.extend(in_order(
        declared,
        &held,
        &scopes,
        (floors, &denials),
        &delete,
    ));
    steps.extend((0..assertions.reasons.len()).map(Step::Reason));
    steps.extend((0..assertions.create.len()).map(Step::CreateAssertion));
    steps.extend(federation.after().into_iter().map(Step::Federation));
    check_number(&steps)?;
    Ok(Plan {
        countersign,
        held,
        disarmed: disarmed(client, &scopes).await?,
        scopes,
        steps,
        delete,
        left,
        denials,
        left_floors,
        assertions,
        federation,
    })
}

/// What is let through changes in one step, so that it cannot be more than a server changes in one.
fn check_number(steps: &[Step]) -> CommandResult {
    let counts = |step: &&Step| step.is_trust() || matches!(step, Step::Upload(_));
    let count = steps.iter().filter(counts).count();
    if count <= MAX_TRUST_CHANGES {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the plan has {count} changes of what is let through, and a server makes at most {MAX_TRUST_CHANGES} together"
    ))
    .hint("apply it in parts, for example with some of the denials first"))
}

/// Refuses what only a Countersign server can do, if the server is another.
fn refuse_extensions(declared: &Declared) -> CommandResult {
    let lacks = |line: &str, what: &str| {
        Err(Failure::new(format_args!("{line}: {what}"))
            .hint("only Countersign servers support it; leave it out for this one"))
    };
    if let Some(wanted) = declared
        .certificates
        .iter()
        .find(|each| each.policy.is_some() || each.reported.is_some())
    {
        let what = format!(
            "`{}` has a policy, and this server does not support policies",
            wanted.key
        );
        return lacks(&wanted.line, &what);
    }
    let reports = |scope: &&WantedScope| {
        let mut all = scope.active.iter();
        all.any(|(_, enforcement)| *enforcement == Enforcement::Report)
    };
    match declared.scopes.iter().find(reports) {
        Some(scope) => lacks(
            &scope.line,
            "`report` is set, and this server does not support report-only activation",
        ),
        None => Ok(()),
    }
}

/// Finds the certificates of the file on the server, by the SHA-256 of their DER. Of several that are
/// the same, the one that is active at most of the file's scopes, or else is as the file says, or else
/// is the oldest: so what is in force stays where it is.
fn matched(declared: &Declared, known: &[Known], scopes: &[PlannedScope]) -> Vec<Option<Known>> {
    let active = |known: &Known| {
        let is_it = |scope: &&PlannedScope| {
            let mut before = scope.before.iter();
            before.any(|each| each.certificate_id == known.id)
        };
        scopes.iter().filter(is_it).count()
    };
    let one = |wanted: &Wanted| {
        let same = known
            .iter()
            .filter(|each| each.sha256 == Some(wanted.facts.sha256()));
        let fits = |known: &Known| {
            let named = wanted.name.is_none() || wanted.name == known.name;
            (named, wanted.policy == known.policy)
        };
        // The last of equals is the greatest, and the oldest is meant.
        same.rev()
            .max_by_key(|known| (active(known), fits(known)))
            .cloned()
    };
    declared.certificates.iter().map(one).collect()
}

/// Reads each scope of the file, with what is active there.
async fn scopes(
    client: &Client,
    declared: &Declared,
    projects: &mut Projects<'_>,
) -> CommandResult<Vec<PlannedScope>> {
    let mut planned: Vec<PlannedScope> = Vec::new();
    for wanted in &declared.scopes {
        let project = match &wanted.owner {
            Owner::Organization => None,
            Owner::Project(name) => Some(projects.id(&wanted.line, name).await?),
        };
        let scope = Scope::from(project);
        if planned.iter().any(|each| each.scope == scope) {
            return Err(Failure::new(format_args!(
                "{}: another section names the same project by its id",
                wanted.line
            ))
            .hint("keep one of them"));
        }
        let shown = scope
            .project()
            .map_or("organization", ProjectId::as_str)
            .to_owned();
        let before = server::active(client, &scope).await.map_err(|error| {
            if error.status() == Some(404) {
                let message = format!("{}: there is no project `{shown}`", wanted.line);
                return Failure::new(message).hint("`countersign project list` shows them");
            }
            Failure::from(error)
        })?;
        planned.push(PlannedScope {
            moves: Vec::new(),
            scope,
            shown,
            before,
            wanted: wanted.active.clone(),
        });
    }
    Ok(planned)
}

/// The scopes that would have no enforced trust anchor any more. What the organization enforces holds
/// in its projects too.
async fn disarmed(client: &Client, scopes: &[PlannedScope]) -> CommandResult<Vec<usize>> {
    let disarmed = scopes.iter().enumerate();
    let mut disarmed: Vec<usize> = disarmed
        .filter(|(_, scope)| scope.disarms())
        .map(|(index, _)| index)
        .collect();
    if disarmed.is_empty() {
        return Ok(disarmed);
    }
    let mut planned = scopes.iter();
    let enforces = match planned.find(|each| each.scope == Scope::Organization) {
        Some(organization) => organization.will_enforce(),
        None => {
            let active = server::active(client, &Scope::Organization).await?;
            let mut active = active.iter();
            active.any(|each| each.enforcement == Enforcement::Enforce)
        }
    };
    let is_organization = |index: &usize| {
        scopes
            .get(*index)
            .is_some_and(|scope| scope.scope == Scope::Organization)
    };
    if enforces {
        disarmed.retain(is_organization);
    }
    Ok(disarmed)
}

fn moves(
    before: &[ActiveCertificate],
    wanted: &[(usize, Enforcement)],
    held: &[Option<Known>],
) -> Vec<Move> {
    let id = |index: usize| held.get(index)?.as_ref().map(|known| &known.id);
    let mut moves = Vec::new();
    for (index, enforcement) in wanted {
        let is = before
            .iter()
            .find(|each| id(*index) == Some(&each.certificate_id))
            .map(|each| each.enforcement);
        match (is, enforcement) {
            (None, _) => moves.push(Move::Activate(*index, *enforcement)),
            (Some(Enforcement::Report), Enforcement::Enforce) => moves.push(Move::Promote(*index)),
            (Some(Enforcement::Enforce), Enforcement::Report) => moves.push(Move::Demote(*index)),
            _ => {}
        }
    }
    for each in before {
        let gone = &each.certificate_id;
        if !wanted.iter().any(|(index, _)| id(*index) == Some(gone)) {
            let indexes = 0..held.len();
            let index = indexes.into_iter().find(|index| id(*index) == Some(gone));
            moves.push(Move::Deactivate(gone.clone(), index));
        }
    }
    moves
}

/// Refuses before the first change what the server would refuse halfway.
fn check_anchors(
    declared: &Declared,
    held: &[Option<Known>],
    scopes: &[PlannedScope],
) -> CommandResult {
    let all = scopes.iter().flat_map(|scope| &scope.moves);
    let activated: BTreeSet<usize> = all
        .filter_map(|each| match each {
            Move::Activate(index, _) | Move::Promote(index) | Move::Demote(index) => Some(*index),
            Move::Deactivate(..) => None,
        })
        .collect();
    let now = crate::clock::unix_seconds();
    for (index, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let why = match held {
            None => wanted.reasons.first().map(|reason| reason.message.clone()),
            Some(known)
                if activated.contains(&index) && known.expires_at.is_some_and(|end| end <= now) =>
            {
                Some("It is expired, and an expired certificate cannot be activated.".to_owned())
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            return Err(Failure::new(format_args!(
                "{}: `{}` would be refused: {why}",
                wanted.line,
                wanted.file.display()
            ))
            .hint("run `countersign certificate inspect FILE` to see what the file is"));
        }
    }
    Ok(())
}

fn check_room(declared: &Declared, held: &[Option<Known>], known: usize) -> CommandResult {
    let uploads = held.iter().filter(|each| each.is_none()).count();
    if uploads == 0 || known + uploads <= MAX_CERTIFICATES_PER_ORGANIZATION {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the organization would have {} certificates, more than {MAX_CERTIFICATES_PER_ORGANIZATION}: \
         it has {known}, and {uploads} of the {} in the file are new",
        known + uploads,
        declared.certificates.len()
    ))
    .hint("first delete some that are active nowhere: `countersign certificate delete ID`"))
}

/// Refuses to delete a certificate that is active at a scope that the file does not declare.
async fn check_deletions(
    client: &Client,
    delete: &[Known],
    scopes: &[PlannedScope],
) -> CommandResult {
    let projects = server::projects(client, true).await?;
    let all = projects.iter().map(|each| Scope::Project(each.id.clone()));
    for scope in [Scope::Organization].into_iter().chain(all) {
        if scopes.iter().any(|planned| planned.scope == scope) {
            continue;
        }
        let active = server::active(client, &scope).await?;
        let is = |known: &&Known| active.iter().any(|each| each.certificate_id == known.id);
        if let Some(known) = delete.iter().find(is) {
            return Err(Failure::new(format_args!(
                "`{}`{} cannot be deleted: it is active at {scope}, which the file does not name",
                known.id,
                called(known.name.as_deref())
            ))
            .hint("declare that scope too, or drop `--prune`"));
        }
    }
    Ok(())
}
