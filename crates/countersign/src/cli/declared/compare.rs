//! Compares a file with a server, and plans the changes in the order in which they are made.

use std::collections::BTreeSet;

use countersign_client::Client;
use countersign_types::{
    certificate::{ActiveCertificate, Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    id::ProjectId,
};

use super::{
    file::{Declared, Owner, Wanted, WantedScope},
    order::in_order,
    plan::{Move, Plan, PlannedScope, called},
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
    let known = server::certificates(client).await?;
    let held = matched(declared, &known)?;
    let scopes = scopes(client, declared, &held).await?;
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
    let steps = in_order(declared, &held, &scopes, &delete)?;
    Ok(Plan {
        countersign,
        held,
        scopes,
        steps,
        delete,
        left,
    })
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
        .find(|each| each.policy.is_some())
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

/// Finds the certificates of the file on the server, by the SHA-256 of their DER.
fn matched(declared: &Declared, known: &[Known]) -> CommandResult<Vec<Option<Known>>> {
    let one = |wanted: &Wanted| {
        let mut same = known
            .iter()
            .filter(|each| each.sha256 == Some(wanted.facts.sha256()));
        let first = same.next();
        if let (Some(first), Some(second)) = (first, same.next()) {
            return Err(Failure::new(format_args!(
                "{}: the server holds `{}` twice, as `{}` and `{}`",
                wanted.line, wanted.key, first.id, second.id
            ))
            .hint("delete the one that is not active: `countersign certificate delete ID`"));
        }
        Ok(first.cloned())
    };
    declared.certificates.iter().map(one).collect()
}

/// Reads each scope of the file and compares it.
async fn scopes(
    client: &Client,
    declared: &Declared,
    held: &[Option<Known>],
) -> CommandResult<Vec<PlannedScope>> {
    let mut planned: Vec<PlannedScope> = Vec::new();
    let ids = project_ids(client, declared).await?;
    for (wanted, project) in declared.scopes.iter().zip(ids) {
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
            moves: moves(&before, &wanted.active, held),
            scope,
            shown,
            before,
            wanted: wanted.active.clone(),
        });
    }
    Ok(planned)
}

/// The project of each scope; `None` is the organization. Projects are listed only if the file has
/// names: listing needs another permission.
async fn project_ids(
    client: &Client,
    declared: &Declared,
) -> CommandResult<Vec<Option<ProjectId>>> {
    let mut listed = None;
    let mut ids = Vec::new();
    for scope in &declared.scopes {
        let name = match &scope.owner {
            Owner::Organization => {
                ids.push(None);
                continue;
            }
            Owner::Project(name) => name,
        };
        if let Ok(id) = name.parse() {
            ids.push(Some(id));
            continue;
        }
        let projects = match listed.take() {
            Some(projects) => projects,
            None => server::projects(client, false).await?,
        };
        let named = projects
            .iter()
            .filter(|each| each.name.as_ref() == Some(name) || each.id.as_str() == name);
        let found: Vec<&ProjectId> = named.map(|each| &each.id).collect();
        let line = &scope.line;
        match found.as_slice() {
            [id] => ids.push(Some((*id).clone())),
            [] => {
                let message = format!("{line}: no project is named `{name}`");
                return Err(Failure::new(message).hint(
                    "run `countersign project list` to see them; refer to an archived one by its id",
                ));
            }
            several => {
                let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
                let message = format!(
                    "{line}: {} projects are named `{name}`: {}",
                    several.len(),
                    several.join(", ")
                );
                return Err(Failure::new(message).hint("refer to the project by its id"));
            }
        }
        listed = Some(projects);
    }
    Ok(ids)
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
