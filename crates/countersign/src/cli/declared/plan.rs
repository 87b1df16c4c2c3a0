//! The difference between a file and a server, as changes in the order in which they are made.

use std::collections::BTreeSet;

use countersign_client::Client;
use countersign_types::{
    certificate::{ActiveCertificate, Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    id::{CertificateId, ProjectId},
};

use super::{
    file::{Declared, Owner, Wanted, WantedScope},
    order::{Step, in_order},
    server::{self, Known},
};
use crate::{
    failure::{Failure, Outcome},
    output::printable,
};

/// What would be done.
pub(super) struct Plan {
    /// Whether the server has Countersign's extensions.
    pub(super) countersign: bool,
    /// The certificates of the file on the server, place for place; `None` is to be uploaded.
    pub(super) held: Vec<Option<Known>>,
    pub(super) scopes: Vec<PlannedScope>,
    /// Uploads and renames come first, deletions last.
    pub(super) steps: Vec<Step>,
    /// The certificates to delete.
    pub(super) delete: Vec<Known>,
    /// The certificates that the file does not name and that stay.
    pub(super) left: Vec<Known>,
}

/// A scope of the file beside what it is.
pub(super) struct PlannedScope {
    pub(super) scope: Scope,
    /// What it is called: `organization`, or the project's id.
    pub(super) shown: String,
    /// What is active there.
    pub(super) before: Vec<ActiveCertificate>,
    /// What shall be: places in the file.
    pub(super) wanted: Vec<(usize, Enforcement)>,
    pub(super) moves: Vec<Move>,
}

/// What happens to one certificate at a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    Activate(usize, Enforcement),
    Promote(usize),
    Demote(usize),
    /// With its place in the file, if it has one.
    Deactivate(CertificateId, Option<usize>),
}

impl Plan {
    /// What the server calls a certificate.
    pub(super) fn name_of(&self, id: &CertificateId) -> Option<String> {
        let held = self.held.iter().flatten();
        let mut all = held.chain(&self.delete).chain(&self.left);
        all.find(|known| known.id == *id)?.name.clone()
    }
}

impl PlannedScope {
    /// Whether nothing would be enforced where something is.
    pub(super) fn disarms(&self) -> bool {
        let enforced = |enforcement: Enforcement| enforcement == Enforcement::Enforce;
        self.before.iter().any(|each| enforced(each.enforcement))
            && !self.wanted.iter().any(|(_, each)| enforced(*each))
    }
}

/// Compares a file with a server.
pub(super) async fn plan(client: &Client, declared: &Declared, prune: bool) -> Outcome<Plan> {
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

/// What only Countersign has cannot be asked of another server.
fn refuse_extensions(declared: &Declared) -> Outcome {
    let lacks = |line: &str, what: &str| {
        Err(Failure::new(format_args!("{line}: {what}"))
            .hint("only a Countersign server has it; leave it out for this one"))
    };
    if let Some(wanted) = declared
        .certificates
        .iter()
        .find(|each| each.policy.is_some())
    {
        let what = format!("`{}` has a policy, and this server has none", wanted.key);
        return lacks(&wanted.line, &what);
    }
    let reports = |scope: &&WantedScope| {
        let mut all = scope.active.iter();
        all.any(|(_, enforcement)| *enforcement == Enforcement::Report)
    };
    match declared.scopes.iter().find(reports) {
        Some(scope) => lacks(
            &scope.line,
            "`report` is asked for, and this server has no report-only activation",
        ),
        None => Ok(()),
    }
}

/// The certificates of the file on the server, by the fingerprint of their DER.
fn matched(declared: &Declared, known: &[Known]) -> Outcome<Vec<Option<Known>>> {
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
) -> Outcome<Vec<PlannedScope>> {
    let mut planned: Vec<PlannedScope> = Vec::new();
    let ids = project_ids(client, declared).await?;
    for (wanted, project) in declared.scopes.iter().zip(ids) {
        let scope = Scope::from(project);
        if planned.iter().any(|each| each.scope == scope) {
            return Err(Failure::new(format_args!(
                "{}: another section is of the same project, by its id",
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

/// The project of each scope; `None` is the organization. Names are looked up only when there are
/// any: it takes another permission.
async fn project_ids(client: &Client, declared: &Declared) -> Outcome<Vec<Option<ProjectId>>> {
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
            .filter(|each| each.name.as_ref() == Some(name));
        let found: Vec<&ProjectId> = named.map(|each| &each.id).collect();
        let line = &scope.line;
        match found.as_slice() {
            [id] => ids.push(Some((*id).clone())),
            [] => {
                let message = format!("{line}: there is no project of the name `{name}`");
                return Err(Failure::new(message).hint(
                    "`countersign project list` shows them; an archived one goes by its id",
                ));
            }
            several => {
                let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
                let message = format!(
                    "{line}: {} projects have the name `{name}`: {}",
                    several.len(),
                    several.join(", ")
                );
                return Err(Failure::new(message).hint("name the project by its id"));
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
    let id = |place: usize| held.get(place)?.as_ref().map(|known| &known.id);
    let mut moves = Vec::new();
    for (place, enforcement) in wanted {
        let is = before
            .iter()
            .find(|each| id(*place) == Some(&each.certificate_id))
            .map(|each| each.enforcement);
        match (is, enforcement) {
            (None, _) => moves.push(Move::Activate(*place, *enforcement)),
            (Some(Enforcement::Report), Enforcement::Enforce) => moves.push(Move::Promote(*place)),
            (Some(Enforcement::Enforce), Enforcement::Report) => moves.push(Move::Demote(*place)),
            _ => {}
        }
    }
    for each in before {
        let gone = &each.certificate_id;
        if !wanted.iter().any(|(place, _)| id(*place) == Some(gone)) {
            let places = 0..held.len();
            let place = places.into_iter().find(|place| id(*place) == Some(gone));
            moves.push(Move::Deactivate(gone.clone(), place));
        }
    }
    moves
}

/// What the server would refuse half-way is refused before the first change.
fn check_anchors(declared: &Declared, held: &[Option<Known>], scopes: &[PlannedScope]) -> Outcome {
    let all = scopes.iter().flat_map(|scope| &scope.moves);
    let activated: BTreeSet<usize> = all
        .filter_map(|each| match each {
            Move::Activate(place, _) | Move::Promote(place) | Move::Demote(place) => Some(*place),
            Move::Deactivate(..) => None,
        })
        .collect();
    let now = crate::clock::unix_seconds();
    for (place, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let why = match held {
            None => wanted.reasons.first().map(|reason| reason.message.clone()),
            Some(known) if activated.contains(&place) && known.expires_at <= now => {
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
            .hint("`countersign certificate inspect FILE` says what the file is"));
        }
    }
    Ok(())
}

fn check_room(declared: &Declared, held: &[Option<Known>], known: usize) -> Outcome {
    let uploads = held.iter().filter(|each| each.is_none()).count();
    if uploads == 0 || known + uploads <= MAX_CERTIFICATES_PER_ORGANIZATION {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the organization would hold {} certificates, {MAX_CERTIFICATES_PER_ORGANIZATION} at most: \
         {known} are there, {uploads} of the {} in the file are new",
        known + uploads,
        declared.certificates.len()
    ))
    .hint("delete some that are active nowhere first: `countersign certificate delete ID`"))
}

/// A certificate that is active where the file says nothing cannot be deleted.
async fn check_deletions(client: &Client, delete: &[Known], scopes: &[PlannedScope]) -> Outcome {
    let projects = server::projects(client, true).await?;
    let all = projects.into_iter().map(|each| Scope::Project(each.id));
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
            .hint("declare that scope too, or leave `--prune` out"));
        }
    }
    Ok(())
}

/// A server's name for something, after its id.
pub(super) fn called(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" ({})", printable(name)))
}
