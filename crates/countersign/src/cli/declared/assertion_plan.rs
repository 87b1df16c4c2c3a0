//! What of a server's assertions differs from a file.

use countersign_client::{Client, Received};
use countersign_types::{
    assertion::{Assertion, AssertionCreateRequest},
    digest::Sha256,
    id::{AssertionId, ProjectId},
    observation::Der,
};

use super::{
    file::Declared,
    projects::Projects,
    server,
    wanted_assertions::{Presents, WantedAssertion},
};
use crate::failure::{CommandResult, Failure};

/// The changes of assertions.
#[derive(Default)]
pub(super) struct AssertionPlan {
    /// To delete: those that the file has otherwise and, when asked for, those that it does not name.
    pub(super) delete: Vec<(AssertionId, String)>,
    /// To be given another reason.
    pub(super) reasons: Vec<Reason>,
    /// To create.
    pub(super) create: Vec<AssertionCreateRequest>,
    /// Those that the file does not name and that are kept.
    pub(super) left: Vec<String>,
}

/// An assertion's reason, as it is and as it should be.
pub(super) struct Reason {
    pub(super) id: AssertionId,
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl AssertionPlan {
    /// Compares the file's assertions with the server's. An assertion is known by its name.
    pub(super) async fn compare(
        client: &Client,
        declared: &Declared,
        projects: &mut Projects<'_>,
        prune: bool,
    ) -> CommandResult<Self> {
        let Some(wanted) = &declared.assertions else {
            return Ok(Self::default());
        };
        let mut plan = Self::default();
        if !server::has_assertions(client).await? {
            return match wanted.first() {
                None => Ok(plan),
                Some(first) => Err(Failure::new(format_args!(
                    "{}: this server does not support assertions",
                    first.line
                ))
                .hint("only Countersign servers support them; leave them out for this one")),
            };
        }
        let known = server::assertions(client).await?;
        for wanted in wanted {
            let project = match &wanted.project {
                Some(name) => Some(projects.id(&wanted.line, name).await?),
                None => None,
            };
            let held = known.iter().find(|known| known.name == wanted.name);
            plan.add(wanted, project, held);
        }
        for gone in known
            .iter()
            .filter(|known| !wanted.iter().any(|wanted| wanted.name == known.name))
        {
            if prune {
                plan.delete.push((gone.id.clone(), gone.name.clone()));
            } else {
                plan.left.push(gone.name.clone());
            }
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        wanted: &WantedAssertion,
        project_id: Option<ProjectId>,
        held: Option<&Received<Assertion>>,
    ) {
        let (chain, leaf_sha256) = match &wanted.presents {
            Presents::Chain(chain) => (Some(chain.clone()), None),
            Presents::Leaf(leaf) => (None, Some(*leaf)),
        };
        let request = AssertionCreateRequest {
            name: wanted.name.clone(),
            reason: wanted.reason.clone(),
            project_id,
            expect: wanted.expect,
            code: wanted.code,
            chain,
            leaf_sha256,
        };
        let Some(held) = held else {
            self.create.push(request);
            return;
        };
        if !is_same(held, &request) {
            self.delete.push((held.id.clone(), held.name.clone()));
            self.create.push(request);
        } else if held.reason != request.reason {
            self.reasons.push(Reason {
                id: held.id.clone(),
                name: request.name,
                from: held.reason.clone(),
                to: request.reason,
            });
        }
    }
}

fn is_same(held: &Assertion, wanted: &AssertionCreateRequest) -> bool {
    held.project_id == wanted.project_id
        && held.expect == wanted.expect
        && held.code == wanted.code.map(Into::into)
        && match (&wanted.chain, &wanted.leaf_sha256) {
            (Some(chain), _) => held.chain == *chain,
            (None, leaf) => held.chain.first().map(|Der(der)| Sha256::of(der)) == *leaf,
        }
}
