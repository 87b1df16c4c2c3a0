//! Makes the changes of a plan, one step after the other. Each step is whole or did not happen, so
//! that what broke off is healed by applying again.

use countersign_client::Client;
use countersign_types::{
    certificate::{
        ActiveCertificate, MAX_CERTIFICATES_PER_TOGGLE, ModifyCertificateRequest,
        UploadCertificateRequest,
    },
    error::ErrorCode,
    id::CertificateId,
};

use super::{
    file::{Declared, Wanted},
    order::Step,
    plan::{Plan, PlannedScope},
    server,
};
use crate::{
    failure::{Failure, Outcome},
    output::note,
};

/// A plan being made true.
pub(super) struct Applying<'a> {
    client: &'a Client,
    declared: &'a Declared,
    plan: &'a Plan,
    /// The ids of the file's certificates, as they become known.
    ids: Vec<Option<CertificateId>>,
    /// The revision of the latest change, on servers that number them.
    revision: Option<u64>,
}

/// Does all of it; the revision of the last change.
pub(super) async fn apply(
    client: &Client,
    declared: &Declared,
    plan: &Plan,
) -> Outcome<Option<u64>> {
    let known = |held: &Option<server::Known>| held.as_ref().map(|known| known.id.clone());
    let mut applying = Applying {
        client,
        declared,
        plan,
        ids: plan.held.iter().map(known).collect(),
        revision: None,
    };
    let mut uploaded = false;
    for step in &plan.steps {
        match step {
            Step::Upload(place) => {
                applying.upload(*place).await?;
                uploaded = true;
                continue;
            }
            _ if uploaded => {
                applying.yield_to_an_earlier_upload().await?;
                uploaded = false;
            }
            _ => {}
        }
        applying.step(*step).await?;
    }
    if uploaded {
        applying.yield_to_an_earlier_upload().await?;
    }
    Ok(applying.revision)
}

impl Applying<'_> {
    async fn step(&mut self, step: Step) -> Outcome {
        let certificates = self.client.certificates();
        match step {
            Step::Upload(place) => self.upload(place).await,
            Step::Rename(place) => {
                let (wanted, id) = self.certificate(place)?;
                let change = ModifyCertificateRequest {
                    name: wanted.name.clone(),
                };
                let renamed = certificates.update(&id, &change).await?;
                note(&format!("renamed {}", wanted.key));
                self.made(renamed.revision);
                Ok(())
            }
            Step::Policy(place) => {
                let (wanted, id) = self.certificate(place)?;
                let set = certificates.set_policy(&id, wanted.policy.as_deref());
                let set = set.await?;
                note(&format!("set the policy of {}", wanted.key));
                self.made(set.revision);
                Ok(())
            }
            Step::Scope(place) => match self.plan.scopes.get(place) {
                Some(scope) if self.plan.countersign => self.set_scope(scope).await,
                Some(scope) => self.toggle_scope(scope).await,
                None => Ok(()),
            },
            Step::Delete(place) => {
                let Some(known) = self.plan.delete.get(place) else {
                    return Ok(());
                };
                let deleted = certificates.delete(&known.id).await?;
                note(&format!("deleted {}", known.id));
                self.made(deleted.revision);
                Ok(())
            }
        }
    }

    async fn upload(&mut self, place: usize) -> Outcome {
        let Some(wanted) = self.declared.certificates.get(place) else {
            return Ok(());
        };
        let request = UploadCertificateRequest {
            certificate: wanted.pem.clone(),
            name: wanted.name.clone(),
            cel_policy: wanted.policy.clone(),
        };
        let uploaded = self.client.certificates().upload(&request).await?;
        let id = uploaded.value.id;
        note(&format!("uploaded {} as {id}", wanted.key));
        self.made(uploaded.revision);
        if let Some(slot) = self.ids.get_mut(place) {
            *slot = Some(id);
        }
        Ok(())
    }

    /// Two who apply the same file at once both upload. The list has one order for both, so the
    /// later one takes its upload back.
    async fn yield_to_an_earlier_upload(&mut self) -> Outcome {
        let now = server::certificates(self.client).await?;
        let mut yielded = Vec::new();
        for (place, wanted) in self.declared.certificates.iter().enumerate() {
            let own = self.ids.get(place).and_then(Option::as_ref);
            let first = now
                .iter()
                .find(|each| each.sha256 == Some(wanted.facts.sha256()));
            let (Some(own), Some(first)) = (own, first) else {
                continue;
            };
            let is_new = self.plan.held.get(place).is_some_and(Option::is_none);
            if is_new && first.id != *own {
                self.client.certificates().delete(own).await?;
                yielded.push(format!("`{}` (as `{}`)", wanted.key, first.id));
            }
        }
        if yielded.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format_args!(
            "somebody else uploaded {} meanwhile; the second copies were deleted again",
            yielded.join(", ")
        ))
        .hint("apply again: the plan is made anew from what is there"))
    }

    /// Sets the whole scope in one step, if it still is what the plan was made from.
    async fn set_scope(&mut self, scope: &PlannedScope) -> Outcome {
        let mut active = Vec::new();
        for (place, enforcement) in &scope.wanted {
            active.push(ActiveCertificate {
                certificate_id: self.certificate(*place)?.1,
                enforcement: *enforcement,
            });
        }
        let certificates = self.client.certificates();
        let set = certificates.set_active(&scope.scope, &active, Some(&scope.before));
        match set.await {
            Ok(set) => {
                note(&format!("set what is active at {}", scope.shown));
                self.made(set.revision);
                Ok(())
            }
            Err(error) if error.code() == Some(ErrorCode::ScopeChanged) => {
                Err(changed_meanwhile(&scope.shown))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same with the reference API's operations: first what comes, then what goes, so that the
    /// scope is never open in between.
    async fn toggle_scope(&mut self, scope: &PlannedScope) -> Outcome {
        let before = server::active(self.client, &scope.scope).await?;
        if before != scope.before {
            return Err(changed_meanwhile(&scope.shown));
        }
        let mut wanted = Vec::new();
        for (place, _) in &scope.wanted {
            wanted.push(self.certificate(*place)?.1);
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
            "set what is active at {}, in {calls} calls: this server cannot do it at once",
            scope.shown
        ));
        Ok(())
    }

    fn certificate(&self, place: usize) -> Outcome<(&Wanted, CertificateId)> {
        let wanted = self.declared.certificates.get(place);
        let id = self.ids.get(place).cloned().flatten();
        wanted
            .zip(id)
            .ok_or_else(|| Failure::new("a certificate has no id yet"))
    }

    fn made(&mut self, revision: Option<u64>) {
        self.revision = revision.or(self.revision);
    }
}

fn owned(ids: &[&CertificateId]) -> Vec<CertificateId> {
    ids.iter().map(|id| (*id).clone()).collect()
}

fn changed_meanwhile(shown: &str) -> Failure {
    Failure::new(format_args!(
        "somebody changed what is active at {shown} since the plan was made; it was left as it is"
    ))
    .hint("look at the plan again, then apply it again")
}
