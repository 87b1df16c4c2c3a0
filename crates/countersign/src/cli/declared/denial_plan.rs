//! What of a server's denials differs from a file.

use countersign_client::{Client, Received};
use countersign_types::{
    denial::{Denial, DenialCreateRequest},
    id::{DenialId, ProjectId},
};

use super::{file::Declared, projects::Projects, server, wanted_denials::WantedDenial};
use crate::{
    clock,
    failure::{CommandResult, Failure},
};

/// The changes of denials.
#[derive(Default)]
pub(super) struct DenialPlan {
    /// To create.
    pub(super) create: Vec<DenialCreateRequest>,
    /// To delete: those that the file has otherwise and, when asked for, those that it does not name.
    pub(super) delete: Vec<(DenialId, String)>,
    /// Those that the file does not name and that are kept.
    pub(super) left: Vec<String>,
    /// Those of the file that are over, and that the server does not have: they would refuse nothing.
    pub(super) over: Vec<String>,
}

impl DenialPlan {
    /// Compares the file's denials with the server's. A denial is known by its name, or by its id where a name is
    /// not unique.
    pub(super) async fn compare(
        client: &Client,
        declared: &Declared,
        projects: &mut Projects<'_>,
        prune: bool,
    ) -> CommandResult<Self> {
        let Some(wanted) = &declared.denials else {
            return Ok(Self::default());
        };
        let mut plan = Self::default();
        if !server::has_denials(client).await? {
            return match wanted.first() {
                None => Ok(plan),
                Some(first) => Err(Failure::new(format_args!(
                    "{}: this server does not support denials",
                    first.line
                ))
                .hint("only Countersign servers support them; leave them out for this one")),
            };
        }
        let known = server::denials(client).await?;
        let mut named: Vec<&DenialId> = Vec::new();
        for wanted in wanted {
            let project = match &wanted.project {
                Some(name) => Some(projects.id(&wanted.line, name).await?),
                None => None,
            };
            let request = request(wanted, project);
            let held = of_file(&known, wanted, &request)?;
            if let Some(held) = held {
                if named.contains(&&held.id) {
                    return Err(Failure::new(format_args!(
                        "{}: another section is about the same denial",
                        wanted.line
                    ))
                    .hint("keep one of them"));
                }
                named.push(&held.id);
            }
            plan.add(request, held);
        }
        for gone in known.iter().filter(|known| !named.contains(&&known.id)) {
            if prune {
                plan.delete.push((gone.id.clone(), gone.name.clone()));
            } else {
                plan.left.push(gone.name.clone());
            }
        }
        Ok(plan)
    }

    fn add(&mut self, wanted: DenialCreateRequest, held: Option<&Received<Denial>>) {
        if held.is_some_and(|held| is_same(held, &wanted)) {
            return;
        }
        // It stays what it is: what it refuses, and until when, is never changed.
        if let Some(held) = held {
            self.delete.push((held.id.clone(), held.name.clone()));
        }
        if wanted
            .expires_at
            .is_some_and(|end| end <= clock::unix_seconds())
        {
            self.over.push(wanted.name);
        } else {
            self.create.push(wanted);
        }
    }
}

fn request(wanted: &WantedDenial, project_id: Option<ProjectId>) -> DenialCreateRequest {
    DenialCreateRequest {
        name: wanted.name.clone(),
        reason: wanted.reason.clone(),
        matches: wanted.matches.clone(),
        project_id,
        enforcement: wanted.enforcement,
        expires_at: wanted.until,
    }
}

fn is_same(held: &Denial, wanted: &DenialCreateRequest) -> bool {
    held.name == wanted.name
        && held.reason == wanted.reason
        && held.matches == wanted.matches
        && held.project_id == wanted.project_id
        && held.enforcement == wanted.enforcement
        && held.expires_at == wanted.expires_at
}

/// The server's counterpart of a denial of the file.
fn of_file<'k>(
    known: &'k [Received<Denial>],
    wanted: &WantedDenial,
    request: &DenialCreateRequest,
) -> CommandResult<Option<&'k Received<Denial>>> {
    let (key, line) = (wanted.key.as_str(), &wanted.line);
    if key.parse::<DenialId>().is_ok() {
        let found = known.iter().find(|each| each.id.as_str() == key);
        return found.map(Some).ok_or_else(|| {
            Failure::new(format_args!("{line}: there is no denial `{key}`")).hint(
                "call the section by the denial's name, which need not be there yet, or remove it",
            )
        });
    }
    let named: Vec<_> = known.iter().filter(|each| each.name == key).collect();
    match named.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            // As when two people applied the same file at once.
            if let Some(same) = several.iter().find(|each| is_same(each, request)) {
                return Ok(Some(*same));
            }
            let ids: Vec<_> = several.iter().map(|each| each.id.as_str()).collect();
            let message = format!(
                "{line}: {} denials are named `{key}`: {}",
                ids.len(),
                ids.join(", ")
            );
            Err(Failure::new(message).hint("call the section by the id of the one that is meant"))
        }
    }
}
