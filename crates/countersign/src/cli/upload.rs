//! `countersign certificate upload`: a trust anchor comes to the server, and with `--activate` is in
//! use at once.

use std::path::PathBuf;

use clap::Args;
use countersign_client::{Client, Received};
use countersign_types::{
    certificate::{Certificate, Enforcement, Scope, ScopedCertificate, UploadCertificateRequest},
    id::{CertificateId, ProjectId},
    preview::{ActiveAfterwards, AfterwardsActive, TrustChange},
};
use countersign_verify::certificate::inspect;
use futures_util::TryStreamExt;

use super::{
    api::whole,
    disarm::AllowDisarm,
    find,
    guard::{Ask, Guard},
    input::{First, read_anchor},
    policy_text::PolicyText,
    reference::Reference,
    scope::active_as,
    waiting::Wait,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Output, note, printable},
};

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// PEM file of the CA, or `-` for standard input
    file: PathBuf,
    /// The trust anchor's name
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    #[command(flatten)]
    policy: PolicyText,
    #[command(flatten)]
    first: First,
    /// Upload it again if it is already here
    #[arg(long)]
    allow_duplicate: bool,
    /// Activate it at once, for the organization or with `--project` for a project
    #[arg(long)]
    activate: bool,
    /// The project to activate it for: id or name [default: the organization]
    #[arg(long, value_name = "ID|NAME", requires = "activate")]
    project: Option<Reference<ProjectId>>,
    /// Report only: judge requests, count and log what would be refused, but refuse nothing
    #[arg(long, requires = "activate")]
    report: bool,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    allow_disarm: AllowDisarm,
    #[command(flatten)]
    wait: Wait,
}

impl Upload {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        let request = UploadCertificateRequest {
            certificate: read_anchor(&self.file, self.first)?,
            name: self.name.clone(),
            cel_policy: self.policy.clone().read(None)?,
        };
        if self.activate {
            return self.and_activate(&request, client, output).await;
        }
        if self.guard.is_preview() {
            return Err(
                Failure::usage("an upload alone changes nothing that is let through")
                    .hint("pass `--activate --preview` to see what activating it would do"),
            );
        }
        match self.already_here(&request, client).await? {
            Some(known) => output.one(&known),
            None => output.one(&upload(client, &request).await?),
        }
    }

    /// The certificate, if it was uploaded before and nothing about it differs.
    async fn already_here(
        &self,
        request: &UploadCertificateRequest,
        client: &Client,
    ) -> CommandResult<Option<Received<Certificate>>> {
        if self.allow_duplicate {
            return Ok(None);
        }
        // What cannot be read is refused by the server, with the reason.
        let Some(facts) = inspect(&request.certificate, 0).facts else {
            return Ok(None);
        };
        let here = find::same(client, &facts).await?;
        let is_same = |each: &&Received<Certificate>| {
            each.cel_policy == request.cel_policy
                && (request.name.is_none() || each.name == request.name)
        };
        let Some(known) = here.iter().find(is_same).or_else(|| here.first()) else {
            return Ok(None);
        };
        let name = known.name.as_deref().map(printable);
        let called = name.map_or_else(String::new, |name| format!(" ({name})"));
        if is_same(&known) {
            note(&format!("already here as {}{called}", known.id));
            return Ok(Some(known.clone()));
        }
        let (differs, how) = if known.cel_policy == request.cel_policy {
            (
                "name",
                format!("certificate update {} --name NAME", known.id),
            )
        } else {
            (
                "policy",
                format!("certificate set-policy {} --policy CEL", known.id),
            )
        };
        Err(Failure::new(format_args!(
            "already here as {}{called}, with another {differs}; nothing was uploaded",
            known.id
        ))
        .hint(format!(
            "change it with `countersign {how}`, or pass `--allow-duplicate` to upload it again"
        )))
    }

    /// Looks at what both would do together, and does them one after the other.
    async fn and_activate(
        self,
        request: &UploadCertificateRequest,
        client: &Client,
        output: Output,
    ) -> CommandResult {
        let scope = match &self.project {
            Some(project) => Scope::Project(project.resolve(client).await?),
            None => Scope::Organization,
        };
        let enforcement = if self.report {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        };
        let known = self.already_here(request, client).await?;
        let known = known.map(|known| known.id.clone());
        let mut changes = vec![TrustChange::SetActiveCertificates(ActiveAfterwards {
            project_id: scope.project().cloned(),
            active: afterwards(client, &scope, known.as_ref(), enforcement).await?,
            expected: None,
        })];
        if known.is_none() {
            changes.insert(0, TrustChange::UploadCertificate(request.clone()));
        }
        let question = format!("upload `{}` and activate it?", self.file.display());
        let asked = (question.as_str(), Ask::IfUsed);
        // One that is enforced already would only be reported.
        let gone = known.as_slice();
        let gone = if self.report { gone } else { &[] };
        let at = self.project.as_ref();
        let at = at.map_or_else(
            || "the whole organization".to_owned(),
            |at| format!("project {at}"),
        );
        let disarmed = self.allow_disarm.look(client, (&at, &scope), gone).await?;
        let looked = self
            .guard
            .before_all(client, &changes, disarmed.as_ref(), asked, output);
        if !looked.await? {
            return Ok(());
        }
        let was_here = known.is_some();
        let id = match known {
            Some(id) => id,
            None => upload(client, request).await?.id.clone(),
        };
        let mut waiting = self.wait.begin()?;
        let ids = std::slice::from_ref(&id);
        let certificates = self.guard.client(client).certificates();
        let activated = waiting.change(certificates.activate_as(&scope, ids, enforcement));
        let activated = match activated.await? {
            Ok(activated) => activated,
            Err(error) => {
                if !was_here {
                    note(&format!("it was uploaded as {id}, and is not active"));
                }
                return Err(error.into());
            }
        };
        let shown: Option<&Received<ScopedCertificate>> = activated.value.data.first();
        shown.map_or(Ok(()), |shown| output.one(shown))?;
        waiting.for_gateways(client, activated.change()).await
    }
}

async fn upload(
    client: &Client,
    request: &UploadCertificateRequest,
) -> CommandResult<Received<Certificate>> {
    Ok(client.certificates().upload(request).await?.value)
}

/// What would be active at a scope with the certificate that is uploaded.
async fn afterwards(
    client: &Client,
    scope: &Scope,
    known: Option<&CertificateId>,
    enforcement: Enforcement,
) -> CommandResult<Vec<AfterwardsActive>> {
    let listed = client.certificates().stream(scope, &whole());
    let listed: Vec<Received<ScopedCertificate>> = listed.try_collect().await?;
    let entry = |certificate_id: Option<CertificateId>, enforcement| AfterwardsActive {
        upload: certificate_id.is_none().then_some(0),
        certificate_id,
        enforcement,
    };
    let mut active = vec![entry(known.cloned(), enforcement)];
    for each in listed.iter().filter(|each| Some(&each.id) != known) {
        if let Some(found) = active_as(client, each)? {
            active.push(entry(Some(each.id.clone()), found));
        }
    }
    Ok(active)
}
