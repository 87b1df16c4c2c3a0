//! `countersign verify`: checks a chain as a gateway would, without one: against trust anchors from
//! files, or against those that are active at a project of a server.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use countersign_client::{Client, ListParams};
use countersign_types::{
    UnixSeconds,
    bundle::{BundleCertificate, BundleProject, OrganizationBundle},
    certificate::{Enforcement, Scope},
    id::{CertificateId, OrganizationId, ProjectId},
};
use countersign_verify::{
    judge::{Verdict, judge},
    policy::Policy,
    presented::Presented,
    refusal::Finding,
    trust::TrustSet,
};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::{
    cli::{
        api::{ApiOptions, block_on},
        crl_files::ListFiles,
        input::{First, read_certificates, read_pem},
        parse::time,
        policy_text::refuse_file,
        reference::Reference,
        scope::active_as,
    },
    clock,
    failure::{CommandResult, Failure},
    output::{Output, note, printable, timestamp},
};

/// What to do with a policy's file: the flag takes the text.
const READ_POLICY: &str = "pass its text: `--policy \"$(cat FILE)\"`";

/// Check a client's certificate chain as a gateway would, and explain the verdict
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("against").args(["anchor", "project"]).required(true)))]
pub(crate) struct Verify {
    /// PEM file of the client's chain, leaf first, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// PEM file of a trust anchor; may be repeated
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    #[command(flatten)]
    first: First,
    /// Judge against the trust anchors active at this project and its organization
    #[arg(long, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
    /// CEL policy for every trust anchor from a file
    #[arg(long, value_name = "CEL", requires = "anchor")]
    policy: Option<String>,
    #[command(flatten)]
    lists: ListFiles,
    /// Time to judge at (RFC 3339 or Unix seconds) [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<UnixSeconds>,
    #[command(flatten)]
    api: ApiOptions,
}

/// A verdict as programs read it.
#[skip_serializing_none]
#[derive(Serialize)]
struct Report<'a> {
    /// `permit`, `no_anchor_applies` or `refusal`.
    verdict: &'static str,
    /// The code that the client would get; null when the chain passes.
    #[serialize_always]
    code: Option<&'static str>,
    /// The trust anchor that decided; null when none did.
    #[serialize_always]
    anchor: Option<String>,
    expires_at: Option<UnixSeconds>,
    /// Whether lists were given, and a current one of some issuer was not.
    crl_missing: Option<bool>,
    /// What was tried and why it failed.
    trace: &'a [Finding],
}

/// The trust anchors to check against, and the scope.
struct Trust {
    set: TrustSet,
    scope: Scope,
    /// The file of each trust anchor, in order; empty for a server's.
    files: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let presented = self.presented()?;
        let at = self.at.unwrap_or_else(clock::unix_seconds);
        let trust = match &self.project {
            Some(project) => self.trust_of_server(project)?,
            None => self.trust_of_files(&presented, at)?,
        };
        let verdict = judge(&trust.set, &trust.scope, &presented, at);
        report(&verdict, &trust, output)
    }

    /// The chain in the file.
    fn presented(&self) -> CommandResult<Presented> {
        let blocks = read_certificates(&self.chain)?;
        let chain = blocks.into_iter().map(|block| block.der.into()).collect();
        Ok(Presented::new(chain))
    }

    fn trust_of_files(&self, presented: &Presented, at: UnixSeconds) -> CommandResult<Trust> {
        if let Some(policy) = &self.policy {
            refuse_file(policy.clone()).map_err(|failure| failure.hint(READ_POLICY))?;
            Policy::compile(policy).map_err(Failure::usage)?;
        }
        let mut pems = Vec::new();
        for path in &self.anchor {
            pems.push(self.first.of(path, read_pem(path)?)?);
        }
        let lists = self.lists.read(&pems, presented, at)?;
        let anchors = pems.iter().map(String::as_str).zip(lists);
        Ok(Trust {
            set: TrustSet::from_anchors_and_lists(anchors, self.policy.as_deref()),
            scope: Scope::Organization,
            files: self.anchor.clone(),
        })
    }

    fn trust_of_server(&self, project: &Reference<ProjectId>) -> CommandResult<Trust> {
        let client = self.api.client()?;
        let (project, bundle) = block_on(async {
            let project = project.resolve(&client).await?;
            let bundle = bundle(&client, &project).await?;
            Ok((project, bundle))
        })?;
        Ok(Trust {
            set: TrustSet::compile(&bundle),
            scope: Scope::Project(project.clone()),
            files: Vec::new(),
        })
    }
}

/// The bundle that a gateway would get for this project, put together through the public API.
async fn bundle(client: &Client, project: &ProjectId) -> CommandResult<OrganizationBundle> {
    let of_organization = enforced(client, &Scope::Organization).await?;
    let of_project = enforced(client, &Scope::Project(project.clone())).await?;
    let mut certificates: Vec<BundleCertificate> = Vec::new();
    for id in of_organization.iter().chain(&of_project) {
        if certificates.iter().any(|known| known.id == *id) {
            continue;
        }
        let found = client.certificates().retrieve_with_content(id).await?;
        let found = found.value.into_inner();
        if found.crls.is_some() {
            let name = found.name.as_deref().unwrap_or(found.id.as_str());
            note(&format!(
                "the revocation lists of {} are not looked at here: gateways do",
                printable(name)
            ));
        }
        certificates.push(BundleCertificate {
            id: found.id,
            pem: found.certificate_details.content.unwrap_or_default(),
            cel_policy: found.cel_policy,
            reported_policy: None,
            revocation: None,
            floor: None,
            reported_floor: None,
        });
    }
    Ok(OrganizationBundle {
        // Neither the id nor the revision has a part in the verdict.
        id: OrganizationId::from_random(0),
        revision: 0,
        digest: None,
        certificates,
        active: of_organization,
        with_reported: Vec::new(),
        projects: vec![BundleProject {
            id: project.clone(),
            archived: false,
            active: of_project,
            with_reported: Vec::new(),
        }],
        keys: Vec::new(),
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: Vec::new(),
    })
}

async fn enforced(client: &Client, scope: &Scope) -> CommandResult<Vec<CertificateId>> {
    let listed = client.certificates().stream(scope, &ListParams::default());
    let listed: Vec<_> = listed.try_collect().await?;
    let mut enforced = Vec::new();
    for entry in &listed {
        if active_as(client, entry)? == Some(Enforcement::Enforce) {
            enforced.push(entry.id.clone());
        }
    }
    Ok(enforced)
}

fn report(verdict: &Verdict, trust: &Trust, output: Output) -> CommandResult {
    let report = match verdict {
        Verdict::Permit(permit) => Report {
            verdict: "permit",
            code: None,
            anchor: Some(trust.name(permit.anchor())),
            expires_at: Some(permit.not_after()),
            crl_missing: permit.without_current_list().then_some(true),
            trace: &[],
        },
        Verdict::NoAnchorApplies(_) => Report {
            verdict: "no_anchor_applies",
            code: None,
            anchor: None,
            expires_at: None,
            crl_missing: None,
            trace: &[],
        },
        Verdict::Refusal(refusal) => Report {
            verdict: "refusal",
            code: Some(refusal.code().as_str()),
            anchor: None,
            expires_at: None,
            crl_missing: None,
            trace: refusal.trace(),
        },
    };
    if output.is_table() {
        output.text(&trust.text(&report))?;
    } else {
        output.value(&report)?;
    }
    match report.code {
        None => Ok(()),
        Some(code) => {
            let failure = Failure::new(format_args!("the chain is refused: `{code}`"));
            Err(match report.trace.first() {
                Some(finding) => failure.hint(finding.reason.fix()),
                None => failure,
            })
        }
    }
}

impl Trust {
    /// The trust anchor by the name the user knows: its file, or its id.
    fn name(&self, anchor: &CertificateId) -> String {
        // `TrustSet::from_anchors` numbers anchors from 1 and makes their ids of the numbers.
        let number = anchor.as_str().strip_prefix(CertificateId::PREFIX);
        let place = number.and_then(|number| number.parse::<usize>().ok());
        let file = place.and_then(|place| self.files.get(place.checked_sub(1)?));
        file.map_or_else(|| anchor.to_string(), |file| file.display().to_string())
    }

    /// The verdict as people read it.
    fn text(&self, report: &Report<'_>) -> String {
        let mut text = match (&report.anchor, report.code) {
            (Some(anchor), _) => format!("permit: verified by {}\n", printable(anchor)),
            (None, None) => {
                "permit: no trust anchor is active, so no certificate is needed\n".into()
            }
            (None, Some(code)) => format!("refusal: {code}\n"),
        };
        if let Some(end) = report.expires_at {
            text += &format!("  valid until {}\n", timestamp(end));
        }
        if report.crl_missing.is_some() {
            text += "  of some issuer there is no current revocation list\n";
        }
        for finding in report.trace {
            let anchor = finding.anchor.as_ref().map(|(id, _)| self.name(id));
            text += &format!(
                "  {}{}\n    fix: {}\n",
                anchor.map_or_else(String::new, |anchor| format!("{}: ", printable(&anchor))),
                printable(&finding.to_string()),
                finding.reason.fix()
            );
        }
        text
    }
}
