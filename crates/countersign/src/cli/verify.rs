//! `countersign verify`: checks a chain as a gateway would, without one: against trust anchors from
//! files, or against those that are active at a project of a server.

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_client::{Client, ListParams};
use countersign_types::{
    UnixSeconds,
    bundle::{BundleCertificate, BundleProject, OrganizationBundle},
    certificate::{Enforcement, Scope},
    id::{CertificateId, OrganizationId, ProjectId},
};
use countersign_verify::{
    denial::Finding,
    judge::{Verdict, judge},
    policy::Policy,
    presented::Presented,
    trust::TrustSet,
};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::{
    cli::{
        api::{ApiOptions, block_on},
        input::read_text,
        parse::time,
        reference::Reference,
        scope::active_as,
    },
    clock,
    failure::{CommandResult, Doing, Failure},
    output::{Output, printable, timestamp},
};

/// Check a client's certificate chain as a gateway would, and explain the verdict
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// PEM file of the client's chain, leaf first, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// PEM file of trust anchors, one or more certificates; may be repeated
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "project",
        conflicts_with = "project"
    )]
    anchor: Vec<PathBuf>,
    /// Judge against the trust anchors active at this project and its organization
    #[arg(long, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
    /// CEL policy for every trust anchor from a file
    #[arg(long, value_name = "CEL", requires = "anchor")]
    policy: Option<String>,
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
    /// `permit`, `no_anchor_applies` or `denial`.
    verdict: &'static str,
    /// The code that the client would get; null when the chain passes.
    #[serialize_always]
    code: Option<&'static str>,
    /// The trust anchor that decided; null when none did.
    #[serialize_always]
    anchor: Option<String>,
    expires_at: Option<UnixSeconds>,
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
        let trust = match &self.project {
            Some(project) => self.trust_of_server(project)?,
            None => self.trust_of_files()?,
        };
        let at = self.at.unwrap_or_else(clock::unix_seconds);
        let verdict = judge(&trust.set, &trust.scope, &presented, at);
        report(&verdict, &trust, output)
    }

    /// The chain in the file. An empty file is a client that presents nothing.
    fn presented(&self) -> CommandResult<Presented> {
        let text = read_text(&self.chain)?;
        let text = text.trim_start_matches('\u{feff}');
        let shown = self.chain.display();
        let presented =
            Presented::from_pem(text).doing(format_args!("read the chain in `{shown}`"))?;
        if presented.leaf().is_none() && !text.trim().is_empty() {
            return Err(no_certificate(&self.chain));
        }
        Ok(presented)
    }

    fn trust_of_files(&self) -> CommandResult<Trust> {
        if let Some(policy) = &self.policy {
            Policy::compile(policy).map_err(Failure::usage)?;
        }
        let mut pems = Vec::new();
        let mut files = Vec::new();
        for path in &self.anchor {
            let text = read_text(path)?;
            let blocks = certificates(&text);
            if blocks.is_empty() {
                return Err(no_certificate(path));
            }
            files.extend(std::iter::repeat_n(path.clone(), blocks.len()));
            pems.extend(blocks);
        }
        Ok(Trust {
            set: TrustSet::from_anchors(pems.iter().map(String::as_str), self.policy.as_deref()),
            scope: Scope::Organization,
            files,
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
        certificates.push(BundleCertificate {
            id: found.id,
            pem: found.certificate_details.content.unwrap_or_default(),
            cel_policy: found.cel_policy,
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
            trace: &[],
        },
        Verdict::NoAnchorApplies(_) => Report {
            verdict: "no_anchor_applies",
            code: None,
            anchor: None,
            expires_at: None,
            trace: &[],
        },
        Verdict::Denial(denial) => Report {
            verdict: "denial",
            code: Some(denial.code().as_str()),
            anchor: None,
            expires_at: None,
            trace: denial.trace(),
        },
    };
    if output.is_table() {
        output.text(&trust.text(&report))?;
    } else {
        output.value(&report)?;
    }
    match report.code {
        None => Ok(()),
        Some(code) => Err(Failure::new(format_args!("the chain is refused: `{code}`"))),
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
            (None, Some(code)) => format!("denial: {code}\n"),
        };
        if let Some(end) = report.expires_at {
            text += &format!("  valid until {}\n", timestamp(end));
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

/// The certificates of a PEM file, each as PEM of its own.
fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(format!("{BEGIN}{}{END}\n", rest.split_once(END)?.0)))
        .collect()
}

fn no_certificate(path: &Path) -> Failure {
    Failure::new(format_args!(
        "`{}` holds no PEM certificate",
        path.display()
    ))
    .hint("run `countersign certificate inspect FILE` to see what the file is")
}
