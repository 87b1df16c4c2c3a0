//! `countersign verify`: judges a chain as a gateway would, without one: against anchors from
//! files, or against what is active at a project of a server.

use std::{fs, path::PathBuf};

use clap::Args;
use countersign_client::{Client, ListParams};
use countersign_types::{
    UnixSeconds,
    bundle::{BundleCertificate, BundleProject, OrganizationBundle},
    certificate::Scope,
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

use crate::{
    cli::api::{ApiOptions, block_on},
    clock,
    failure::{Doing, Failure, Outcome},
    output::{Output, moment, printable},
};

/// Judge a client's chain as a gateway would, and tell the whole story
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// PEM file of the client's chain, the leaf first; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// PEM file of anchors; each certificate in it is one. May be given again
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "project",
        conflicts_with = "project"
    )]
    anchor: Vec<PathBuf>,
    /// Judge against what is active at this project and its organization
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// CEL policy of every anchor from a file
    #[arg(long, value_name = "CEL", requires = "anchor")]
    policy: Option<String>,
    /// Moment to judge at, in Unix seconds [default: now]
    #[arg(long, value_name = "UNIX")]
    at: Option<UnixSeconds>,
    #[command(flatten)]
    api: ApiOptions,
}

/// A verdict as programs read it.
#[derive(Serialize)]
struct Report<'a> {
    /// `permit`, `no_anchor_applies` or `denial`.
    verdict: &'static str,
    /// The code that the client would be told; null when the chain passes.
    code: Option<&'static str>,
    /// The anchor that decided; null when none did.
    anchor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<UnixSeconds>,
    /// What was tried and why it failed.
    trace: &'a [Finding],
}

/// What is judged against, and at which scope.
struct Trust {
    set: TrustSet,
    scope: Scope,
    /// The file that each anchor came from, in order; empty for a server's.
    files: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let chain = read(&self.chain)?;
        let presented = Presented::from_pem(&chain)
            .doing(format_args!("read the chain in `{}`", self.chain.display()))?;
        let trust = match &self.project {
            Some(project) => self.trust_of_server(project)?,
            None => self.trust_of_files()?,
        };
        let at = self.at.unwrap_or_else(clock::unix_seconds);
        let verdict = judge(&trust.set, &trust.scope, &presented, at);
        report(&verdict, &trust, output)
    }

    fn trust_of_files(&self) -> Outcome<Trust> {
        if let Some(policy) = &self.policy {
            Policy::compile(policy).map_err(Failure::usage)?;
        }
        let mut pems = Vec::new();
        let mut files = Vec::new();
        for path in &self.anchor {
            let text = read(path)?;
            let blocks = certificates(&text);
            if blocks.is_empty() {
                return Err(Failure::new(format_args!(
                    "`{}` holds no certificate in PEM",
                    path.display()
                ))
                .hint("`countersign certificate inspect FILE` says what the file is"));
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

    fn trust_of_server(&self, project: &ProjectId) -> Outcome<Trust> {
        let client = self.api.client()?;
        let bundle = block_on(bundle(&client, project))?;
        Ok(Trust {
            set: TrustSet::compile(&bundle),
            scope: Scope::Project(project.clone()),
            files: Vec::new(),
        })
    }
}

/// What a gateway would be given of this project, read through the public API.
async fn bundle(client: &Client, project: &ProjectId) -> Outcome<OrganizationBundle> {
    let of_organization = enforced(client, &Scope::Organization).await?;
    let of_project = enforced(client, &Scope::Project(project.clone())).await?;
    let mut certificates: Vec<BundleCertificate> = Vec::new();
    for id in of_organization.iter().chain(&of_project) {
        if certificates.iter().any(|known| known.id == *id) {
            continue;
        }
        let found = client.certificates().retrieve_with_content(id).await?.value;
        certificates.push(BundleCertificate {
            id: found.id,
            pem: found.certificate_details.content.unwrap_or_default(),
            cel_policy: found.cel_policy,
        });
    }
    Ok(OrganizationBundle {
        id: OrganizationId::from_random(0),
        revision: 0,
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

async fn enforced(client: &Client, scope: &Scope) -> Outcome<Vec<CertificateId>> {
    let listed = client.certificates().stream(scope, &ListParams::default());
    let enforced = listed.try_filter_map(|entry| async move {
        let is_enforced = entry.active && entry.enforcement.is_none();
        Ok(is_enforced.then_some(entry.id))
    });
    Ok(enforced.try_collect().await?)
}

fn report(verdict: &Verdict, trust: &Trust, output: Output) -> Outcome {
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
        output.text(&trust.story(&report))?;
    } else {
        output.value(&report)?;
    }
    match report.code {
        None => Ok(()),
        Some(code) => Err(Failure::new(format_args!("the chain is refused: `{code}`"))),
    }
}

impl Trust {
    /// The anchor as whoever asked knows it: by its file, or by its id.
    fn name(&self, anchor: &CertificateId) -> String {
        let number = anchor.as_str().strip_prefix(CertificateId::PREFIX);
        let place = number.and_then(|number| number.parse::<usize>().ok());
        let file = place.and_then(|place| self.files.get(place.checked_sub(1)?));
        file.map_or_else(|| anchor.to_string(), |file| file.display().to_string())
    }

    /// The verdict as people read it.
    fn story(&self, report: &Report<'_>) -> String {
        let mut story = match (&report.anchor, report.code) {
            (Some(anchor), _) => format!("permit: verified by {}\n", printable(anchor)),
            (None, None) => "permit: no anchor is active, so no certificate is asked for\n".into(),
            (None, Some(code)) => format!("denial: {code}\n"),
        };
        if let Some(end) = report.expires_at {
            story += &format!("  holds until {}\n", moment(end));
        }
        for finding in report.trace {
            let anchor = finding.anchor.as_ref().map(|(id, _)| self.name(id));
            story += &format!(
                "  {}{}\n    fix: {}\n",
                anchor.map_or_else(String::new, |anchor| format!("{}: ", printable(&anchor))),
                printable(&finding.reason.to_string()),
                finding.reason.fix()
            );
        }
        story
    }
}

fn read(path: &std::path::Path) -> Outcome<String> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)
            .doing("read standard input")?;
        bytes
    } else {
        fs::read(path).doing(format_args!("read `{}`", path.display()))?
    };
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(format_args!(
            "`{}` is not text; PEM is wanted",
            path.display()
        ))
        .hint("`openssl x509 -inform DER -in FILE -out FILE.pem` makes PEM of DER")
    })
}

/// The certificate blocks of a PEM text, each as a PEM text of its own.
fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(format!("{BEGIN}{}{END}\n", rest.split_once(END)?.0)))
        .collect()
}
