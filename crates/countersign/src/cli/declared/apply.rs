//! Makes the changes of a plan, one step after another; what is let through changes in one of them. Each
//! step happens completely or not at all, so applying again completes an interrupted run.

use countersign_client::{Client, Error};
use countersign_types::{
    assertion::AssertionUpdateRequest,
    certificate::{
        MAX_CERTIFICATES_PER_TOGGLE, ModifyCertificateRequest, UploadCertificateRequest,
    },
    error::ErrorCode,
    history::HistoryPoint,
    id::CertificateId,
    preview::TrustChange,
};

use super::{
    federation_apply,
    file::{Declared, Wanted},
    plan::{Plan, PlannedScope, Step},
    server, trial,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{note, printable},
};

/// A plan that is being applied.
pub(super) struct Applying<'a> {
    client: &'a Client,
    declared: &'a Declared,
    plan: &'a Plan,
    /// The ids of the file's certificates, as they become known.
    ids: Vec<Option<CertificateId>>,
    federation: federation_apply::Applying<'a>,
    /// The latest change, on servers that number them.
    latest: Option<HistoryPoint>,
}

/// Applies the whole plan; gives the last change.
pub(super) async fn apply(
    client: &Client,
    declared: &Declared,
    plan: &Plan,
) -> CommandResult<Option<HistoryPoint>> {
    let known = |held: &Option<server::Known>| held.as_ref().map(|known| known.id.clone());
    let mut applying = Applying {
        client,
        declared,
        plan,
        ids: plan.held.iter().map(known).collect(),
        federation: federation_apply::Applying::new(client),
        latest: None,
    };
    let (mut uploaded, mut trust_is_set) = (false, false);
    for step in &plan.steps {
        match step {
            Step::Upload(index) => {
                applying.upload(*index).await?;
                uploaded = true;
                continue;
            }
            // Checked once after all uploads and before anything is activated: a copy that is active
            // could not be deleted again.
            _ if uploaded => {
                applying.yield_to_an_earlier_upload().await?;
                uploaded = false;
            }
            _ => {}
        }
        match plan.countersign && step.is_trust() {
            true if trust_is_set => {}
            true => {
                applying.set_trust().await?;
                trust_is_set = true;
            }
            false => applying.step(*step).await?,
        }
    }
    if uploaded {
        applying.yield_to_an_earlier_upload().await?;
    }
    Ok(applying.latest)
}

impl Applying<'_> {
    async fn step(&mut self, step: Step) -> CommandResult {
        let certificates = self.client.certificates();
        match step {
            Step::Upload(index) => self.upload(index).await,
            Step::Rename(index) => {
                let (wanted, id) = self.certificate(index)?;
                let change = ModifyCertificateRequest {
                    name: wanted.name.clone(),
                };
                let renamed = certificates.update(&id, &change).await?;
                note(&format!("renamed {}", wanted.key));
                self.made(renamed.change());
                Ok(())
            }
            // Another server has none of them.
            Step::Policy(_)
            | Step::ReportPolicy(_)
            | Step::Deny(_)
            | Step::Floor(..)
            | Step::LetIn(_) => Ok(()),
            Step::Scope(index) => match self.plan.scopes.get(index) {
                Some(scope) => self.toggle_scope(scope).await,
                None => Ok(()),
            },
            Step::Delete(index) => {
                let Some(known) = self.plan.delete.get(index) else {
                    return Ok(());
                };
                let deleted = certificates.delete(&known.id).await?;
                note(&format!("deleted {}", known.id));
                self.made(deleted.change());
                Ok(())
            }
            Step::DeleteAssertion(_) | Step::Reason(_) | Step::CreateAssertion(_) => {
                self.assertion(step).await
            }
            Step::Federation(step) => {
                let made = self.federation.step(step, &self.plan.federation).await?;
                self.made(made);
                Ok(())
            }
        }
    }

    async fn assertion(&mut self, step: Step) -> CommandResult {
        let (assertions, plan) = (self.client.assertions(), &self.plan.assertions);
        let made = match step {
            Step::DeleteAssertion(index) => match plan.delete.get(index) {
                Some((id, name)) => {
                    let deleted = assertions.delete(id).await?;
                    note(&format!("deleted the assertion {name}"));
                    deleted.change()
                }
                None => None,
            },
            Step::Reason(index) => match plan.reasons.get(index) {
                Some(reason) => {
                    let change = AssertionUpdateRequest {
                        name: None,
                        reason: Some(reason.to.clone().unwrap_or_default()),
                    };
                    let updated = assertions.update(&reason.id, &change).await?;
                    note(&format!(
                        "changed the reason of the assertion {}",
                        reason.name
                    ));
                    updated.change()
                }
                None => None,
            },
            Step::CreateAssertion(index) => match plan.create.get(index) {
                Some(request) => {
                    let created = assertions.create(request).await?;
                    note(&format!("created the assertion {}", request.name));
                    created.change()
                }
                None => None,
            },
            _ => None,
        };
        self.made(made);
        Ok(())
    }

    async fn upload(&mut self, index: usize) -> CommandResult {
        let Some(wanted) = self.declared.certificates.get(index) else {
            return Ok(());
        };
        let request = UploadCertificateRequest {
            certificate: wanted.pem.clone(),
            name: wanted.name.clone(),
            cel_policy: wanted.policy.clone(),
        };
        let uploaded = self.client.certificates().upload(&request).await?;
        self.made(uploaded.change());
        let id = uploaded.value.id.clone();
        note(&format!("uploaded {} as {id}", wanted.key));
        if let Some(slot) = self.ids.get_mut(index) {
            *slot = Some(id);
        }
        Ok(())
    }

    /// When two people apply the same file at once, both upload. The list has the same order for both,
    /// so the later one deletes its copy.
    async fn yield_to_an_earlier_upload(&mut self) -> CommandResult {
        let now = server::certificates(self.client).await?;
        let mut yielded = Vec::new();
        for (index, wanted) in self.declared.certificates.iter().enumerate() {
            let own = self.ids.get(index).and_then(Option::as_ref);
            let first = now
                .iter()
                .find(|each| each.sha256 == Some(wanted.facts.sha256()));
            let (Some(own), Some(first)) = (own, first) else {
                continue;
            };
            let is_new = self.plan.held.get(index).is_some_and(Option::is_none);
            if is_new && first.id != *own {
                self.client.certificates().delete(own).await?;
                yielded.push(format!("`{}` (as `{}`)", wanted.key, first.id));
            }
        }
        if yielded.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format_args!(
            "somebody else uploaded {} at the same time; the duplicates were deleted",
            yielded.join(", ")
        ))
        .hint("apply again to make a new plan"))
    }

    /// Sets all policies and scopes in one step, if no scope has changed since the plan was made: the
    /// server judges what they do together, and makes all of them or none.
    async fn set_trust(&mut self) -> CommandResult {
        let made = trial::made(self.plan, self.declared, &self.ids);
        let (steps, changes): (Vec<Step>, Vec<TrustChange>) = made.into_iter().unzip();
        let set = match self.client.make_changes(&changes).await {
            Ok(set) => set,
            Err(error) if error.code() == Some(ErrorCode::ScopeChanged) => {
                return Err(changed_meanwhile(self.scope_of(&error, &steps)));
            }
            Err(error) => return Err(error.into()),
        };
        for step in steps {
            note(&match step {
                Step::Scope(index) => {
                    let scope = self.plan.scopes.get(index);
                    let shown = scope.map_or("a scope", |scope| scope.shown.as_str());
                    format!("set the active certificates at {shown}")
                }
                Step::ReportPolicy(index) => {
                    format!("set the reported policy of {}", self.key(index))
                }
                Step::Policy(index) => format!("set the policy of {}", self.key(index)),
                Step::Floor(index, _) => format!("set the floor of {}", self.key(index)),
                step => match self.of_denial(step) {
                    Some(done) => printable(&done),
                    None => continue,
                },
            });
        }
        self.made(set.change());
        Ok(())
    }

    /// What was done about a denial.
    fn of_denial(&self, step: Step) -> Option<String> {
        let denials = &self.plan.denials;
        match step {
            Step::Deny(index) => {
                let request = denials.create.get(index)?;
                Some(format!("created the denial {}", request.name))
            }
            Step::LetIn(index) => {
                let (_, name) = denials.delete.get(index)?;
                Some(format!("deleted the denial {name}"))
            }
            _ => None,
        }
    }

    /// A certificate's key in the file.
    fn key(&self, index: usize) -> &str {
        let wanted = self.declared.certificates.get(index);
        wanted.map_or("a certificate", |wanted| &wanted.key)
    }

    /// The scope that an error is about: its parameter is `changes[2]`.
    fn scope_of(&self, error: &Error, steps: &[Step]) -> &str {
        let param = error.api().and_then(|refused| refused.param.as_deref());
        let place = param.and_then(|param| {
            let (place, _) = param.strip_prefix("changes[")?.split_once(']')?;
            place.parse::<usize>().ok()
        });
        let step = place.and_then(|place| steps.get(place));
        let scope = step.and_then(|step| match step {
            Step::Scope(index) => self.plan.scopes.get(*index),
            _ => None,
        });
        scope.map_or("a scope", |scope| &scope.shown)
    }

    /// Sets one scope with the reference API's operations. New certificates are activated before old ones
    /// are deactivated: a scope without any would accept every request in between.
    async fn toggle_scope(&mut self, scope: &PlannedScope) -> CommandResult {
        let before = server::active(self.client, &scope.scope).await?;
        if before != scope.before {
            return Err(changed_meanwhile(&scope.shown));
        }
        let mut wanted = Vec::new();
        for (index, _) in &scope.wanted {
            wanted.push(self.certificate(*index)?.1);
        }
        let before: Vec<CertificateId> =
            before.into_iter().map(|each| each.certificate_id).collect();
        let comes: Vec<_> = wanted.iter().filter(|id| !before.contains(id)).collect();
        let goes: Vec<_> = before.iter().filter(|id| !wanted.contains(id)).collect();
        let certificates = self.client.certificates();
        let mut calls = 0;
        for ids in comes.chunks(MAX_CERTIFICATES_PER_TOGGLE) {
            certificates.activate(&scope.scope, &owned(ids)).await?;
            calls += 1;
        }
        for ids in goes.chunks(MAX_CERTIFICATES_PER_TOGGLE) {
            certificates.deactivate(&scope.scope, &owned(ids)).await?;
            calls += 1;
        }
        note(&format!(
            "set the active certificates at {} in {calls} calls: this server cannot do it in one step",
            scope.shown
        ));
        Ok(())
    }

    fn certificate(&self, index: usize) -> CommandResult<(&Wanted, CertificateId)> {
        let wanted = self.declared.certificates.get(index);
        let id = self.ids.get(index).cloned().flatten();
        wanted
            .zip(id)
            .ok_or_else(|| Failure::new("a certificate was not uploaded yet"))
    }

    fn made(&mut self, change: Option<HistoryPoint>) {
        self.latest = change.or(self.latest);
    }
}

fn owned(ids: &[&CertificateId]) -> Vec<CertificateId> {
    ids.iter().map(|id| (*id).clone()).collect()
}

fn changed_meanwhile(shown: &str) -> Failure {
    Failure::new(format_args!(
        "the active certificates at {shown} changed since the plan was made; nothing that is let through was changed"
    ))
    .hint("apply again to see the new plan")
}
